"""Chromium, the system's own, without a window; what goes wrong in a page is noted."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.service.support import PATIENCE

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")

# What breaks the policy is told as an event too, whatever the console says.
WATCH = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
        window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser."""
    # Its own sandbox wants to be no root, as who runs tests in a container is.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=["--disable-dev-shm-usage", *arguments])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(
    browser: Browser,
    base: str,
    *,
    token: str | None = None,
    scheme: Literal["light", "dark"] = "light",
    width: int = 1200,
) -> Iterator[Page]:
    """Open a page, in which somebody answers the question for a login with that token; at its end nothing may have been wrong."""
    login: Any = {"username": "operator", "password": token} if token else None
    context = browser.new_context(
        base_url=base, http_credentials=login, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    context.set_default_timeout(PATIENCE * 1000)
    context.add_init_script(WATCH)
    page = context.new_page()
    wrong: list[str] = []

    def note_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            wrong.append(f"{message.type}: {message.text}")

    def note_failure(request: Request) -> None:
        # A stream and a video that are under way when a page is left are aborted: that is how they end.
        if request.failure != "net::ERR_ABORTED":
            wrong.append(f"{request.url}: {request.failure}")

    page.on("console", note_console)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", note_failure)
    try:
        yield page
        wrong += page.evaluate("window.violations")
        if unexpected := [text for text in wrong if not _is_expected(page, text)]:
            pytest.fail("the page was not well:\n" + "\n".join(unexpected))
    finally:
        context.close()


def _is_expected(page: Page, text: str) -> bool:
    """Whether a test said that it provokes this."""
    return any(part in text for part in getattr(page, "provoked", ()))


def provoke(page: Page, *parts: str) -> None:
    """Say which errors a test is about to cause."""
    page.provoked = parts  # type: ignore[attr-defined]


def complaints(page: Page) -> list[str]:
    """Return what axe, which knows the rules of accessibility, finds wrong."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]
