"""Whose code our statements call: pg_catalog's and ours, whoever may create in a schema that is searched.

The case: PostgreSQL 14 lets everybody create in `public`. `public.>=(real, integer)`, or an operator for our own enums, fits
what the exchange compares better than pg_catalog's, and ran with the rights of the schema's owner.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from renderer.outcome import Outcome
from supervisor.embedded import EmbeddedServer
from supervisor.store import connection as connections
from supervisor.store.async_render_queue import AsyncRenderQueue
from supervisor.store.client import Client
from supervisor.store.exchange import Question
from supervisor.store.listener import Listener
from supervisor.store.migrate import migrate, schema_state, script
from supervisor.store.refused import Refused
from supervisor.store.render_queue import RenderQueue
from supervisor.store.requests import RenderRequest
from supervisor.store.retention import RetentionStore
from supervisor.store.search_path import OurAsyncConnection, OurConnection, fixed_path
from supervisor.store.statements import query, shortened
from tests.plugins.databases import create_database, drop_database, wait_for_disconnect
from tests.queue.shadows import PATH, cast_shadows, ran
from tests.queue.support import KINDS, Queue, ack_of, settings_for

JOB = UUID(int=1)
VALUES: dict[str, Any] = {
    "ack": [], "acks": '[{"id": "00000000-0000-0000-0000-000000000001", "owner": 1, "attempt": 1, "outcome": "crash"}]',
    "arm": True, "artifacts": '[{"id": "00000000-0000-0000-0000-000000000001", "attempt": 1, "written": 1.5}]', "attempts_limit": 100,
    "before": JOB, "below": 5, "adopted": 1.5, "epoch": 1.5, "place": "file:///p", "max_priority": 5, "observed": "[]",
    "checksum": "c", "clock": 1.5, "concurrency": 1, "config": "{}", "correlation_id": "c", "cursor": "", "days": 1.0,
    "died_at": "2026-01-01", "failure": "crash", "first": JOB, "functions": ["f"], "grace": 1.5, "host": "h", "id": JOB,
    "idempotency_key": "k", "ids": [str(JOB)], "interval": 1.5, "keepalives_count": "3", "keepalives_idle": "5",
    "keepalives_interval": "2", "kind": "noop", "kinds": ["noop"], "known": "[]", "last": JOB, "lease": 1.5, "limit": 10,
    "lock_timeout": "5s", "max_attempts": 5, "memory_mb": 10, "milliseconds": "1000", "name": "n", "offence_limit": 2,
    "only": None, "owner": 1, "pid": 1, "priority": 1, "progress": "[]", "public_schema": "public", "recorded": True,
    "relations": ["r"], "retention_days": 30.0, "retry_delay": 1.5, "run_at": None, "schema": "public", "seconds": 1.5,
    "since": "2026-01-01", "spec": "{}", "statement_timeout": "60s", "status": "queued", "tells": True, "text": "u", "timeout": 1.5,
    "user_id": "u", "user_timeout": "10000", "version": 99, "want": 5,
}  # fmt: skip
OF_OTHERS = ("backend", "cancel", "enqueue", "enqueue_many", "job", "listen", "listen_events", "public_schema", "redrive",
             "search_path", "search_path_once", "session", "unlisten_events")  # fmt: skip
"""What runs in a session in which nothing is set, and so writes every name in full."""
CLAIM = ("limits", "only", "acks")
EXCHANGES = (
    ("free_for_all",), ("limits", "only"), ("limits", "only", "progress", "ills"), CLAIM,
    ("limits", "only", "claim"), ("free_for_all", "only", "acks", "since", "mark"),
)  # fmt: skip
CALLS = {
    "enqueue_render": "kind => 'noop', spec => '{{}}', idempotency_key => 'k', run_at => pg_catalog.now(), user_id => 'u'",
    "enqueue_renders": "kind => array['noop', 'noop'], spec => array['{{}}', '{{}}']::pg_catalog.jsonb[],"
    " idempotency_key => array['k', null]::pg_catalog.text[]",
    "cancel_render": "'{queued}'::pg_catalog.uuid",
    "redrive_render": "'{dead}'::pg_catalog.uuid",
    "redrive_renders": "kind => 'noop'::pg_catalog.text",
    "purge_dead_letters": "interval '0'",
    "pause_renders": "'noop'::pg_catalog.text",
    "resume_renders": "'noop'::pg_catalog.text",
    "set_render_limit": "user_id => 'u'::pg_catalog.text, max_running => 2",
}
ENQUEUER = ("enqueue_render", "enqueue_renders", "cancel_render", "redrive_render")
VIEWS = ("render_jobs", "render_attempts", "render_dead_letters")
FUNCTIONS = """
    select n.nspname, p.proname, p.prosecdef, p.proconfig from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname in ('jobsupervisor', 'render') order by 2
