"""Metrics: what happened is counted, under names that stay."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.prepared import CHECKOUT
from tests.web.support import SQUARE, metric, web_service


def test_what_becomes_of_jobs_is_counted(database: str, tmp_path: Path) -> None:
    """Claims, attempts by outcome, verdicts, waits, renders, children that ended, by kind or cause."""
    with web_service(database, tmp_path) as (_, queue, client):
        queue.final(queue.enqueue("svg", SQUARE))
        queue.final(queue.enqueue("svg", {"svg": "no drawing"}))
        queue.final(queue.enqueue("sleep", {}, timeout="0.1 s"))
        assert metric(client, "claims_total", kind="svg") == 2
        assert metric(client, "attempts_total", kind="svg", outcome="ok") == 1
        assert metric(client, "attempts_total", kind="svg", outcome="invalid") == 1
        assert metric(client, "attempts_total", kind="sleep", outcome="timeout") == 2
        assert metric(client, "jobs_total", kind="sleep", verdict="queued") == 1
        assert metric(client, "jobs_total", kind="sleep", verdict="failed") == 1
        assert metric(client, "child_kills_total", cause="timeout") == 2
        assert metric(client, "queue_wait_seconds_count", kind="sleep") == 2
        assert metric(client, "render_seconds_sum", kind="sleep") >= 0.2
        assert metric(client, "peak_memory_bytes_count", kind="svg") == 2
        assert metric(client, "statements_total", statement="exchange") >= 3
        assert metric(client, "link_up", link="work") == metric(client, "link_up", link="listen") == 1


def test_what_is_a_state_is_told_as_it_is(database: str, tmp_path: Path) -> None:
    """Children by what they do; jobs that run."""
    with web_service(database, tmp_path, RENDER_CONCURRENCY=1) as (_, queue, client):
        job = queue.enqueue("gate", {"gate": str(tmp_path / "gate")})
        queue.running(job)
        assert metric(client, "children", state="busy") == 1
        assert metric(client, "jobs_running") == 1
        (tmp_path / "gate").touch()
        queue.final(job)
        assert metric(client, "jobs_running") == 0


def test_figures_of_the_queue_come_with_the_poll(database: str, tmp_path: Path) -> None:
    """Depth, age and dead letters, as of the last one."""
    with web_service(database, tmp_path, RENDER_POLLING_INTERVAL=0.1, RENDER_CONCURRENCY=1) as (_, queue, client):
        running = queue.enqueue("gate", {"gate": str(tmp_path / "gate")})
        queue.running(running)
        waiting = [queue.enqueue("noop", {}, user_id=str(number)) for number in range(3)]
        polls = metric(client, "statements_total", statement="poll")
        while metric(client, "statements_total", statement="poll") < polls + 2:
            pass
        # What is claimed ahead of a free child does not wait in the database.
        claimed = metric(client, "jobs_waiting")
        assert metric(client, "queue_depth", kind="noop") + claimed == 3
        assert metric(client, "queue_running") == 1 + claimed
        (tmp_path / "gate").touch()
        for job in waiting:
            queue.final(job)


def test_the_format_is_prometheuss(database: str, tmp_path: Path) -> None:
    """A parser reads it; every metric has help and stands in docs/metrics.md, and that names no other."""
    documented = {
        line.split("`")[1]
        for line in (CHECKOUT / "docs" / "metrics.md").read_text().splitlines()
        if line.startswith("| `jobsupervisor_")
    }
    with web_service(database, tmp_path) as (_, queue, client):
        queue.final(queue.enqueue("svg", {"svg": "no drawing"}))
        queue.final(queue.enqueue("sleep", {}, timeout="0.1 s"))
        answer = client.get("/api/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        families = list(text_string_to_metric_families(answer.text))
        assert all(family.documentation for family in families)
        ours = {
            family.name + ("_total" if family.type == "counter" else "")
            for family in families
            if family.name.startswith("jobsupervisor_") and not family.name.endswith("_created")
        }
        assert ours == documented
