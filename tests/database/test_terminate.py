"""Single connections that end, and locks that others hold: the two connections recover independently."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.database.support import changes, event, recovered, sessions
from tests.service.support import artifact, service_and_queue

END = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = any(%s)
"""
WORK, LISTEN = "jobsupervisor main work", "jobsupervisor listen"


@pytest.mark.parametrize(("application", "connection"), [(WORK, "work"), (LISTEN, "listen")], ids=["work", "listen"])
def test_an_idle_connection_that_ends_is_noticed_at_once(
    database: str, tmp_path: Path, application: str, connection: str
) -> None:
    """Nothing is sent and the next poll is an hour away: still it is noticed, and only that connection is made anew."""
    with service_and_queue(database, tmp_path) as (service, queue):
        (before,) = queue.rows("select id, name from jobsupervisor.supervisor")
        queue.rows(END, [application])
        recovered(service, connection)
        assert {which for _, which in changes(service)} == {connection}
        assert artifact(queue.final(queue.enqueue("write", {"text": "after"}))) == b"after"
        assert queue.rows("select id, name from jobsupervisor.supervisor") == [before]


def test_connections_that_end_under_load_lose_and_double_nothing(database: str, tmp_path: Path) -> None:
    """Both connections end again and again while jobs run: each job completes, none is lost, none is charged twice."""
    with service_and_queue(database, tmp_path) as (service, queue):
        jobs = [queue.enqueue("write", {"text": str(number)}) for number in range(60)]
        for job in jobs[::6]:
            queue.final(job)
            queue.rows(END, [WORK, LISTEN])
        for number, job in enumerate(jobs):
            row = queue.final(job)
            assert artifact(row) == str(number).encode()
            assert (row["attempts"], queue.outcomes(job)) == (1, ["ok"])
        assert not service.events("job.lease_lost")
        assert service.stop() == 0


def test_a_lock_on_the_queue_is_waited_out_on_the_same_connection(database: str, tmp_path: Path) -> None:
    """Somebody's ALTER TABLE holds the table past our lock timeout: one line, no reconnect, and the ack is sent after it."""
    with psycopg.connect(database) as operator, service_and_queue(database, tmp_path) as (service, queue):
        gate = tmp_path / "gate"
        job = queue.enqueue("gate", {"gate": str(gate)})
        queue.running(job)
        before = sessions(operator)
        operator.execute("lock table jobsupervisor.job in access exclusive mode")
        gate.touch()
        trouble = event(service, "database.troubled", connection="work")
        assert "lock timeout" in trouble["problem"]
        operator.rollback()
        row = queue.final(job)
        assert artifact(row) == b"passed the gate"
        assert (row["attempts"], queue.outcomes(job)) == (1, ["ok"])
        event(service, "database.recovered", connection="work")
        assert changes(service) == [("troubled", "work"), ("recovered", "work")]
        assert sessions(operator) == before
