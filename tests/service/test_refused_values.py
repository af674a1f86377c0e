"""A value that the database refuses, in a service that runs: one attempt ends as ours, and everything else goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.service.support import artifact, service_and_queue

TINY = ["1e-50", "5e-324", "1e-39", "0.30000000000000004"]
REFUSES = """
    create function refuses() returns trigger language plpgsql as $$
    begin
        perform 1 / case when new.error like '%poison%' then 0 else 1 end;
        return new;
    end $$;
    create trigger refuses before insert on jobsupervisor.attempt for each row execute function refuses();
"""


def settles(row: dict[str, Any]) -> bool:
    """Whether a job waits for another try after an attempt that was ours, and that is not counted."""
    return (row["status"], row["failure"], row["attempts"]) == ("queued", "internal", 0)


@pytest.mark.parametrize("fraction", TINY)
def test_a_tiny_progress(fraction: str, database: str, tmp_path: Path) -> None:
    """`out.progress(1e-50)` is in range, and no `real`: it ended the service, and each one that took over its job."""
    with service_and_queue(database, tmp_path) as (service, queue):
        jobs = [
            queue.enqueue("moves", f'{{"fractions": [{fraction}, 1e-45], "text": "{n}"}}', priority=n) for n in range(4)
        ]
        assert [artifact(queue.final(job)) for job in jobs] == [b"0", b"1", b"2", b"3"]
        assert service.stop() == 0
        assert service.events("ack.refused") == []


def test_an_ack_that_the_database_refuses(database: str, tmp_path: Path) -> None:
    """A trigger of the operator's refuses one job's failure: that attempt is `internal`, uncharged; its neighbours complete.

    The service lives, stays healthy, and a later try of the job counts once the trigger is gone.
    """
    with service_and_queue(database, tmp_path) as (service, queue):
        queue.execute(REFUSES)
        poison = queue.enqueue("fail", {"message": "poison"}, max_attempts=1)
        others = [queue.enqueue("write", {"text": str(n)}) for n in range(8)]
        assert [artifact(queue.final(job)) for job in others] == [str(n).encode() for n in range(8)]
        row = queue.until(poison, settles)
        assert "division by zero (SQLSTATE 22012)" in row["error"]
        assert queue.outcomes(poison)[0] == "internal"
        (event,) = service.events("ack.refused")[:1]
        assert event["job_id"] == poison
        queue.execute("drop trigger refuses on jobsupervisor.attempt")
        queue.execute("update jobsupervisor.job set run_at = now()")
        row = queue.final(poison)
        assert (row["status"], row["failure"]) == ("failed", "render_error")
        assert service.stop() == 0


def test_an_ack_that_the_database_never_takes(database: str, tmp_path: Path) -> None:
    """Not even as `internal`: the ack stays owed and is sent again, later each time, and no other job waits for it."""
    with service_and_queue(database, tmp_path) as (service, queue):
        queue.execute(REFUSES.replace("new.error like '%poison%'", "new.outcome <> 'ok'"))
        poison = queue.enqueue("fail", {"message": "any"}, max_attempts=1)
        for n in range(5):
            assert artifact(queue.final(queue.enqueue("write", {"text": str(n)}))) == str(n).encode()
        queue.until(poison, lambda _: len(service.events("ack.refused")) > 1)
        assert queue.job(poison)["status"] == "processing"
        queue.execute("drop trigger refuses on jobsupervisor.attempt")
        row = queue.final(poison)
        assert (row["status"], row["failure"]) == ("failed", "render_error")
        assert service.stop() == 0


def test_a_poll_that_the_database_refuses(database: str, tmp_path: Path) -> None:
    """A row that the poll cannot read is told, and keeps nobody's job from being claimed and acknowledged."""
    with service_and_queue(database, tmp_path, RENDER_POLLING_INTERVAL=0.2) as (service, queue):
        (lanes,) = queue.rows(
            "select pg_get_function_arguments(oid) as arguments, pg_get_function_result(oid) as result from pg_proc"
            " where proname = 'lanes' and pronamespace = 'jobsupervisor'::regnamespace"
        )
        queue.execute(
            f"create or replace function jobsupervisor.lanes({lanes['arguments']}) returns {lanes['result']}"
            " language plpgsql as $$ begin raise division_by_zero; end $$"
        )
        job = queue.enqueue("gate", {"gate": str(tmp_path / "gate")})
        queue.until(job, lambda _: len(service.events("poll.refused")) > 1)
        (tmp_path / "gate").touch()
        assert artifact(queue.final(job)) == b"passed the gate"
        assert artifact(queue.final(queue.enqueue("write", {"text": "next"}))) == b"next"
        assert service.stop() == 0