"""
# What an installation keeps of what its expressions meant: each operator and function that is not pg_catalog's is noted.
STRANGERS = """
    select pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) as ours,
        pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0) as theirs
    from pg_catalog.pg_depend d
    join (
        select p.oid, p.pronamespace as namespace, 'pg_catalog.pg_proc'::pg_catalog.regclass as class from pg_catalog.pg_proc p
        union all
        select o.oid, o.oprnamespace, 'pg_catalog.pg_operator'::pg_catalog.regclass from pg_catalog.pg_operator o
    ) r on r.oid = d.refobjid and r.class = d.refclassid
    where r.namespace in ('public'::pg_catalog.regnamespace, 'ahead'::pg_catalog.regnamespace)
        and d.classid not in (
            'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_constraint'::pg_catalog.regclass)
        and pg_catalog.pg_describe_object(d.classid, d.objid, 0) !~ ' ahead[.]'
"""

_numbers = itertools.count(1)
_templates: set[int] = set()


def with_path(url: str, path: str) -> str:
    """Return a URL whose sessions begin with that search path."""
    return make_conninfo(url, options=f"-csearch_path={path.replace(' ', '')}")


@pytest.fixture
def shadowed(each_server: EmbeddedServer, pytestconfig: pytest.Config) -> Iterator[str]:
    """Provide the URL of a database with our functions in the schema `render`, and shadows in `public` and `ahead`.

    Its own sessions look into neither: the test's statements must not be what runs into them.
    """
    if each_server.pid not in _templates:
        create_database(each_server, "shadowed", "template1")
        with psycopg.connect(each_server.url("shadowed"), autocommit=True) as connection:
            connection.execute("create schema render")
            migrate(each_server.url("shadowed"), "render")
            cast_shadows(connection)
        wait_for_disconnect(each_server, "shadowed")
        _templates.add(each_server.pid)
    name = f"shadowed_{next(_numbers)}"
    create_database(each_server, name, "shadowed")
    yield with_path(each_server.url(name), "pg_catalog, render")
    assert drop_database(each_server, name, pytestconfig.getoption("--leak-grace")) == []


@pytest.fixture
def control(shadowed: str) -> Iterator[psycopg.Connection[Any]]:
    """Provide a session that looks for shadows nowhere; at the end none may have run."""
    with psycopg.connect(shadowed, autocommit=True) as connection:
        yield connection
        assert not ran(connection)


def text_of(name: str, without: tuple[str, ...] = ()) -> Any:
    """Return a named query's text as it is sent, in this test's schema."""
    return shortened(name, without).replace("__public__", "render").replace("__partition__", "finished_job_default")


def values_for(name: str) -> dict[str, Any] | None:
    """Return sample parameters for a named query; for the one that takes many jobs, a list for each."""
    if "%(" not in query(name):
        return None
    if name == "enqueue_many":
        return {key: [value] for key, value in VALUES.items()}
    return VALUES | ({"kinds": '[{"name": "noop", "spec_schema": {}}]'} if name == "register_kinds" else {})


def named_queries() -> list[tuple[str, tuple[str, ...]]]:
    """Return every named query; the exchange in each of its forms."""
    files = sorted((Path(__file__).parents[2] / "sql" / "queries").glob("*.sql"))
    return [(file.stem, ()) for file in files if file.stem != "exchange"] + [("exchange", form) for form in EXCHANGES]


@pytest.mark.parametrize(
    ("path", "name"), [("public", "exchange"), (PATH, "jobs"), (PATH, "status_counts"), (PATH, "poll")]
)
def test_the_shadows_lie_in_wait(shadowed: str, path: str, name: str) -> None:
    """Where nothing is set, the exchange runs into one of `public`, and the plainest query into one before pg_catalog."""
    with psycopg.connect(shadowed, autocommit=True) as connection:
        connection.execute("select render.enqueue_render('noop', '{}')")
        assert not ran(connection)
    with psycopg.connect(with_path(shadowed, path), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.Error) as raised:
            connection.execute(text_of(name, CLAIM), values_for(name))
        assert raised.value.sqlstate == "ZZ001", raised.value
    with psycopg.connect(shadowed, autocommit=True) as connection:
        assert ran(connection)


@contextmanager
def our_session(url: str, *, pooled: bool) -> Iterator[OurConnection]:
    """Open a session of ours for commands; where it is `pooled`, as a pooler gives it: with nothing set."""
    with connections.connect(url) as connection:
        if pooled:
            connection.execute(cast("Any", f"set search_path = {PATH}"))
            connection.pooled = True
        yield connection


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
@pytest.mark.usefixtures("control")
def test_no_query_of_ours_runs_into_a_shadow(shadowed: str, *, pooled: bool) -> None:
    """Each named query, in a session of ours whose role or database would search `public`, and a schema before pg_catalog."""
    with our_session(with_path(shadowed, PATH), pooled=pooled) as connection:
        for name, without in named_queries():
            with (
                contextlib.suppress(psycopg.errors.NoDataFound),
                connection.transaction(force_rollback=True),
                fixed_path(connection),
            ):
                connection.execute(text_of(name, without), values_for(name))


@pytest.mark.usefixtures("control")
def test_what_runs_in_sessions_of_others_writes_every_name_in_full(shadowed: str) -> None:
    """An application's connection keeps its search path, and our statements find pg_catalog all the same."""
    with psycopg.connect(with_path(shadowed, PATH), autocommit=True) as connection:
        for name in OF_OTHERS:
            with contextlib.suppress(psycopg.errors.NoDataFound), connection.transaction(force_rollback=True):
                connection.execute(text_of(name), values_for(name))


