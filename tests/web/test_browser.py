"""The dashboard in a real browser: nothing breaks its policy, it is live, it can be worked by keyboard, and read by everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.plugins import leaks
from tests.service.support import PATIENCE, PLUGINS, Queue
from tests.web.browser import chromium, complaints, needs_chromium, opened, provoke
from tests.web.support import SQUARE, TOKEN, web_service

pytestmark = needs_chromium
expect.set_options(timeout=PATIENCE * 1000)

WRONG = "not-the-token-of-it"
VIDEO = (
    {"objects": [{"type": "rectangle", "x": 0, "y": 0, "width": 8, "height": 8}], "metadata": {"duration": 3}},
    {"format": "mp4", "width": 64, "height": 36, "fps": 5},
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Provide the browser, in which each test has a session of its own.

    For this module alone: while it runs, no test of its worker can run an event loop.
    """
    before = {child.pid for child in psutil.Process().children()}
    with chromium() as browser:
        processes = {child.pid for child in psutil.Process().children()} - before
        leaks.KEPT.update(processes)
        yield browser
    leaks.KEPT.difference_update(processes)


def base(client: httpx.Client) -> str:
    """Return the address of the service."""
    return str(client.base_url).rstrip("/")


def dead_letter(queue: Queue, user_id: str = "u1") -> str:
    """Return a job that is in the dead letters."""
    job = queue.enqueue("svg", {"svg": "no drawing"}, user_id=user_id)
    assert queue.final(job)["status"] == "failed"
    return job


def video(queue: Queue) -> str:
    """Return a job that made a video."""
    job = queue.enqueue("scene", VIDEO[0], config=json.dumps(VIDEO[1]))
    row = queue.final(job)
    assert row["status"] == "completed", row
    return job


def live(page: Page) -> None:
    """Open the dashboard, and wait until it is live."""
    page.goto("/")
    expect(page.get_by_role("status")).to_have_text("Live")


# Each of the two once: a contrast does not depend on the width, nor a layout on the colours.
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 380)])
def test_every_page_keeps_its_policy_and_is_for_everybody(
    database: str, tmp_path: Path, browser: Browser, scheme: Literal["light", "dark"], width: int
) -> None:
    """No violation, no error in the console, nothing for axe to complain of (contrast, names, headings); wide and narrow."""
    with web_service(database, tmp_path, RENDER_PLUGINS=PLUGINS) as (_, queue, client):
        shown, dead, running = video(queue), dead_letter(queue), queue.enqueue("sleep", {}, user_id="u3")
        queue.running(running)
        with opened(browser, base(client), scheme=scheme, width=width) as page:
            for path in ("/", "/figures", "/jobs", "/jobs?q=u1", "/dead-letters", f"/jobs/{shown}", f"/jobs/{dead}"):
                if path == "/":
                    live(page)
                else:
                    page.goto(path)
                assert complaints(page) == [], path
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
                assert page.evaluate("window.violations") == [], path
            provoke(page, "404")
            page.goto("/nothing")
            assert complaints(page) == []
        queue.rows("select cancel_render(%s)", running)


def test_a_job_that_ends_appears_without_a_reload(database: str, tmp_path: Path, browser: Browser) -> None:
    """Its picture, its count and its bar in the chart; what is rendered now stands with its memory and limit."""
    with web_service(database, tmp_path) as (_, queue, client), opened(browser, base(client)) as page:
        live(page)
        page.evaluate("window.same = true")
        gate = tmp_path / "gate"
        running = queue.enqueue("gate", {"gate": str(gate)})
        row = page.locator("#children tr", has_text=running)
        expect(row).to_contain_text("50%")
        expect(row.get_by_label("Memory")).to_be_visible()
        expect(row).to_contain_text("of 512 MB")
        gate.touch()
        expect(page.locator("#children tr", has_text=running)).to_have_count(0)
        job = queue.enqueue("svg", SQUARE)
        picture = page.get_by_alt_text(f"svg of job {job}")
        expect(picture).to_be_visible()
        page.wait_for_function("image => image.complete && image.naturalWidth === 8", arg=picture.element_handle())
        expect(page.locator("#figures div", has_text="Completed in the last hour").locator("dd")).to_have_text("2")
        expect(page.locator("#charts rect.completed")).not_to_have_count(0)
        assert page.evaluate("window.same")


