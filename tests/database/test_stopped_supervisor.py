"""A supervisor that is stopped (SIGSTOP) while others take its jobs, and goes on: nothing that it does then counts.

A stopped process keeps its connections, and so its name's lock. What tells is that it does not poll when it should have; or
its session is ended, by an operator, or by a server whose probes a frozen machine does not answer. One test for each.
"""

from __future__ import annotations

import signal
from pathlib import Path

import psycopg

from tests.database.support import event, files, wait_until
from tests.service.support import Queue, Service, artifact

GRACE = {"RENDER_RESCUE_GRACE_SECONDS": 0.2}
OFTEN = {"RENDER_POLLING_INTERVAL": 0.1}
END_LISTEN = """
    select pg_terminate_backend(l.pid, 5000)
    from pg_locks l join jobsupervisor.supervisor s on s.lock_key = ((l.classid::bigint << 32) | l.objid::bigint)
    where l.locktype = 'advisory' and s.name = 'first'
"""


def test_a_late_ack_publishes_nothing(database: str, tmp_path: Path) -> None:
    """The other supervisor completed the job meanwhile: the late result is dropped and its file withdrawn.

    The one that was stopped serves on under its name.
    """
    gate = tmp_path / "gate"
    with (
        Queue(database) as queue,
        Service(database, tmp_path, RENDER_SUPERVISOR_NAME="first", **GRACE, **OFTEN) as first,
    ):
        first.ready()
        job = queue.enqueue("gate", {"gate": str(gate)})
        queue.running(job)
        first.process.send_signal(signal.SIGSTOP)
        with Service(database, tmp_path, RENDER_SUPERVISOR_NAME="second", **GRACE, **OFTEN) as second:
            second.ready()
            event(second, "job.rescued", job_id=job)
            queue.until(job, lambda row: row["status"] == "processing" and row["progress"] > 0)
            # Its child was not stopped: it ends now too, and its answer lies waiting for a supervisor.
            gate.touch()
            row = queue.final(job)
            assert artifact(row) == b"passed the gate"
            first.process.send_signal(signal.SIGCONT)
            event(first, "job.lease_lost", job_id=job, attempt=1)
            wait_until(
                lambda: [str(path) for path in files(first)] == [row["output_url"].removeprefix("file://")], dict
            )
            assert queue.job(job) == row
            assert [(each["supervisor"], each["outcome"]) for each in queue.attempts(job)] == [
                ("first", "lost"),
                ("second", "ok"),
            ]
            assert second.stop() == 0
        assert artifact(queue.final(queue.enqueue("write", {"text": "goes on"}))) == b"goes on"
        assert queue.rows("select name from jobsupervisor.supervisor") == [{"name": "first"}]
        assert first.stop() == 0


def test_its_own_job_comes_back_to_it_while_the_old_attempt_runs(database: str, tmp_path: Path) -> None:
    """Rescued and queued again, the job is claimed by the very supervisor in which its old attempt still renders.

    Of the two attempts side by side the old one is killed and dropped, and the new one counts.
    """
    gate, other_gate = tmp_path / "gate", tmp_path / "other"
    with Queue(database) as queue, Service(database, tmp_path, RENDER_SUPERVISOR_NAME="first", **GRACE) as first:
        first.ready()
        job = queue.enqueue("gate", {"gate": str(gate)})
        queue.running(job)
        first.process.send_signal(signal.SIGSTOP)
        # Its only child is busy for as long as this test likes.
        busy = queue.enqueue("gate", {"gate": str(other_gate)})
        with Service(
            database,
            tmp_path,
            RENDER_SUPERVISOR_NAME="second",
            RENDER_CONCURRENCY=1,
            **GRACE,
            **OFTEN,
        ) as second:
            second.ready()
            queue.running(busy)
            assert queue.rows(END_LISTEN)
            queue.until(job, lambda row: row["status"] == "queued")
            with psycopg.connect(database) as client:
                # Claims pass by a row that somebody holds: nobody claims before the first has its name back.
                client.execute("select from jobsupervisor.job where id = %s for update", [job])
                first.process.send_signal(signal.SIGCONT)
                event(first, "database.recovered", connection="listen")
                client.execute("notify jobsupervisor_wake")
            event(first, "job.lease_lost", job_id=job, attempt=1)
            gate.touch()
            row = queue.final(job)
            assert artifact(row) == b"passed the gate"
            assert [(each["supervisor"], each["outcome"]) for each in queue.attempts(job)] == [
                ("first", "lost"),
                ("first", "ok"),
            ]
            other_gate.touch()
            assert artifact(queue.final(busy)) == b"passed the gate"
            wait_until(lambda: len(files(first)) == 2, lambda: files(first))
            assert second.stop() == 0
        assert first.stop() == 0
