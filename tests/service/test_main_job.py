"""The main job: one SQL call, a real file back."""

from __future__ import annotations

import functools
import hashlib
import re
import signal
import stat
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from renderer import samples
from tests.service.support import PLUGINS, Queue, Service, artifact, service_and_queue


@pytest.mark.each_server
def test_one_call_gives_a_file(database: str, tmp_path: Path) -> None:
    """A committed call becomes a file whose bytes, size, type and hash are what render_jobs says."""
    with service_and_queue(database, tmp_path, RENDER_PLUGINS=PLUGINS) as (service, queue):
        row = queue.final(queue.enqueue("svg", samples.svg(), user_id="u1", correlation_id="req-7"))
        content = artifact(row)
        assert content.startswith(b"\x89PNG")
        assert row["output_bytes"] == len(content)
        assert row["output_sha256"] == hashlib.sha256(content).hexdigest()
        assert (row["content_type"], row["progress"], row["attempts"]) == ("image/png", 1, 1)
        assert row["user_id"] == "u1"
        assert row["created_at"] <= row["started_at"] <= row["finished_at"]
        (attempt,) = queue.attempts(str(row["id"]))
        assert (attempt["attempt"], attempt["outcome"], attempt["supervisor"]) == (1, "ok", "main")
        assert attempt["peak_memory_bytes"] > 1_000_000
        assert attempt["cpu_seconds"] > 0
        # The client may hear of it before the supervisor does: the log is whole when the service has ended.
        assert service.stop() == 0
        (line,) = service.events("job.completed")
        assert (line["job_id"], line["attempt"], line["correlation_id"]) == (str(row["id"]), 1, "req-7")


def test_rollback_leaves_no_job(database: str, tmp_path: Path) -> None:
    """A call in a transaction that rolls back never was; one that commits with other writes is rendered."""
    with service_and_queue(database, tmp_path) as (_, queue), psycopg.connect(database) as client:
        client.execute("create table invoice (id uuid)")
        client.commit()
        enqueue = "insert into invoice select enqueue_render('write', '{\"text\": \"hello\"}') returning id"
        rolled_back = client.execute(enqueue).fetchone()
        client.rollback()
        committed = client.execute(enqueue).fetchone()
        client.commit()
        assert rolled_back is not None
        assert committed is not None
        assert artifact(queue.final(str(committed[0]))) == b"hello"
        assert not queue.rows("select from render_jobs where id = %s", rolled_back[0])


def test_scene_becomes_a_video(database: str, tmp_path: Path) -> None:
    """The sample scene becomes an MP4 through the queue, with progress on the way."""
    with service_and_queue(database, tmp_path, RENDER_PLUGINS=PLUGINS) as (_, queue):
        spec = samples.scene()
        job = queue.enqueue("scene", spec, config='{"width": 320, "height": 180, "fps": 10}')
        content = artifact(queue.final(job))
        assert content[4:8] == b"ftyp"


def test_priority_and_run_at_decide_the_order(database: str, tmp_path: Path) -> None:
    """One child takes higher priorities first, then older jobs; a delayed job waits until it is due.

    The jobs tell when they began: `started_at` is as late as the statement was under way that said when.
    """
    plugins = "stamp=benchmarks.kinds:stamp"
    with Queue(database, plugins) as queue:
        late = queue.enqueue("stamp", {}, priority=9, run_at="2999-01-01")
        low, first, second, high = (queue.enqueue("stamp", {}, priority=priority) for priority in (-1, 0, 0, 5))
        with Service(database, tmp_path, RENDER_CONCURRENCY=1, RENDER_PLUGINS=plugins) as service:
            service.ready()
            began = {job: int(artifact(queue.final(job))) for job in (low, first, second, high)}
        assert sorted(began, key=began.__getitem__) == [high, first, second, low]
        assert queue.job(late)["status"] == "queued"


def test_delayed_job_starts_when_due_without_polling(database: str, tmp_path: Path) -> None:
    """A job that is due in a second is started by the clock: the fallback poll is an hour away."""
    with service_and_queue(database, tmp_path) as (_, queue):
        (due,) = queue.rows("select now() + interval '1 second' as at")
        row = queue.final(queue.enqueue("write", {"text": "later"}, run_at=due["at"]))
        assert row["started_at"] >= due["at"]


def test_artifact_files_are_readable_and_alone(database: str, tmp_path: Path) -> None:
    """The directory holds one file per completed job, readable by whoever serves it, and nothing half-written."""
    with service_and_queue(database, tmp_path, RENDER_ARTIFACTS_MODE="0644") as (service, queue):
        rows = [queue.final(queue.enqueue("write", {"text": f"number {n}"})) for n in range(5)]
        files = service.published()
        assert sorted(map(str, files)) == sorted(urlsplit(row["output_url"]).path for row in rows)
        assert all(stat.S_IMODE(path.stat().st_mode) & 0o044 for path in files)