async def lend(connection: OurAsyncConnection | None) -> None:
    """Make a session of ours as a pooler gives it: with nothing set."""
    assert connection is not None
    await connection.execute(cast("Any", f"set search_path = {PATH}"))
    connection.pooled, connection.prepare_threshold = True, None


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
def test_a_supervisor_runs_into_no_shadow(shadowed: str, control: psycopg.Connection[Any], *, pooled: bool) -> None:
    """Claims, progress, each outcome, limits, polls and goodbye, in sessions whose role or database would search them all."""
    with Queue(shadowed) as queue:
        supervisor = queue.supervisor(DATABASE_URL=with_path(shadowed, PATH))
        if pooled:
            queue.run(lend(supervisor.store._connection._connection))  # noqa: SLF001 - no pooler is at hand
        for outcome in Outcome:
            queue.enqueue(user_id="u", max_attempts=2)
            job = supervisor.claim_one()
            supervisor.moved(job, 0.5)
            assert supervisor.ack(job, outcome, error="e") != "lease_lost"
        control.execute("select render.set_render_limit(user_id => '*', max_running => 3)")
        queue.enqueue(user_id="v", run_at="2026-01-01")
        (job,) = supervisor.claim()
        assert supervisor.ack(job, None) == "given_back"
        question = Question(since="2026-01-01 00:00:00+00", mark=True, arm=True)
        queue.run(supervisor.store.exchange([ack_of(job)], {}, tuple(KINDS), 4, question))
        assert supervisor.poll(old=True).registered
        queue.run(supervisor.store.retell())
        queue.run(supervisor.store.unregister())


def test_the_other_sessions_of_ours_run_into_no_shadow(shadowed: str, control: psycopg.Connection[Any]) -> None:
    """The listener, the commands' client and retention, whose roles or databases would search them all."""
    hostile = with_path(shadowed, PATH)
    with Queue(shadowed) as queue:
        listener = Listener(settings_for(hostile, "a"), lambda _: None, lambda _: None)
        assert queue.run(listener.connect()) == "a"
        queue.run(listener.close())
        dead = queue.enqueue(idempotency_key="k")
        supervisor = queue.supervisor()
        assert supervisor.ack(supervisor.claim_one(), "invalid") == "failed"
        with Client.connect(hostile) as client:
            assert client.redrive_many("noop", "invalid", 5) == [dead]
            client.counts(), client.flow(), client.supervisors(), client.attempts(dead), client.jobs([dead])
            client.dead_letters("noop", None, 5), client.dead_letter(dead), client.purge(0)
            assert client.cancel(dead)
        with RetentionStore.open(hostile) as house:
            assert house is not None
            house.make_weeks(), house.expired(1.0), house.stragglers(1.0)
            house.installation("file:///p", 1.0).mark()
            assert control.execute("select pg_catalog.count(*) from jobsupervisor.finished_job").fetchone() == (1,)


