"""Jobs and artifacts over HTTP: what is asked is answered, what is wrong is told, what is a stranger's stays harmless."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import psycopg
from openapi_spec_validator import validate

from supervisor.store.calls import MOST_ROWS
from supervisor.web.openapi import document
from tests.service.support import Queue, artifact
from tests.web.support import SQUARE, WITH_TOKEN, Site, ids, web_service


def three_jobs(queue: Queue) -> tuple[str, str, str]:
    """Return one that is done, one that is dead and one for later, in the order in which they were enqueued.

    Each is at its end before the next: which of two of one millisecond is listed first is left to chance.
    """
    done = queue.enqueue("noop", {}, user_id="u1", correlation_id="r1")
    queue.final(done)
    dead = queue.enqueue("svg", {"svg": "no drawing"}, user_id="u2")
    queue.final(dead)
    return done, dead, queue.enqueue("noop", {}, user_id="u1", run_at="2100-01-01")


def test_a_page_of_jobs_is_what_the_view_says(site: Site) -> None:
    """Newest first, from all three places where jobs are kept, with the columns of render_jobs."""
    _, queue, client = site
    done, dead, later = three_jobs(queue)
    answer = client.get("/api/jobs")
    assert ids(answer) == [later, dead, done]
    told = {job["id"]: job for job in answer.json()["jobs"]}
    for job_id in (later, dead, done):
        row = queue.job(job_id)
        assert set(told[job_id]) == set(row)
        for column in ("kind", "status", "user_id", "failure", "error", "attempts", "correlation_id"):
            assert told[job_id][column] == row[column]


FOUND_BY = [
    ("status=queued", ["later"]),
    ("status=failed", ["dead"]),
    ("status=completed", ["done"]),
    ("status=cancelled", []),
    ("kind=svg", ["dead"]),
    ("user_id=u1", ["later", "done"]),
    ("user_id=u1&status=completed", ["done"]),
    ("correlation_id=r1", ["done"]),
    ("limit=2", ["later", "dead"]),
    ("user_id='%20or%20true--", []),
    ("status=&kind=&user_id=&correlation_id=&before=&limit=", ["later", "dead", "done"]),
    ("status=failed&kind=", ["dead"]),
]


def test_jobs_are_found(site: Site) -> None:
    """By status, kind, tenant and correlation id, together or alone; a value is a value whatever it holds."""
    _, queue, client = site
    jobs = dict(zip(("done", "dead", "later"), three_jobs(queue), strict=True))
    for question, wanted in FOUND_BY:
        assert ids(client.get(f"/api/jobs?{question}")) == [jobs[name] for name in wanted], question


def test_pages_follow_each_other(site: Site) -> None:
    """`before` of one page asks for the next, until nothing is left, and no job is twice or missing."""
    _, queue, client = site
    queue.rows("select enqueue_render('noop', '{}', run_at => '2100-01-01') from generate_series(1, 7)")
    found: list[str] = []
    question = "/api/jobs?limit=3"
    for size in (3, 3, 1):
        answer = client.get(question)
        assert len(ids(answer)) == size
        found += ids(answer)
        question = f"/api/jobs?limit=3&before={answer.json()['before']}"
    assert answer.json()["before"] is None
    assert found == sorted(set(found), reverse=True)
    assert len(found) == 7


def test_one_job_comes_with_its_attempts(site: Site) -> None:
    """How each ended, and who ran it."""
    _, queue, client = site
    job = queue.enqueue("sleep", {}, timeout="0.1 s")
    queue.final(job)
    told = client.get(f"/api/jobs/{job}").json()
    assert (told["status"], told["failure"]) == ("failed", "timeout")
    assert [attempt["outcome"] for attempt in told["attempts_made"]] == ["timeout", "timeout"]
    assert told["attempts_made"][0]["supervisor"] == "main"


def test_an_artifact_is_served_whole_and_in_ranges(site: Site) -> None:
    """As the renderer wrote it, with its type; a browser that plays a video asks for ranges."""
    _, queue, client = site
    job = queue.enqueue("svg", SQUARE)
    png = artifact(queue.final(job))
    answer = client.get(f"/api/jobs/{job}/artifact")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, png, "image/png")
    part = client.get(f"/api/jobs/{job}/artifact", headers={"range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    for wrong in ("lines=1-3", "bytes=3-1", "bytes=", "bytes=a-b", f"bytes={'9' * 5000}-", "1-3"):
        answer = client.get(f"/api/jobs/{job}/artifact", headers={"range": wrong})
        assert (answer.status_code, answer.content) == (200, png), wrong
    assert client.get(f"/api/jobs/{job}/artifact", headers={"range": "bytes=999999-"}).status_code == 416


def test_a_strangers_artifact_runs_no_script(site: Site) -> None:
    """A document is a download, under a policy that forbids all; its type is not guessed from its bytes."""
    _, queue, client = site
    script = "<script>alert(1)</script>"
    job = queue.enqueue("write", {"text": script, "content_type": "text/html"})
    queue.final(job)
    answer = client.get(f"/api/jobs/{job}/artifact")
    assert answer.text == script
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"


EXECUTED = [
    "text/html",
    "TEXT/HTML; charset=utf-8",
    "text/javascript",
    "application/javascript",
    "application/ecmascript",
    "text/jscript",
    "application/xhtml+xml",
    "image/svg+xml",
    "text/css",
    "text/xml",
    "application/xml",
    "application/rss+xml",
    "application/wasm",
    "text/vtt",
    "text/event-stream",
    "multipart/x-mixed-replace",
    "application/x-shockwave-flash",
    "text/x-component",
    "application/manifest+json",
    "text/markdown",
    "font/woff2",
    "message/rfc822",
    "application/x-unknown",
]
INERT = [
    ("image/png", "image/png", "inline"),
    ("IMAGE/PNG; a=b", "image/png", "inline"),
    ("video/mp4", "video/mp4", "inline"),
    ("application/pdf", "application/pdf", "inline"),
    ("text/plain", "text/plain; charset=utf-8", "inline"),
    ("text/plain; charset=utf-16", "text/plain; charset=utf-16", "inline"),
    ("text/plain; charset=utf-7", "text/plain; charset=utf-8", "inline"),
    ("application/json", "application/json", "attachment"),
    ("application/zip", "application/zip", "attachment"),
]


def test_only_what_a_browser_does_not_run_keeps_its_type(site: Site) -> None:
    """A script or a style of a stranger's, used by another page, would run as ours; so would what is not known here."""
    _, queue, client = site
    job = queue.enqueue("write", {"text": "x"})
    queue.final(job)
    expected = [(media_type, "application/octet-stream", "attachment") for media_type in EXECUTED]
    for media_type, sent, shown in expected + INERT:
        queue.rows("update jobsupervisor.finished_job set content_type = %s where id = %s returning 1", media_type, job)
        answer = client.get(f"/api/jobs/{job}/artifact")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == sent, media_type
        assert answer.headers["content-disposition"].split(";")[0] == shown, media_type
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_many_ranges_are_answered_with_all(site: Site) -> None:
    """Each would be a part of its own, and thousands fit into a header."""
    _, queue, client = site
    job = queue.enqueue("write", {"text": "0123456789"})
    queue.final(job)
    few = {"range": "bytes=0-1,4-5"}
    assert client.get(f"/api/jobs/{job}/artifact", headers=few).status_code == 206
    many = {"range": "bytes=" + ",".join(f"{number}-{number}" for number in range(9))}
    assert client.get(f"/api/jobs/{job}/artifact", headers=many).status_code == 200


