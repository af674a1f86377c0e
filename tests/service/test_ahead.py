"""Jobs that a child holds beyond the one that it is at: they do not wait for it, and each is done once."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil

from tests.service.support import service_and_queue

BULK = "select enqueue_render('noop', '{}') from generate_series(1, %s)"
STATUSES = "select count(*) as jobs from render_jobs where status = %s"
ATTEMPTS = "select count(*) as attempts, count(distinct job_id) as jobs from render_attempts where outcome = 'ok'"


def _busiest(children: list[psutil.Process]) -> psutil.Process:
    """Return the child that has worked most: the next job is for it."""
    named = [process for process in children if "child" in " ".join(process.cmdline())]
    return max(named, key=lambda process: sum(process.cpu_times()[:2]))


def test_jobs_behind_one_that_hangs_go_to_another_child(database: str, tmp_path: Path) -> None:
    """A child stops while it holds many: one job waits with it, the others are done; when it goes on, that one is done too."""
    with service_and_queue(database, tmp_path, RENDER_CONCURRENCY=2) as (service, queue):
        # While it works: one that is idle is stopped anyway, and woken by its next job.
        queue.rows(BULK, 6000)
        queue.until_row(STATUSES, lambda row: row["jobs"] >= 100, "completed")
        stopped = _busiest(service.processes())
        stopped.send_signal(signal.SIGSTOP)
        try:
            queue.until_row(STATUSES, lambda row: row["jobs"] >= 5999, "completed")
            assert queue.rows(STATUSES, "processing") == [{"jobs": 1}]
        finally:
            stopped.send_signal(signal.SIGCONT)
        queue.until_row(STATUSES, lambda row: row["jobs"] == 6000, "completed")
        assert queue.rows(ATTEMPTS) == [{"attempts": 6000, "jobs": 6000}]
        assert queue.rows("select from render_attempts where outcome <> 'ok'") == []


def test_a_child_that_dies_with_many_costs_one_of_them_an_attempt(database: str, tmp_path: Path) -> None:
    """It is killed with many in its hands: at most the one that it was at is tried again, all are completed."""
    with service_and_queue(database, tmp_path, RENDER_CONCURRENCY=2, RENDER_RETRY_DELAY_SECONDS=0) as (service, queue):
        queue.rows(BULK, 6000)
        queue.until_row(STATUSES, lambda row: row["jobs"] >= 100, "completed")
        stopped = _busiest(service.processes())
        stopped.send_signal(signal.SIGSTOP)
        queue.until_row(STATUSES, lambda row: row["jobs"] >= 1, "processing")
        stopped.kill()
        queue.until_row(STATUSES, lambda row: row["jobs"] == 6000, "completed")
        lost = queue.rows("select outcome, exit_signal from render_attempts where outcome <> 'ok'")
        assert lost in ([], [{"outcome": "crash", "exit_signal": signal.SIGKILL}])