def test_an_applications_queues_run_into_no_shadow(shadowed: str, control: psycopg.Connection[Any]) -> None:
    """RenderQueue and AsyncRenderQueue, by URL and with a connection that is lent, whose search path stays as it was."""
    hostile, requests = with_path(shadowed, PATH), [RenderRequest("noop", {}, timeout=1.5), RenderRequest("noop", {})]

    async def likewise() -> None:
        async with AsyncRenderQueue(hostile) as queue:
            job_id = await queue.enqueue("noop", {}, timeout=1.5, idempotency_key="2")
            assert await queue.status(job_id)
            assert len(await queue.enqueue_many(requests)) == len(requests)
            assert await queue.cancel(job_id)

    with Queue(shadowed) as queue, psycopg.connect(hostile, autocommit=True) as lent:
        for key, client in enumerate((RenderQueue(hostile), RenderQueue(lent))):
            with client:
                job_id = client.enqueue("noop", {}, timeout=1.5, idempotency_key=str(key))
                assert client.status(job_id)
                assert len(client.enqueue_many(requests)) == len(requests)
                assert client.cancel(job_id)
        assert lent.execute("show search_path").fetchone() == (PATH.replace(" ", ""),)
        queue.run(likewise())
    assert control.execute("select pg_catalog.count(*) from render.render_jobs").fetchone() == (9,)


@pytest.mark.parametrize("role", ["owner", "enqueuer", "reader"])
def test_no_public_function_or_view_runs_into_a_shadow(
    shadowed: str, control: psycopg.Connection[Any], role: str
) -> None:
    """Called by name from a session that would search them all, by who owns the schema, who enqueues, and who only reads."""
    named = [row[1] for row in control.execute(FUNCTIONS) if row[0] == "render"]
    assert sorted(CALLS) == named
    with Queue(shadowed) as queue:
        dead = queue.enqueue()
        supervisor = queue.supervisor()
        assert supervisor.ack(supervisor.claim_one(), "invalid") == "failed"
        queued = queue.enqueue()
        control.execute("create role shadow_reader; grant usage on schema render to shadow_reader")
        try:
            control.execute(
                cast("Any", f"grant select on {', '.join(f'render.{view}' for view in VIEWS)} to shadow_reader")
            )
            with psycopg.connect(with_path(shadowed, PATH), autocommit=True) as connection:
                if role != "owner":
                    connection.execute(
                        "set role jobsupervisor_enqueuer" if role == "enqueuer" else "set role shadow_reader"
                    )
                calls = {"owner": tuple(CALLS), "enqueuer": ENQUEUER, "reader": ()}[role]
                for name in calls:
                    with connection.transaction(force_rollback=True):
                        connection.execute(
                            cast("Any", f"select render.{name}({CALLS[name].format(dead=dead, queued=queued)})")
                        )
                for view in VIEWS:
                    connection.execute(cast("Any", f"table render.{view}"))
        finally:
            control.execute("drop owned by shadow_reader; drop role shadow_reader")


def test_every_function_has_a_fixed_search_path(control: psycopg.Connection[Any]) -> None:
    """Not only those that run as their owner: what a private one is called from must not matter."""
    found = control.execute(FUNCTIONS).fetchall()
    assert {"new_id", "wake", "lanes", "make_weeks", "enqueue_render"} <= {row[1] for row in found}
    assert {row[1]: row[3] for row in found if row[3] != ["search_path=pg_catalog, pg_temp"]} == {}


@pytest.mark.parametrize("way", ["migrate", "script"])
def test_a_migration_takes_nothing_from_shadows(each_server: EmbeddedServer, way: str) -> None:
    """In a database that was prepared against us, what the schema keeps of its expressions is pg_catalog's."""
    name = f"prepared_{next(_numbers)}"
    create_database(each_server, name, "template1")
    url = with_path(each_server.url(name), PATH)
    try:
        with psycopg.connect(each_server.url(name), autocommit=True) as connection:
            cast_shadows(connection)
            connection.execute("create schema render")
            if way == "migrate":
                migrate(url, "render")
            else:
                with psycopg.connect(url, autocommit=True) as theirs:
                    theirs.execute(script(schema_state(url, "render")).encode())
            assert not schema_state(url).pending
            assert connection.execute(STRANGERS).fetchall() == []
            assert not ran(connection)
    finally:
        drop_database(each_server, name)


BETTER = """
create function public.{name}(id text) returns {returns} language plpgsql as
    $$ begin raise exception 'called as %', current_user using errcode = 'ZZ001'; end $$
"""


def test_a_better_match_beside_our_functions_is_not_called(database: str) -> None:
    """Where everybody may create in the schema of our functions, one of the same name for a text would win over an unknown type."""
    with psycopg.connect(database, autocommit=True) as stranger:
        for name, returns in (("cancel_render", "boolean"), ("redrive_render", "uuid")):
            stranger.execute(cast("Any", BETTER.format(name=name, returns=returns)))
            with pytest.raises(psycopg.errors.Error, match="called as"):
                stranger.execute(cast("Any", f"select public.{name}(%s)"), [str(JOB)])
    with Client.connect(database) as client:
        assert client.cancel(str(JOB)) is False
        with pytest.raises(Refused, match="must be that of a dead letter"):
            client.redrive(str(JOB))
