"""The statements of docs/migration.md run as they are written, against tables of pg-boss's form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.commands import command, fails, open_home, rows_of
from tests.plugins.databases import create_database, drop_database

_PAGE = (Path(__file__).parent.parent / "docs/migration.md").read_text()
STATEMENTS = [text.strip() for text in re.findall(r"^ *```sql\n(.*?)^ *```$", _PAGE, re.MULTILINE | re.DOTALL)]
MOVE, COUNT, DROP_THEIRS, BACK, DROP_OURS = STATEMENTS

# pg-boss 10 and later, and 9; without the columns that play no part.
_COLUMNS = {
    "10": "start_after timestamptz not null default now(), retry_limit integer not null default 2",
    "9": "startafter timestamptz not null default now(), retrylimit integer not null default 2",
}
_TABLE = """
create schema pgboss;
create type pgboss.job_state as enum ('created', 'retry', 'active', 'completed', 'cancelled', 'failed');
create table pgboss.job (
    id uuid not null default gen_random_uuid(), name text not null, priority integer not null default 0, data jsonb,
    state pgboss.job_state not null default 'created', {columns}, primary key (name, id)) {partitions};
{partition}
insert into pgboss.job (name, state, priority, {start_after}, data)
select v.name, v.state::pgboss.job_state, v.priority, now() + v.delay, jsonb_build_object(
    'kind', 'svg', 'spec', jsonb_build_object('svg', '<svg/>'), 'userId', v.who)
from (values
    ('render', 'created', 3, interval '0', 'created'), ('render', 'retry', 0, interval '1 hour', 'retry'),
    ('render', 'active', 0, interval '0', 'active'), ('render', 'failed', 0, interval '0', 'failed'),
    ('other', 'created', 0, interval '0', 'other')) v (name, state, priority, delay, who);
"""


@pytest.fixture(params=["9", "10"])
def connection(request: pytest.FixtureRequest, database: str) -> Iterator[psycopg.Connection[Any]]:
    """Provide a client of a database that has both queues; pg-boss's has jobs in several states."""
    partitioned = request.param == "10"
    text = _TABLE.format(
        columns=_COLUMNS[request.param],
        start_after="start_after" if partitioned else "startafter",
        partitions="partition by list (name)" if partitioned else "",
        partition="create table pgboss.j1 partition of pgboss.job default;" if partitioned else "",
    )
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(text.encode())
        yield connection


def states(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return the state of each job of pg-boss, by whose it is."""
    rows = connection.execute("select data ->> 'userId', state::text from pgboss.job order by 1").fetchall()
    return dict(rows)


BEFORE = {"active": "active", "created": "created", "failed": "failed", "other": "created", "retry": "retry"}
MOVED = BEFORE | {"created": "cancelled", "retry": "cancelled"}


@pytest.mark.each_server
def test_what_waits_is_moved_once(connection: psycopg.Connection[Any]) -> None:
    """Waiting jobs of the one queue come over with priority and time; the others stay; a second run moves nothing."""
    assert len(connection.execute(MOVE.encode()).fetchall()) == 2
    assert connection.execute(MOVE.encode()).fetchall() == []
    assert states(connection) == MOVED
    jobs = connection.execute(
        "select user_id, status, priority, run_at > now() + interval '50 minutes' from render_jobs order by user_id"
    )
    assert jobs.fetchall() == [("created", "queued", 3, False), ("retry", "queued", 0, True)]
    assert dict(connection.execute(COUNT.encode()).fetchall()) == {"cancelled": 2, "active": 1, "failed": 1}


def test_a_job_that_is_refused_moves_nothing(connection: psycopg.Connection[Any]) -> None:
    """The statement is one transaction: where one job's kind is unknown, no state has changed."""
    connection.execute("update pgboss.job set data = data || '{\"kind\": \"vidoe\"}' where state = 'retry'")
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        connection.execute(MOVE.encode())
    assert states(connection) == BEFORE
    assert connection.execute("select from render_jobs").fetchall() == []


def test_the_way_back_and_over_again(connection: psycopg.Connection[Any]) -> None:
    """What still waits goes back, what is finished here does not; and the move can be made again after that."""
    connection.execute(MOVE.encode())
    connection.execute("select cancel_render(id) from render_jobs where user_id = 'retry'")
    assert connection.execute(BACK.encode()).rowcount == 1
    assert states(connection) == MOVED | {"created": "created"}
    assert connection.execute("select from render_jobs where status = 'queued'").fetchall() == []
    assert len(connection.execute(MOVE.encode()).fetchall()) == 1
    assert connection.execute("select user_id from render_jobs where status = 'queued'").fetchall() == [("created",)]


def test_each_schema_can_be_dropped(connection: psycopg.Connection[Any]) -> None:
    """Either one goes without the other; with ours go the views."""
    connection.execute(DROP_THEIRS.encode())
    assert connection.execute("select from render_jobs").fetchall() == []
    connection.execute(DROP_OURS.encode())
    assert connection.execute("select to_regclass('render_jobs')").fetchone() == (None,)


def test_a_table_of_the_same_name_is_in_the_way(servers: Any) -> None:
    """With a table render_jobs the migration is refused; with the page's command it goes beside, and works."""
    server = servers[servers.default]
    create_database(server, "migrating", "template1")
    try:
        url = server.url("migrating")
        with psycopg.connect(url) as connection:
            connection.execute("create table render_jobs (id integer)")
        with open_home() as home:
            assert "render_jobs" in fails(1, home, "migrate", DATABASE_URL=url)
            (made,) = re.findall(r"^ *psql .* -c '(.*)'$", _PAGE, re.MULTILINE)
            with psycopg.connect(url) as connection:
                connection.execute(made.encode())
            (shown,) = re.findall(r"^ *jobsupervisor (migrate .*)$", _PAGE, re.MULTILINE)
            assert command(home, *shown.split(), DATABASE_URL=url).returncode == 0
        assert rows_of(url, "select render.enqueue_render('noop', '{}')")
    finally:
        drop_database(server, "migrating")