def test_a_file_outside_the_directory_is_not_served(site: Site) -> None:
    """Whatever a row says: what another supervisor stored elsewhere is not this one's to give."""
    service, queue, client = site
    job = queue.enqueue("svg", SQUARE)
    queue.final(job)
    for url in ("file:///etc/passwd", f"file://{service.artifacts}/../{service.log.name}", "https://elsewhere/x.png"):
        queue.rows("update jobsupervisor.finished_job set output_url = %s returning 1", url)
        answer = client.get(f"/api/jobs/{job}/artifact")
        assert answer.status_code == 404, url
        assert url in answer.json()["error"]


WRONG = [
    ("/api/jobs?limit=0", 422, "limit"),
    (f"/api/jobs?limit={MOST_ROWS + 1}", 422, "limit"),
    ("/api/jobs?limit=" + "9" * 3000, 422, "limit"),
    ("/api/jobs?status=done", 422, "status"),
    ("/api/jobs?before=x", 422, "before"),
    ("/api/jobs?user=1", 422, "user"),
    ("/api/jobs?user_id=%00", 422, "NUL"),
    ("/api/jobs/x", 422, "UUID"),
    (f"/api/jobs/{uuid4()}", 404, "never enqueued"),
    (f"/api/jobs/{uuid4()}/artifact", 404, "never enqueued"),
    ("/api/nothing", 404, "openapi"),
]