def test_a_video_plays_and_is_not_taken_away(database: str, tmp_path: Path, browser: Browser) -> None:
    """While it plays its list keeps still; what came meanwhile is shown when it has ended."""
    with (
        web_service(database, tmp_path, RENDER_PLUGINS=PLUGINS) as (_, queue, client),
        opened(browser, base(client)) as page,
    ):
        shown = video(queue)
        live(page)
        element = page.get_by_label(f"scene of job {shown}")
        handle = element.element_handle()
        element.evaluate("async video => { video.playbackRate = 0.25; await video.play(); }")
        job = queue.enqueue("svg", SQUARE)
        # The figures go on: so the list would have changed by now.
        expect(page.locator("#figures div", has_text="Completed in the last hour").locator("dd")).to_have_text("2")
        page.wait_for_function("name => held.has(document.getElementById(name))", arg="results")
        assert handle is not None
        assert handle.evaluate("video => video.isConnected && !video.paused")
        expect(page.get_by_alt_text(f"svg of job {job}")).to_have_count(0)
        handle.evaluate("video => video.pause()")
        expect(page.get_by_alt_text(f"svg of job {job}")).to_be_visible()


def test_a_dead_letter_is_redriven_by_keyboard(database: str, tmp_path: Path, browser: Browser) -> None:
    """From the top of the page by Tab alone to the button, Enter; the focus is on what came of it, and the job is back."""
    with web_service(database, tmp_path) as (_, queue, client), opened(browser, base(client), token=TOKEN) as page:
        job = dead_letter(queue)
        live(page)
        seen = []
        for _ in range(60):
            page.keyboard.press("Tab")
            seen.append(
                page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
            )
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid", seen
            if seen[-1] == f"Redrive job {job}":
                break
        assert seen[0] == "Skip to the content"
        assert seen[-1] == f"Redrive job {job}"
        page.keyboard.press("Enter")
        expect(page.get_by_text(f"Job {job} is in the queue again.")).to_be_visible()
        page.wait_for_function("job => document.activeElement.textContent === job", arg=job)
        queue.until_row(
            "select count(*) as n from render_attempts where job_id = %s and outcome is not null",
            lambda row: row["n"] == 2,
            job,
        )
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Attempt 2")).to_be_visible()


def test_what_came_of_a_redrive_stays(database: str, tmp_path: Path, browser: Browser) -> None:
    """A newer list waited while the button had the focus: it does not take the answer's place, nor the focus, while that comes in."""
    with web_service(database, tmp_path) as (_, queue, client), opened(browser, base(client), token=TOKEN) as page:
        job = dead_letter(queue)
        live(page)
        page.get_by_label(f"Redrive job {job}").focus()
        dead_letter(queue)
        page.wait_for_function("name => held.has(document.getElementById(name))", arg="dead_letters")
        page.keyboard.press("Enter")
        page.wait_for_function("job => document.activeElement.textContent === job", arg=job)
        expect(page.get_by_text(f"Job {job} is in the queue again.")).to_be_visible()


def test_a_redrive_with_a_wrong_token_is_refused(database: str, tmp_path: Path, browser: Browser) -> None:
    """Who gives another at the browser's question is told why, and the job stays where it is."""
    with web_service(database, tmp_path) as (_, queue, client), opened(browser, base(client), token=WRONG) as page:
        job = dead_letter(queue)
        live(page)
        provoke(page, "401", "Response Status Error")
        page.get_by_label(f"Redrive job {job}").click()
        expect(page.get_by_role("alert")).to_contain_text("The token is needed")
        assert queue.job(job)["status"] == "failed"


