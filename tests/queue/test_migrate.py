"""Installing the schema: once, whole, under a lock, beside whatever else is in the database."""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from supervisor.embedded import EmbeddedServer
from supervisor.errors import SchemaError
from supervisor.store.client import Client
from supervisor.store.migrate import migrate, nothing_applied, require_current, schema_state, script
from supervisor.store.statements import migrations
from tests.plugins.databases import create_database, drop_database, program

NEWEST = migrations()[-1].version
ALL = tuple(migration.version for migration in migrations())
# Every object of ours, as a text that says all of it.
OURS = """
select format('%s.%s %s', n.nspname, c.relname, c.relkind) as object from pg_class c
    join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^pg_|^information_schema$'
union all select pg_get_functiondef(p.oid) || coalesce(p.proacl::text, '') from pg_proc p
    where p.pronamespace::regnamespace::text !~ '^pg_|^information_schema$'
union all select format('schema %s', nspname) from pg_namespace where nspname !~ '^pg_'
order by 1
"""
_numbers = itertools.count(1)


@pytest.fixture
def empty(each_server: EmbeddedServer) -> Iterator[str]:
    """Provide the URL of an empty database, on each major version."""
    name = f"empty_{next(_numbers)}"
    create_database(each_server, name, "template1")
    yield each_server.url(name)
    assert drop_database(each_server, name) == []


