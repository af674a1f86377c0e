"""A service whose schema or privileges are taken away says once what is wrong, by the query's name, and ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from supervisor.embedded import EmbeddedServer
from supervisor.retention import keep_house
from supervisor.store.connection import StatementFailed
from tests.client.support import NO_TEXT, database_of_any_bytes
from tests.database.support import event, recovered
from tests.queue.support import settings_for
from tests.service.support import Service, artifact, service_and_queue

ROLE = "service_role"
WAKE = "notify jobsupervisor_wake"


def last_words(service: Service) -> str:
    """Wait until the service ends by itself with exit code 1; return its one message, which is no traceback."""
    assert service.process.wait(60) == 1
    said = service.log.read_text()
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if not line.startswith("{")]
    return line


def take_away(operator: psycopg.Connection[Any], statement: str) -> None:
    """Run a statement that locks many tables; a claim may be under way that has them in another order."""
    while True:
        try:
            operator.execute(statement.encode())
        except psycopg.errors.DeadlockDetected:
            continue
        return


@pytest.mark.parametrize(
    "statement",
    [
        "drop schema jobsupervisor cascade",
        "drop table jobsupervisor.job cascade",
    ],
    ids=["schema", "queue"],
)
def test_something_is_taken_away(database: str, tmp_path: Path, statement: str) -> None:
    """The server's own message, without our statement around it, with the name of the query and what to do."""
    with psycopg.connect(database, autocommit=True) as operator, Service(database, tmp_path) as service:
        service.ready()
        take_away(operator, statement)
        operator.execute(WAKE)
        line = last_words(service)
        assert line.startswith("the database must take our statement ")
        assert 'refused it for good: relation "jobsupervisor.' in line
        assert "(SQLSTATE 42P01)" in line
        assert "select" not in line
        assert line.endswith("`jobsupervisor migrate --check`")


def test_what_acknowledges_is_taken_away(database: str, tmp_path: Path) -> None:
    """A claim does not read what only an acknowledgement writes: the first job that ends says what is missing."""
    with psycopg.connect(database, autocommit=True) as operator, Service(database, tmp_path) as service:
        service.ready()
        take_away(operator, "drop table jobsupervisor.attempt cascade")
        operator.execute("select enqueue_render('noop', '{}')")
        line = last_words(service)
        assert 'refused it for good: relation "jobsupervisor.attempt" does not exist (SQLSTATE 42P01)' in line


@pytest.fixture
def serving(database: str) -> Iterator[str]:
    """Provide the URL of a role that may do what a service does, and owns nothing."""
    role = sql.Identifier(ROLE)
    grants = (
        "create role {} login",
        "grant usage on schema jobsupervisor to {}",
        "grant all on all tables in schema jobsupervisor to {}",
        "grant all on all sequences in schema jobsupervisor to {}",
        "grant all on all functions in schema jobsupervisor to {}",
    )
    with psycopg.connect(database, autocommit=True) as owner:
        for grant in grants:
            owner.execute(sql.SQL(grant).format(role))
        try:
            yield make_conninfo(database, user=ROLE)
        finally:
            owner.execute(sql.SQL("drop owned by {}").format(role))
            owner.execute(sql.SQL("drop role {}").format(role))


def test_a_privilege_is_revoked(database: str, serving: str, tmp_path: Path) -> None:
    """No later try can help, so it ends; with the privilege back the next start serves."""
    with psycopg.connect(database, autocommit=True) as operator:
        with Service(serving, tmp_path) as service:
            service.ready()
            operator.execute(f"revoke update on jobsupervisor.job from {ROLE}".encode())
            operator.execute(WAKE)
            line = last_words(service)
            assert "'exchange', and refused it for good: permission denied for table job (SQLSTATE 42501)" in line
        operator.execute(f"grant update on jobsupervisor.job to {ROLE}".encode())
        with Service(serving, tmp_path) as successor:
            assert successor.ready().stop() == 0


def test_a_privilege_is_missing_at_the_start(database: str, serving: str, tmp_path: Path) -> None:
    """Likewise, and before any job is claimed."""
    with psycopg.connect(database) as operator:
        operator.execute(f"revoke insert on jobsupervisor.supervisor from {ROLE}".encode())
    with Service(serving, tmp_path) as service:
        assert "'register_supervisor', and refused it for good: permission denied" in last_words(service)


def test_housekeeping_without_its_tables(database: str, tmp_path: Path) -> None:
    """What keeps house meets the same, and ends in the same kind of error."""
    settings = settings_for(database, RENDER_ARTIFACTS_URL=f"file://{tmp_path}")
    assert keep_house(settings) is not None
    with psycopg.connect(database) as operator:
        operator.execute("drop table jobsupervisor.finished_job cascade")
    with pytest.raises(StatementFailed, match=r"'retention', .*finished_job.* \(SQLSTATE 42P01\)"):
        keep_house(settings)


def test_a_notification_that_is_no_text(pg_server: EmbeddedServer, tmp_path: Path) -> None:
    """In a database whose encoding lets every byte through it costs the connection it came over, and nothing else."""
    with (
        database_of_any_bytes(pg_server) as url,
        service_and_queue(f"{url}&client_encoding=UTF8", tmp_path) as (service, queue),
    ):
        with psycopg.connect(url) as stranger:
            stranger.execute(NO_TEXT.format("jobsupervisor_wake").encode())
        recovered(service, "listen")
        assert artifact(queue.final(queue.enqueue("write", {"text": "after"}))) == b"after"
        assert service.stop() == 0


def test_too_many_connections_at_the_start(serving: str, database: str, tmp_path: Path) -> None:
    """Told in one message that names the limit."""
    with psycopg.connect(database) as operator:
        operator.execute(f"alter role {ROLE} connection limit 0".encode())
    with Service(serving, tmp_path) as service:
        line = last_words(service)
        assert line.startswith("the database must be reachable: ")
        assert f'too many connections for role "{ROLE}"' in line


def test_too_many_connections_afterwards(serving: str, database: str, tmp_path: Path) -> None:
    """A service that is cut off and finds no room waits for some, as for any server that is away."""
    with psycopg.connect(database, autocommit=True) as operator, Service(serving, tmp_path) as service:
        service.ready()
        operator.execute(f"alter role {ROLE} connection limit 0".encode())
        operator.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [ROLE])
        event(service, "database.lost", connection="work")
        event(service, "database.lost", connection="listen")
        operator.execute(f"alter role {ROLE} connection limit -1".encode())
        event(service, "database.recovered", connection="work")
        event(service, "database.recovered", connection="listen")
        assert service.stop() == 0