def test_a_page_of_another_site_cannot_redrive(database: str, tmp_path: Path, browser: Browser) -> None:
    """Not even in a browser that is logged in: the form of a page that is served elsewhere is refused."""
    with web_service(database, tmp_path) as (_, queue, client), opened(browser, base(client), token=TOKEN) as page:
        job = dead_letter(queue)
        page.goto("/")
        provoke(page, "403")
        form = f'<form method="post" action="{base(client)}/jobs/{job}/redrive"><button>Go</button></form>'
        page.route("http://elsewhere.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
        page.goto("http://elsewhere.example/")
        page.get_by_role("button", name="Go").click()
        expect(page.get_by_text("a write must come from a page of ours")).to_be_visible()
        assert queue.job(job)["status"] == "failed"


def test_a_part_keeps_still_under_the_focus_and_while_paused(database: str, tmp_path: Path, browser: Browser) -> None:
    """The button that somebody is about to press stays; what is new comes when the focus leaves, or when the pause ends."""
    with web_service(database, tmp_path) as (_, queue, client), opened(browser, base(client), token=TOKEN) as page:
        first = dead_letter(queue)
        live(page)
        button = page.get_by_label(f"Redrive job {first}")
        button.focus()
        second = dead_letter(queue)
        page.wait_for_function("name => held.has(document.getElementById(name))", arg="dead_letters")
        expect(button).to_be_focused()
        expect(page.get_by_label(f"Redrive job {second}")).to_have_count(0)
        page.get_by_label("Search", exact=True).focus()
        expect(page.get_by_label(f"Redrive job {second}")).to_be_visible()

        pause = page.get_by_role("button", name="Pause")
        pause.click()
        expect(pause).to_have_attribute("aria-pressed", "true")
        job = queue.enqueue("svg", SQUARE)
        page.wait_for_function("name => held.has(document.getElementById(name))", arg="results")
        expect(page.get_by_alt_text(f"svg of job {job}")).to_have_count(0)
        pause.click()
        expect(page.get_by_alt_text(f"svg of job {job}")).to_be_visible()


def test_a_search_leads_to_the_job(database: str, tmp_path: Path, browser: Browser) -> None:
    """By user to a list and on to the job; by id straight to it."""
    with web_service(database, tmp_path) as (_, queue, client), opened(browser, base(client)) as page:
        job = dead_letter(queue, "studio & co")
        page.goto("/")
        search = page.get_by_role("searchbox", name="Search")
        search.fill("studio & co")
        search.press("Enter")
        page.get_by_role("link", name=job).click()
        expect(page.get_by_role("heading", name=f"Job {job}")).to_be_visible()
        page.get_by_role("searchbox", name="Search").fill(job)
        page.get_by_role("button", name="Find").click()
        page.wait_for_url(f"**/jobs/{job}")


def test_the_colours_follow_the_system_and_the_switch(database: str, tmp_path: Path, browser: Browser) -> None:
    """Dark where the system is; the switch wins, and is remembered on the next page."""
    with web_service(database, tmp_path) as (_, _, client), opened(browser, base(client), scheme="dark") as page:
        brightness = "() => Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])"
        page.goto("/")
        assert page.evaluate(brightness) < 60
        page.get_by_role("button", name="Colours: as the system").click()
        assert page.evaluate(brightness) > 200
        page.goto("/jobs")
        assert page.evaluate(brightness) > 200
        page.get_by_role("button", name="Colours: light").click()
        page.emulate_media(color_scheme="light")
        assert page.evaluate(brightness) < 60


def test_a_new_service_is_found_again(database: str, tmp_path: Path, browser: Browser) -> None:
    """The page says that it is not live while the service is away, and is live again when the next one is there."""
    with web_service(database, tmp_path) as (service, queue, client), opened(browser, base(client)) as page:
        live(page)
        provoke(page, "ERR_", "Failed to load", "[object Event]")
        port = client.base_url.port
        service.process.terminate()
        assert service.process.wait(PATIENCE) == 0
        expect(page.get_by_role("status")).to_have_text("Not live: connecting again")
        with web_service(database, tmp_path, HTTP_PORT=port) as (_, _, _):
            expect(page.get_by_role("status")).to_have_text("Live")
            job = queue.enqueue("svg", SQUARE)
            expect(page.get_by_alt_text(f"svg of job {job}")).to_be_visible()