def test_what_is_wrong_is_told(site: Site) -> None:
    """The rule and the value, as JSON; no traceback, and the service goes on."""
    service, _, client = site
    for path, status, word in WRONG:
        answer = client.get(path)
        assert answer.status_code == status, answer.text
        assert word in answer.json()["error"], answer.text
    assert client.put("/api/jobs", headers=WITH_TOKEN).status_code == 405
    assert client.get("/api/health/live").status_code == 200
    assert "Traceback" not in service.log.read_text()


def test_a_job_without_an_artifact_says_so(site: Site) -> None:
    """Its status is in the message."""
    _, queue, client = site
    job = queue.enqueue("noop", {}, run_at="2100-01-01")
    answer = client.get(f"/api/jobs/{job}/artifact")
    assert answer.status_code == 404
    assert "queued" in answer.json()["error"]


def test_cancel_and_redrive(site: Site) -> None:
    """With the token; what cannot be redriven is refused with the reason."""
    _, queue, client = site
    waiting = queue.enqueue("noop", {}, run_at="2100-01-01")
    answer = client.post(f"/api/jobs/{waiting}/cancel", headers=WITH_TOKEN)
    assert answer.json() == {"id": waiting, "cancelled": True}
    assert queue.final(waiting)["status"] == "cancelled"
    assert client.post(f"/api/jobs/{waiting}/cancel", headers=WITH_TOKEN).json()["cancelled"] is False
    assert client.post(f"/api/jobs/{waiting}/redrive", headers=WITH_TOKEN).status_code == 422
    dead = queue.enqueue("svg", {"svg": "no drawing"})
    queue.final(dead)
    assert client.post(f"/api/jobs/{dead}/redrive", headers=WITH_TOKEN).json() == {"id": dead}


def test_the_description_holds(site: Site) -> None:
    """It is valid OpenAPI; each path in it is answered; a job has the columns that it names."""
    validate(document())
    _, queue, client = site
    described = client.get("/api/openapi.json").json()
    assert described == document()
    job = queue.enqueue("svg", SQUARE)
    queue.final(job)
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            answer = client.request(method.upper(), path.replace("{id}", job), headers=WITH_TOKEN)
            assert str(answer.status_code) in operation["responses"], (path, answer.text)
    schema = described["components"]["schemas"]["Job"]
    assert set(client.get(f"/api/jobs/{job}").json()) == set(schema["properties"])


def test_the_database_may_be_slow(database: str, tmp_path: Path) -> None:
    """A question that waits for a lock is given up and told; health is not in its way, and lists come back."""
    with web_service(database, tmp_path) as (_, queue, client), psycopg.connect(database) as other:
        job = queue.enqueue("noop", {})
        queue.final(job)
        other.execute("lock table jobsupervisor.dead_letter in access exclusive mode")
        answer = client.get("/api/jobs")
        assert answer.status_code == 503
        assert "narrow" in answer.json()["error"] or "lock" in answer.json()["error"]
        assert client.get("/api/health").status_code == 200
        other.rollback()
        assert ids(client.get("/api/jobs")) == [job]
