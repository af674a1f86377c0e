"""A supervisor that cannot have its name: to the others it looks dead, so it takes no job meanwhile.

It would be taken from it again, and counted as lost. Statements go on, and so does what runs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from operator import ne
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from supervisor.store.statements import query
from tests.database.support import changes, event
from tests.service.support import Queue, Service, artifact, service_and_queue

LISTENING = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = %s"
GIVEN_BACK = "select id, state, attempt, charged, updated_at > created_at as touched from jobsupervisor.job"
WAITING = """
    select count(*) from pg_stat_activity
    where datname = current_database() and application_name like 'jobsupervisor%' and wait_event_type = 'Lock'
"""


class Door:
    """A role of the LISTEN session's own, and who may come in by it."""

    def __init__(self, operator: psycopg.Connection[tuple[object, ...]], url: str) -> None:
        self._operator = operator
        self.role = f"listener_{conninfo_to_dict(url)['dbname']}"
        self.url = psycopg.conninfo.make_conninfo(url, user=self.role)

    def say(self, statement: str) -> None:
        """Run a statement about the role."""
        self._operator.execute(sql.SQL(statement).format(sql.Identifier(self.role)))

    def shut(self, service: Service) -> None:
        """Let nobody in, and put out who is; return when the service has noticed."""
        self.say("alter role {} nologin")
        self._operator.execute(LISTENING, [self.role])
        event(service, "database.lost", connection="listen")

    def open(self) -> None:
        """Let it in again."""
        self.say("alter role {} login")


@pytest.fixture
def door(database: str) -> Iterator[Door]:
    """Provide a way for the LISTEN session alone."""
    with psycopg.connect(database, autocommit=True) as operator:
        door = Door(operator, database)
        door.say("create role {} login")
        yield door
        door.say("drop role {}")


def running(queue: Queue, gate: Path) -> str:
    """Return a job that runs until the gate is there."""
    job = queue.enqueue("gate", {"gate": str(gate)})
    queue.running(job)
    return job


def test_nothing_is_claimed_while_the_name_is_not_held(database: str, door: Door, tmp_path: Path) -> None:
    """A child is free, a job waits, the end of another is told: it waits on, and is claimed when the name is held."""
    settings = {"LISTEN_DATABASE_URL": door.url, "RENDER_POLLING_INTERVAL": 0.05}
    with service_and_queue(database, tmp_path, **settings) as (service, queue):
        gate = tmp_path / "gate"
        first = running(queue, gate)
        door.shut(service)
        # The claim that was under way, if there was one, is over when the next poll is.
        polls(queue, 2)
        job = queue.enqueue("write", {"text": "waited"})
        gate.touch()
        assert artifact(queue.final(first)) == b"passed the gate"
        polls(queue, 3)
        assert (queue.job(job)["status"], queue.attempts(job)) == ("queued", [])
        door.open()
        assert artifact(queue.final(job)) == b"waited"
        assert queue.outcomes(job) == ["ok"]
        assert changes(service) == [("lost", "listen"), ("recovered", "listen")]
        assert queue.rows("select name from jobsupervisor.supervisor") == [{"name": "main"}]


def polls(queue: Queue, count: int) -> None:
    """Wait for so many polls."""
    seen = "select seen_at from jobsupervisor.supervisor"
    for _ in range(count):
        (last,) = queue.rows(seen)
        queue.until_row(seen, functools.partial(ne, last))


def test_what_was_being_claimed_is_given_back(database: str, door: Door, tmp_path: Path) -> None:
    """The name is lost while a claim is under way: what it claims is given back, uncharged, and not started."""
    with (
        psycopg.connect(database) as operator,
        service_and_queue(database, tmp_path, LISTEN_DATABASE_URL=door.url) as (service, queue),
    ):
        queue.final(queue.enqueue("write", {"text": "before"}))
        operator.execute("lock table jobsupervisor.job in access exclusive mode")
        operator.execute("select enqueue_render('write', '{\"text\": \"waited\"}')")
        queue.rows("select pg_notify('jobsupervisor_wake', '')")
        queue.until_row(WAITING, lambda row: row["count"] == 1)
        door.shut(service)
        operator.commit()
        row = queue.until_row(GIVEN_BACK, lambda row: row["touched"] and row["state"] == "queued")
        assert (row["attempt"], row["charged"]) == (0, 0)
        job = str(row["id"])
        assert job not in {line["job_id"] for line in service.events("job.started")}
        door.open()
        assert artifact(queue.final(job)) == b"waited"
        assert queue.outcomes(job) == ["ok"]


def test_one_whose_name_was_taken_goes_by_another(database: str, door: Door, tmp_path: Path) -> None:
    """Another session has the name by then: it works on under the next one, and what ran meanwhile counts."""
    with service_and_queue(database, tmp_path, LISTEN_DATABASE_URL=door.url) as (service, queue):
        gate = tmp_path / "gate"
        first = running(queue, gate)
        door.shut(service)
        with psycopg.connect(database, autocommit=True) as other:
            assert other.execute(query("lock_name"), {"name": "main"}).fetchone() == (True,)
            job = queue.enqueue("write", {"text": "waited"})
            door.open()
            assert artifact(queue.final(job)) == b"waited"
            assert [row["supervisor"] for row in queue.attempts(job)] == ["main#2"]
            gate.touch()
            assert artifact(queue.final(first)) == b"passed the gate"
            assert queue.outcomes(first) == ["ok"]