def test_cancel_kills_the_child_and_publishes_nothing(database: str, tmp_path: Path) -> None:
    """Cancelling a running job ends its child; a queued one is cancelled at once; a finished one is not."""
    with service_and_queue(database, tmp_path) as (service, queue):
        job = queue.enqueue("gate", {"gate": str(tmp_path / "never")})
        queue.running(job)
        child = service.child_with(job)
        assert queue.rows("select cancel_render(%s)", job) == [{"cancel_render": True}]
        assert queue.final(job)["status"] == "cancelled"
        child.wait(60)
        assert queue.outcomes(job) == ["cancelled"]
        assert queue.rows("select cancel_render(%s)", job) == [{"cancel_render": False}]
        assert not service.published()


def test_drain_finishes_what_runs_and_gives_back_the_rest(database: str, tmp_path: Path) -> None:
    """SIGTERM: the running job completes, waiting ones stay queued and uncharged, the exit code is 0."""
    with service_and_queue(database, tmp_path, RENDER_CONCURRENCY=1) as (service, queue):
        gate = tmp_path / "gate"
        running = queue.enqueue("gate", {"gate": str(gate)})
        queue.running(running)
        waiting = [queue.enqueue("write", {"text": "x"}) for _ in range(3)]
        service.process.send_signal(signal.SIGTERM)
        service.wait_for_notice("STOPPING=1")
        gate.touch()
        assert service.process.wait(60) == 0
        assert queue.job(running)["status"] == "completed"
        assert [(queue.job(job)["status"], queue.job(job)["attempts"]) for job in waiting] == [("queued", 0)] * 3
        assert not queue.rows("select from jobsupervisor.supervisor")


def test_stop_at_once_gives_running_jobs_back_uncharged(database: str, tmp_path: Path) -> None:
    """A second SIGTERM ends the drain: the child is killed, its job is queued again and not charged."""
    with service_and_queue(database, tmp_path) as (service, queue):
        job = queue.enqueue("sleep", {})
        queue.running(job)
        service.process.send_signal(signal.SIGTERM)
        service.wait_for_notice("STOPPING=1")
        assert service.stop() == 0
        row = queue.job(job)
        assert (row["status"], row["attempts"], queue.outcomes(job)) == ("queued", 0, ["internal"])


def test_polling_only_works_without_notifications(database: str, tmp_path: Path) -> None:
    """With events off there is no LISTEN connection; jobs are found by the fallback poll."""
    with service_and_queue(database, tmp_path, RENDER_ENABLE_EVENTS="false", RENDER_POLLING_INTERVAL=0.1) as (
        service,
        queue,
    ):
        assert artifact(queue.final(queue.enqueue("write", {"text": "polled"}))) == b"polled"
        names = queue.rows(
            "select application_name from pg_stat_activity "
            "where datname = current_database() and application_name like 'jobsupervisor%'"
        )
        assert [row["application_name"] for row in names] == ["jobsupervisor main work"]
        assert service.stop() == 0


def test_polling_only_claims_beside_an_ack(database: str, tmp_path: Path) -> None:
    """Nobody says there what was enqueued after the last claim found no more: an ack looks, and waits for no poll."""
    with Queue(database) as queue:
        gate = tmp_path / "gate"
        first = queue.enqueue("gate", {"gate": str(gate)})
        with Service(database, tmp_path, RENDER_ENABLE_EVENTS="false") as service:
            service.ready()
            queue.running(first)
            second = queue.enqueue("write", {"text": "second"})
            gate.touch()
            assert artifact(queue.final(second)) == b"second"
            assert service.stop() == 0


def _polled_after(last: datetime, row: dict[str, Any]) -> bool:
    return bool(row["seen_at"] > last)


def test_idle_supervisor_sends_one_statement_per_poll(database: str, tmp_path: Path) -> None:
    """While idle, the transactions of the work connection are the polls and nothing else."""
    with service_and_queue(database, tmp_path, RENDER_POLLING_INTERVAL=0.5) as (_, queue):
        queue.final(queue.enqueue("write", {"text": "x"}))
        seen = (
            "select seen_at, query from jobsupervisor.supervisor, pg_stat_activity "
            "where datname = current_database() and application_name like '% work'"
        )
        last = queue.rows(seen)[0]["seen_at"]
        for _ in range(4):
            row = queue.until_row(seen, functools.partial(_polled_after, last))
            assert row["query"].lstrip().startswith("-- The fallback poll"), row["query"]
            last = row["seen_at"]


def test_titles_say_what_runs(database: str, tmp_path: Path) -> None:
    """The process list tells which child has which job, and which are idle."""
    with service_and_queue(database, tmp_path) as (service, queue):
        job = queue.enqueue("gate", {"gate": str(tmp_path / "gate")})
        queue.running(job)
        titles = {" ".join(process.cmdline()).strip() for process in service.processes()}
        assert (
            sum(re.fullmatch(rf"jobsupervisor: child \d+ \[gate {job}\]", title) is not None for title in titles) == 1
        )
        assert any(re.fullmatch(r"jobsupervisor: child \d+ \[idle\]", title) for title in titles)
        assert "jobsupervisor: fork server" in titles
        (tmp_path / "gate").touch()
        queue.final(job)