def ask(url: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of one statement, committed."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []


def database_of(url: str) -> str:
    """Return the name of the database that a URL leads to."""
    return str(conninfo_to_dict(url)["dbname"])


def run_script(server: EmbeddedServer, url: str, text: str) -> str:
    """Run SQL as an operator does by hand; return what psql complained about."""
    return subprocess.run(
        [program(server, "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", url],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    ).stderr


def test_a_fresh_install(empty: str) -> None:
    """Everything is pending before, nothing after, and the functions work."""
    before = migrate(empty)
    assert (before.applied, before.pending, before.public_schema) == ((), migrations(), "public")
    after = require_current(empty)
    assert (after.applied, after.pending) == (ALL, ())
    recorded = ask(empty, "select version, public_schema from jobsupervisor.migration order by version")
    assert recorded == [(version, "public") for version in ALL]
    with Client.connect(empty) as client:
        job = client.job(client.enqueue("noop", {}, {}))
    assert job is not None
    assert job["status"] == "queued"


def test_twice_changes_nothing(empty: str) -> None:
    """The second run applies nothing, whether or not it names the schema, and touches no object."""
    migrate(empty)
    before = ask(empty, OURS), ask(empty, "select * from jobsupervisor.migration")
    assert migrate(empty).pending == migrate(empty, "public").pending == ()
    assert (ask(empty, OURS), ask(empty, "select * from jobsupervisor.migration")) == before


@pytest.mark.parametrize("version", ALL[:-1])
def test_an_upgrade_leaves_what_a_fresh_install_leaves(
    empty: str, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    """From each released version on: only what follows is applied, and the objects are the same to the last letter."""
    shipped = migrations()
    with monkeypatch.context() as patched:
        patched.setattr("supervisor.store.migrate.migrations", lambda: shipped[:version])
        migrate(empty)
    with Client.connect(empty) as client:
        job_id = client.enqueue("noop", {}, {})
    assert migrate(empty).pending == shipped[version:]
    upgraded = ask(empty, OURS)
    with Client.connect(empty) as client:
        assert client.job(job_id) is not None
    ask(empty, "drop schema jobsupervisor, public cascade")
    ask(empty, "create schema public")
    migrate(empty)
    assert ask(empty, OURS) == upgraded


def test_two_at_once(empty: str) -> None:
    """Of two that start together one applies, the other waits and finds it done; neither fails."""
    states = []
    start = threading.Barrier(2)

    def run() -> None:
        start.wait()
        states.append(migrate(empty))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(state.pending) for state in states) == [0, len(ALL)]
    assert require_current(empty).applied == ALL


def test_looking_changes_nothing(empty: str) -> None:
    """The state of an empty database can be asked for, leaves it empty, and is refused where a service would start."""
    before = ask(empty, OURS)
    assert schema_state(empty) == nothing_applied(None)
    with pytest.raises(SchemaError, match=rf"must be at version {NEWEST}, it is at 0; run `jobsupervisor migrate`"):
        require_current(empty)
    with pytest.raises(SchemaError, match="there is no enqueue_render"), Client.connect(empty):
        pass
    assert ask(empty, OURS) == before


@pytest.mark.parametrize("act", [migrate, schema_state, require_current])
def test_a_newer_database_is_refused(database: str, act: Any) -> None:
    """An old program does not touch a database that a newer one has migrated, nor serves it."""
    ask(database, "insert into jobsupervisor.migration values (9999, 'future', 'x', 'public')")
    with pytest.raises(SchemaError, match=rf"it is at version 9999, this program knows {NEWEST}; upgrade"):
        act(database)


@pytest.mark.parametrize("act", [migrate, schema_state, require_current])
def test_a_changed_migration_is_refused(database: str, act: Any) -> None:
    """A file that differs from the one that was applied is named."""
    ask(database, "update jobsupervisor.migration set checksum = 'x' where version = 1")
    with pytest.raises(SchemaError, match="must not change: 0001_queue differs"):
        act(database)


TAKEN = {
    "table": ("create table public.render_jobs (mine integer)", "table render_jobs"),
    "view": ("create view public.render_attempts as select 1 as mine", "view render_attempts"),
    "function": (
        "create function public.enqueue_render(text) returns integer language sql as 'select 1'",
        r"function enqueue_render\(text\)",
    ),
    "composite type": ("create type public.render_jobs as (mine integer)", "type render_jobs"),
    "enum": ("create type public.render_dead_letters as enum ('mine')", "type render_dead_letters"),
    "domain": ("create domain public.render_jobs as integer", "domain render_jobs"),
    "sequence": ("create sequence public.render_attempts", "sequence render_attempts"),
}


@pytest.mark.parametrize(("statement", "named"), TAKEN.values(), ids=TAKEN.keys())
def test_a_name_that_is_taken_is_left_alone(empty: str, statement: str, named: str) -> None:
    """The error names the object and the way out; nothing is changed; that way works, and leaves theirs in place."""
    ask(empty, statement)
    before = ask(empty, OURS)
    with pytest.raises(SchemaError, match=rf"{named}; they are not ours.*--public-schema render"):
        migrate(empty)
    assert ask(empty, OURS) == before
    ask(empty, "create schema render")
    migrate(empty, "render")
    assert set(before) < set(ask(empty, OURS))
    with Client.connect(empty) as client:
        assert client.job(client.enqueue("noop", {}, {})) is not None


@pytest.mark.parametrize("schema", ["render", 'Odd "name"'])
def test_another_public_schema(empty: str, schema: str) -> None:
    """Functions and views are there and nowhere else, clients find them, and it is kept by later runs."""
    with psycopg.connect(empty) as connection:
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    migrate(empty, schema)
    with Client.connect(empty) as client:
        job = client.job(client.enqueue("noop", {}, {}))
        assert job is not None
        assert job["status"] == "queued"
        assert client.dead_letters(None, None, 9) == []
    where = "select distinct n.nspname from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.prosecdef"
    assert ask(empty, where) == [(schema,)]
    assert require_current(empty).public_schema == migrate(empty).public_schema == schema


def test_the_public_schema_must_exist(empty: str) -> None:
    """A name that is mistyped makes no schema."""
    before = ask(empty, OURS)
    with pytest.raises(SchemaError, match="there is no schema 'rendr' in this database; create it first"):
        migrate(empty, "rendr")
    assert ask(empty, OURS) == before


def test_the_public_schema_cannot_change(database: str) -> None:
    """What is installed in one place is not installed a second time in another."""
    ask(database, "create schema render")
    before = ask(database, OURS)
    for act in (migrate, schema_state):
        with pytest.raises(SchemaError, match="it is 'public', got 'render'; leave --public-schema out"):
            act(database, "render")
    assert ask(database, OURS) == before


STRANGERS = {
    "view": ("create view jobsupervisor.attempt as select 1 as mine", "view attempt"),
    "their own records": ("create table jobsupervisor.migration (id integer)", "table migration"),
    "function": (
        "create function jobsupervisor.wake() returns integer language sql as 'select 1'",
        "function wake",
    ),
    "type": ("create type jobsupervisor.outcome as enum ('mine')", "type outcome"),
}


@pytest.mark.parametrize(("statement", "named"), STRANGERS.values(), ids=STRANGERS.keys())
def test_a_private_schema_of_somebody_else_is_left_alone(empty: str, statement: str, named: str) -> None:
    """What stands in a schema of our name is told with the way out, nothing is changed, and that way works."""
    ask(empty, "create schema jobsupervisor")
    ask(empty, statement)
    before = ask(empty, OURS)
    with pytest.raises(
        SchemaError, match=rf"must be ours alone, .* it has {named}; .*alter schema jobsupervisor rename"
    ):
        migrate(empty)
    assert schema_state(empty) == nothing_applied(None)
    assert ask(empty, OURS) == before
    ask(empty, "alter schema jobsupervisor rename to theirs")
    migrate(empty)
    assert require_current(empty).applied == ALL
    ask(empty, "drop schema jobsupervisor, public cascade")
    ask(empty, "create schema public")
    ask(empty, "alter schema theirs rename to jobsupervisor")
    assert ask(empty, OURS) == before


def test_an_installation_without_its_records_is_left_alone(database: str) -> None:
    """A copy of our objects whose records are missing is not installed over; with them back it is current."""
    recorded = ask(database, "select version, name, checksum, public_schema from jobsupervisor.migration")
    ask(database, "delete from jobsupervisor.migration")
    before = ask(database, OURS)
    with pytest.raises(SchemaError, match=r"and \d+ more; .* restore its table jobsupervisor\.migration"):
        migrate(database)
    assert ask(database, OURS) == before
    for row in recorded:
        ask(database, "insert into jobsupervisor.migration values (%s, %s, %s, %s)", *row)
    assert require_current(database).applied == ALL


def test_an_empty_private_schema_is_taken(empty: str) -> None:
    """An administrator may have made it for a role that must not create schemas."""
    ask(empty, "create schema jobsupervisor")
    migrate(empty)
    assert require_current(empty).applied == ALL


FORBID = """
create function public.forbid() returns event_trigger language plpgsql as $$ begin raise 'no views on Sundays'; end $$;
create event trigger forbid on ddl_command_end when tag in ('CREATE VIEW') execute function public.forbid()
"""


def test_a_failure_in_the_middle_leaves_nothing(empty: str) -> None:
    """A migration that cannot run to its end is rolled back whole; afterwards it can be run again.

    The error is the server's, without a word of privileges, which were not wanting.
    """
    ask(empty, FORBID)
    before = ask(empty, OURS)
    with pytest.raises(
        SchemaError, match=r"^no views on Sundays\nnothing was changed; put that right and run it again$"
    ):
        migrate(empty)
    assert ask(empty, OURS) == before
    ask(empty, "drop event trigger forbid")
    migrate(empty)
    assert require_current(empty).applied == ALL


@pytest.mark.parametrize("schema", ["public", "render"])
def test_the_script_does_what_migrate_does(empty: str, each_server: EmbeddedServer, schema: str) -> None:
    """Run by hand it leaves the same objects and records, so that afterwards nothing is pending and no script is left."""
    ask(empty, "create schema if not exists render")
    assert run_script(each_server, empty, script(schema_state(empty, schema))) == ""
    assert require_current(empty).public_schema == schema
    assert script(schema_state(empty)) == ""
    by_hand = ask(empty, OURS), ask(empty, "select version, name, checksum, public_schema from jobsupervisor.migration")
    ask(empty, f"drop schema jobsupervisor, {schema} cascade")
    ask(empty, f"create schema {schema}")
    migrate(empty, schema)
    assert by_hand == (
        ask(empty, OURS),
        ask(empty, "select version, name, checksum, public_schema from jobsupervisor.migration"),
    )


def test_the_script_fails_whole(empty: str, each_server: EmbeddedServer) -> None:
    """It is one transaction: where a statement fails, nothing of it stays."""
    ask(empty, TAKEN["function"][0].replace("enqueue_render(text)", "cancel_render(id uuid)"))
    before = ask(empty, OURS)
    with pytest.raises(subprocess.CalledProcessError) as raised:
        run_script(each_server, empty, script(nothing_applied(None)))
    assert "already exists" in raised.value.stderr
    assert ask(empty, OURS) == before


@pytest.fixture
def owner(each_server: EmbeddedServer) -> Iterator[str]:
    """Provide the URL of a database whose owner may not create roles, on a server where our role is not there yet."""
    name, admin = f"owned_{next(_numbers)}", each_server.url()
    there = ask(admin, "select 1 from pg_roles where rolname = 'jobsupervisor_enqueuer'")
    if there:
        ask(admin, "alter role jobsupervisor_enqueuer rename to jobsupervisor_put_aside")
    ask(admin, "create role plain login nosuperuser nocreaterole nocreatedb")
    create_database(each_server, name, "template1")
    ask(admin, f"alter database {name} owner to plain")
    yield each_server.url(name, "plain")
    left = drop_database(each_server, name)
    ask(admin, "drop role plain")
    if there:
        ask(admin, "alter role jobsupervisor_put_aside rename to jobsupervisor_enqueuer")
    assert left == []


def test_an_owner_who_may_not_create_roles(owner: str, each_server: EmbeddedServer) -> None:
    """Everything is installed but our role; the notice says what to do; the owner can use it and grant it."""
    said = run_script(each_server, owner, script(schema_state(owner)))
    assert "role jobsupervisor_enqueuer was not created (no privilege): grant to a role of yours" in said
    assert require_current(owner).applied == ALL
    with Client.connect(owner) as client:
        assert client.purge(0) == 0
        job = client.job(client.enqueue("noop", {}, {}))
        assert job is not None
        assert job["status"] == "queued"
    assert ask(owner, "select 1 from pg_roles where rolname = 'jobsupervisor_enqueuer'") == []


def test_an_owner_can_migrate(owner: str) -> None:
    """The command works for him as well as the script."""
    assert migrate(owner).pending == migrations()
    assert require_current(owner).applied == ALL


def test_a_role_that_may_not_create(owner: str) -> None:
    """Whoever may not install is told which role can."""
    owned = owner.replace("plain@", "postgres@")
    assert owned != owner
    ask(owned, sql.SQL("alter database {} owner to postgres").format(sql.Identifier(database_of(owner))).as_string())
    with pytest.raises(
        SchemaError, match=r"^permission denied for database .*\nthe role must own the schema jobsupervisor"
    ):
        migrate(owner)


def test_an_encoding_that_cannot_keep_every_text(each_server: EmbeddedServer) -> None:
    """A database in LATIN1 is refused with the way out, and nothing is installed in it."""
    name = f"latin_{next(_numbers)}"
    ask(each_server.url(), f"create database {name} encoding 'LATIN1' locale 'C' template template0")
    try:
        for act in (migrate, schema_state):
            with pytest.raises(SchemaError, match="encoding must be UTF8: it is LATIN1"):
                act(each_server.url(name))
        assert ask(each_server.url(name), "select 1 from pg_namespace where nspname = 'jobsupervisor'") == []
    finally:
        assert drop_database(each_server, name) == []


def test_migrations_are_numbered_without_gaps() -> None:
    """Versions count from 1, names are distinct, and each file lists the public names that it takes."""
    assert tuple(range(1, len(migrations()) + 1)) == ALL
    assert len({migration.name for migration in migrations()}) == len(ALL)
    first = migrations()[0]
    assert set(first.functions) == {
        "enqueue_render",
        "cancel_render",
        "redrive_render",
        "redrive_renders",
        "purge_dead_letters",
        "pause_renders",
        "resume_renders",
        "set_render_limit",
    }
    assert first.relations == ("render_jobs", "render_attempts", "render_dead_letters")
    assert len(first.checksum) == 64
