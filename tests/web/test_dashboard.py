"""The dashboard over HTTP: what a page holds, who may do what, what the stream tells, and what is asked of the database."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from uuid import uuid4

import httpx

from tests.service.support import Queue
from tests.web.support import SQUARE, TOKEN, WITH_TOKEN, Site, metric, web_service

AS_BROWSER = {"accept": "text/html,application/xhtml+xml"}
LETTER = """
    insert into jobsupervisor.dead_letter (
        id, kind, priority, run_at, attempt, charged, offences, progress, failure, error, created_at, died_at, spec, config)
    select jobsupervisor.new_id(), 'noop', 0, now(), 2, 2, 2, 0, 'crash', 'signal', now(),
        '2026-01-01'::timestamptz + n / 40 * interval '1 s', '{}', '{}'
    from generate_series(0, %s - 1) n
    returning id
"""
ID = re.compile(r'href="/jobs/([0-9a-f-]{36})"')


class Elements(HTMLParser):
    """What a page is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of a name."""
        return [attributes for name, attributes in self.found if name == tag]


def dead_letter(queue: Queue, **options: object) -> str:
    """Return a job that is in the dead letters."""
    job = queue.enqueue("svg", {"svg": "no drawing"}, **options)
    assert queue.final(job)["status"] == "failed"
    return job


def pages(queue: Queue, client: httpx.Client) -> dict[str, str]:
    """Return every kind of page by its path, with something in each."""
    done = queue.enqueue("svg", SQUARE, user_id="u1", correlation_id="r1")
    queue.final(done)
    dead = dead_letter(queue, user_id="u2")
    paths = ("/", "/figures", "/jobs", "/jobs?q=u1", "/dead-letters", f"/jobs/{done}", f"/jobs/{dead}", "/nothing")
    return {path: client.get(path, headers=AS_BROWSER).text for path in paths}


def test_every_page_keeps_the_policy_and_has_its_landmarks(site: Site) -> None:
    """No script and no style in it, one main, one first heading, a name for each field, row and column headers."""
    _, queue, client = site
    for path, html in pages(queue, client).items():
        page = Elements(html)
        assert all(script.get("src", "").startswith("/static/") for script in page.named("script")), path  # type: ignore[union-attr]
        assert not page.named("style"), path
        bad = [name for _, attributes in page.found for name in attributes if name == "style" or name.startswith("on")]
        assert not bad, path
        assert [len(page.named(tag)) for tag in ("main", "header", "nav", "h1", "title")][:4] == [1, 1, 1, 1], path
        labelled = {label["for"] for label in page.named("label")}
        assert {field["id"] for tag in ("input", "select") for field in page.named(tag)} <= labelled, path
        assert all("scope" in cell for cell in page.named("th")), path
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_what_the_pages_need_is_served_and_kept(site: Site) -> None:
    """Each file under an address that tells its content, for good; under the plain address, to be asked for again."""
    _, _, client = site
    page = Elements(client.get("/").text)
    files = [script["src"] for script in page.named("script")] + [link["href"] for link in page.named("link")]
    assert len(files) == 5
    for file in files:
        answer = client.get(str(file))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert client.get(str(file).partition("?")[0]).headers["cache-control"] == "no-cache"
    assert client.get("/static/LICENSES.txt").status_code == 200
    assert client.get("/static/..%2fapi.py").status_code == 404


def test_a_strangers_text_stays_text(database: str, tmp_path: Path) -> None:
    """A user, a correlation id, an error and what a child wrote, all full of markup."""
    evil = '<script>alert(1)</script><b onclick="x">"\' & {{ 7*7 }}'
    with web_service(database, tmp_path) as (_, queue, client):
        done = queue.enqueue("svg", SQUARE, user_id=evil, correlation_id=evil)
        dead = queue.enqueue("complain", {"text": evil}, user_id=evil, correlation_id=evil, max_attempts=1)
        assert (queue.final(done)["status"], queue.final(dead)["status"]) == ("completed", "failed")
        for path in ("/", "/jobs", f"/jobs/{done}", f"/jobs/{dead}", "/dead-letters"):
            html = client.get(path).text
            assert "alert(1)" in html, path
            assert "<script>" not in html, path
            assert "<b onclick" not in html, path
            assert "49" not in re.sub(r"[0-9a-f-]{36}|[\d:]{8}", "", html) or "7*7" in html, path
        answer = client.get("/jobs", params={"q": evil})
        assert answer.text.count(f'href="/jobs/{done}"') == answer.text.count(f'href="/jobs/{dead}"') == 1
        assert "<b onclick" not in answer.text


def test_a_search_finds_by_id_user_and_correlation(site: Site) -> None:
    """A whole id leads to the job; its beginning, the user and the correlation id to a list, wherever the jobs are kept."""
    _, queue, client = site
    done = queue.enqueue("noop", {}, user_id="u1", correlation_id="r1")
    queue.final(done)
    dead = dead_letter(queue, user_id="u1", correlation_id="r2")
    later = queue.enqueue("noop", {}, user_id="u1", correlation_id="r2", run_at="2100-01-01")

    def found(text: str) -> list[str]:
        answer = client.get("/jobs", params={"q": text})
        assert answer.status_code == 200
        return ID.findall(answer.text)

    assert found("u1") == [later, dead, done]
    assert found("r2") == [later, dead]
    assert found("r1") == found(done[:18]) == [done]
    assert found(dead.replace("-", "")[:20].upper()) == [dead]
    assert found("u") == found("0") == found(str(uuid4())) == []
    for job in (done, dead, later):
        answer = client.get("/jobs", params={"q": job})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job}")


def test_jobs_are_listed_page_by_page(site: Site) -> None:
    """Newest first, each once, also those of one status."""
    _, queue, client = site
    rows = queue.rows(
        "select enqueue_render('noop', '{}', run_at => '2100-01-01', user_id => 'u') as id from generate_series(1, 120)"
    )
    everyone = sorted((str(row["id"]) for row in rows), reverse=True)
    for start in ("/jobs", "/jobs?status=queued&kind=noop", "/jobs?q=u"):
        assert follow(client, start) == everyone
    assert follow(client, "/jobs?status=failed") == []


def follow(client: httpx.Client, path: str) -> list[str]:
    """Return the ids of all pages from one on."""
    found: list[str] = []
    while path:
        answer = client.get(path)
        assert answer.status_code == 200
        found += ID.findall(answer.text)
        path = next((str(link["href"]) for link in Elements(answer.text).named("a") if link.get("rel") == "next"), "")
    return found


def test_dead_letters_are_listed_page_by_page(site: Site) -> None:
    """The last to die first, each once, though many died at the same moment."""
    _, queue, client = site
    dead = [str(row["id"]) for row in queue.rows(LETTER, 230)]
    found = follow(client, "/dead-letters")
    assert sorted(found) == sorted(dead)
    assert set(found[:30]) == set(dead[200:])


def test_a_jobs_page_tells_its_attempts(site: Site) -> None:
    """Outcome and error of each, the last first, and what the child wrote; of a dead letter also when they are kept nowhere else."""
    _, queue, client = site
    job = queue.enqueue("complain", {"text": "no <light> today"}, max_attempts=2)
    assert queue.final(job)["status"] == "failed"
    before = client.get(f"/jobs/{job}").text
    assert before.index("Attempt 2") < before.index("Attempt 1")
    assert before.count("SIGABRT") >= 2
    written = re.findall(r'aria-label="The last that attempt (\d) wrote"><bdi>no &lt;light&gt; today', before)
    assert written == ["2", "1"]
    queue.rows("delete from jobsupervisor.attempt where job_id = %s returning 1", job)
    assert client.get(f"/jobs/{job}").text == before


def test_a_redrive_needs_the_token_and_a_page_of_ours(site: Site) -> None:
    """Refused without it, and from another site even with it; then done, once."""
    _, queue, client = site
    job = dead_letter(queue)
    path = f"/jobs/{job}/redrive"
    refused = client.post(path, headers=AS_BROWSER)
    assert (refused.status_code, refused.headers["www-authenticate"][:5]) == (401, "Basic")
    assert "<h1>The token is needed</h1>" in refused.text
    for elsewhere in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://elsewhere.example"},
        {"origin": "null"},
    ):
        assert client.post(path, auth=("x", TOKEN), headers=elsewhere).status_code == 403
    assert queue.job(job)["status"] == "failed"
    answer = client.post(path, auth=("x", TOKEN), headers={"origin": str(client.base_url).rstrip("/")})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job}")
    # It fails again, as it must: another attempt is there.
    queue.until_row(
        "select count(*) as n from render_attempts where job_id = %s and outcome is not null",
        lambda row: row["n"] == 2,
        job,
    )
    unknown = client.post(f"/jobs/{uuid4()}/redrive", headers=AS_BROWSER | WITH_TOKEN)
    assert unknown.status_code == 422
    assert "must be that of a dead letter" in unknown.text


def test_a_job_is_cancelled_from_its_page(site: Site) -> None:
    """With the token; a finished one cannot be."""
    _, queue, client = site
    job = queue.enqueue("noop", {}, run_at="2100-01-01")
    path = f"/jobs/{job}/cancel"
    assert f'action="{path}"' in client.get(f"/jobs/{job}").text
    assert client.post(path).status_code == 401
    assert client.post(path, headers=WITH_TOKEN).status_code == 303
    assert queue.job(job)["status"] == "cancelled"
    assert client.post(path, headers=WITH_TOKEN).status_code == 422
    assert "<button>Cancel" not in client.get(f"/jobs/{job}").text


def test_without_a_token_nothing_is_offered_that_would_be_refused(database: str, tmp_path: Path) -> None:
    """No button; the page says what to set."""
    with web_service(database, tmp_path, HTTP_TOKEN="") as (_, queue, client):
        job = dead_letter(queue)
        for path in ("/", "/dead-letters", f"/jobs/{job}"):
            assert "Redrive" not in client.get(path).text
        assert "HTTP_TOKEN" in client.get("/dead-letters").text
        assert client.post(f"/jobs/{job}/redrive").status_code == 403


WRONG = (
    ("GET", "/nothing", 404),
    ("GET", f"/jobs/{uuid4()}", 404),
    ("POST", "/", 405),
    ("GET", "/jobs/1", 422),
    ("GET", "/jobs?status=odd", 422),
    ("GET", "/jobs?before=odd", 422),
    ("GET", "/jobs?q=%00", 422),
    ("GET", "/jobs?q=" + 300 * "x", 422),
    ("GET", f"/dead-letters?before={uuid4()}", 422),
)


def test_errors_are_pages_for_people_and_json_for_programs(site: Site) -> None:
    """Each with its status, the words, and the way back."""
    _, _, client = site
    for method, path, status in WRONG:
        page = client.request(method, path, headers=AS_BROWSER | WITH_TOKEN)
        told = client.request(method, path, headers=WITH_TOKEN)
        piece = client.request(method, path, headers=WITH_TOKEN | {"hx-request": "true"})
        assert [answer.status_code for answer in (page, told, piece)] == [status] * 3, path
        assert page.headers["content-type"] == piece.headers["content-type"] == "text/html; charset=utf-8", path
        assert '<a href="/">' in page.text, path
        assert "<html" not in piece.text, path
        assert len(told.json()["error"]) > 10, path
    assert client.get("/api/nothing", headers=AS_BROWSER).json()["error"]


def test_the_stream_tells_of_a_job_that_ended(database: str, tmp_path: Path) -> None:
    """All parts first; then the result and the figures, when the job is done."""
    with web_service(database, tmp_path) as (_, queue, client), client.stream("GET", "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        first = [next(line for line in lines if line.startswith("event: ")) for _ in range(7)]
        assert first == [
            f"event: {name}" for name in ("state", "figures", "charts", "kinds", "children", "results", "dead_letters")
        ]
        job = queue.enqueue("svg", SQUARE)
        assert any(f"/api/jobs/{job}/artifact" in line for line in lines)


def test_who_looks_costs_the_database_little_and_nobody_nothing(database: str, tmp_path: Path) -> None:
    """Two dashboards and a hundred jobs: the lists are read a few times, not for each; and after they left, never."""
    with web_service(database, tmp_path) as (_, queue, client):
        jobs = [queue.enqueue("noop", {}) for _ in range(20)]
        for job in jobs:
            queue.final(job)
        assert metric(client, "statements_total", statement="results") == 0
        with client.stream("GET", "/events") as one, client.stream("GET", "/events") as two:
            told = one.iter_lines()
            for job in [queue.enqueue("noop", {}) for _ in range(100)]:
                queue.final(job)
            last = queue.enqueue("svg", SQUARE)
            assert any(f"/api/jobs/{last}/artifact" in line for line in told)
            assert any(f"/api/jobs/{last}/artifact" in line for line in two.iter_lines())
        asked = metric(client, "statements_total", statement="results")
        # At the start, then at most once in three seconds: a machine that takes a minute for this may ask twenty times.
        assert 2 <= asked < 21
        queue.final(queue.enqueue("noop", {}))
        assert metric(client, "statements_total", statement="results") - asked <= 1


def test_a_drain_ends_the_streams(database: str, tmp_path: Path) -> None:
    """An open dashboard keeps no service from ending, and sees that it is drained."""
    with web_service(database, tmp_path) as (service, queue, client), client.stream("GET", "/events") as stream:
        job = queue.enqueue("gate", {"gate": str(tmp_path / "gate")})
        queue.running(job)
        lines = stream.iter_lines()
        assert any("taking jobs" in line for line in lines)
        service.process.terminate()
        assert any("draining" in line for line in lines)
        (tmp_path / "gate").touch()
        assert list(lines) is not None
        assert service.process.wait(60) == 0
        assert queue.job(job)["status"] == "completed"
