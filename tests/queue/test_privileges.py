"""Who may do what: an enqueuing role has the functions and the views, and nothing behind them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from tests.queue.support import Queue, enqueue

ROLE = "web_app"
TABLES = (
    "select c.relname from pg_class c where c.relnamespace = 'jobsupervisor'::regnamespace and c.relkind in ('r', 'p')"
)
FUNCTIONS = (
    "select p.proname, p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'jobsupervisor'::regnamespace"
)


@contextmanager
def logged_in(queue: Queue, *memberships: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Connect as a login role of the test's own. Roles belong to the server, so it is dropped again."""
    role = sql.Identifier(ROLE)
    queue.client.execute(sql.SQL("create role {} login").format(role))
    try:
        for membership in memberships:
            queue.client.execute(sql.SQL("grant {} to {}").format(sql.Identifier(membership), role))
        with psycopg.connect(queue.url, user=ROLE, autocommit=True) as connection:
            yield connection
    finally:
        queue.client.execute(sql.SQL("drop owned by {}").format(role))
        queue.client.execute(sql.SQL("drop role {}").format(role))


def dead_letter(queue: Queue) -> str:
    """Return the id of a job that ended in the dead letters."""
    job_id = queue.enqueue()
    supervisor = queue.supervisor()
    assert supervisor.ack(supervisor.claim_one(), "invalid") == "failed"
    return job_id


@pytest.mark.each_server
def test_an_enqueuer_can_enqueue_look_cancel_and_redrive(database: str) -> None:
    """A login role that was granted jobsupervisor_enqueuer can do all that a client does."""
    with Queue(database) as queue:
        dead = dead_letter(queue)
        with logged_in(queue, "jobsupervisor_enqueuer") as client:
            job_id = enqueue(client, "noop", {}, idempotency_key="k")
            statuses = client.execute("select id::text, status from render_jobs order by id").fetchall()
            assert statuses == [(dead, "failed"), (job_id, "queued")]
            assert client.execute("select id::text from render_dead_letters").fetchall() == [(dead,)]
            assert client.execute("select outcome from render_attempts").fetchall() == [("invalid",)]
            assert client.execute("select cancel_render(%s)", [job_id]).fetchone() == (True,)
            assert client.execute("select redrive_render(%s)::text", [dead]).fetchone() == (dead,)
        assert (queue.job(job_id)["status"], queue.job(dead)["status"]) == ("cancelled", "queued")


@pytest.mark.each_server
def test_an_enqueuer_cannot_reach_what_is_private(database: str) -> None:
    """Every private table is closed to it for reading and writing, and every private function for calling."""
    with Queue(database) as queue:
        tables = [row["relname"] for row in queue.rows(TABLES)]
        functions = {row["proname"]: row["oid"] for row in queue.rows(FUNCTIONS)}
        assert {"job", "dead_letter", "finished_job", "attempt", "idempotency", "supervisor", "migration"} <= set(
            tables
        )
        assert {"new_id", "wake", "tell_final"} <= set(functions)
        calls = {
            "new_id": "",
            "wake": "now()",
            "tell_final": "gen_random_uuid(), 'completed', 'noop'",
            "places": "'kind', 'noop', 1",
            "require_kind": "'noop'",
            "make_weeks": "now()",
            "attempts_of": "gen_random_uuid()",
            "is_completed": "gen_random_uuid(), ''",
            "lanes": "array['noop'], now(), 1",
        }
        assert set(calls) == set(functions)
        with logged_in(queue, "jobsupervisor_enqueuer") as client:
            for table in tables:
                name = sql.Identifier("jobsupervisor", table)
                for statement in ("select from {}", "delete from {}", "truncate {}", "insert into {} default values"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        client.execute(sql.SQL(statement).format(name))
            for function, arguments in calls.items():
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    client.execute(f"select jobsupervisor.{function}({arguments})")


def test_an_enqueuer_cannot_purge_nor_write_through_views(database: str) -> None:
    """To delete dead letters is for the operator; the views are for reading."""
    with Queue(database) as queue:
        dead_letter(queue)
        with logged_in(queue, "jobsupervisor_enqueuer") as client:
            for statement in (
                "select purge_dead_letters(interval '0')",
                "delete from render_dead_letters",
                "update render_dead_letters set error = 'x'",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    client.execute(statement)
        assert queue.value("select count(*) from render_dead_letters") == 1


def test_a_role_without_grants_can_do_nothing(database: str) -> None:
    """PUBLIC has neither the functions nor the views."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        with logged_in(queue) as stranger:
            for statement in (
                "select enqueue_render('noop', '{}')",
                f"select cancel_render('{job_id}')",
                f"select redrive_render('{job_id}')",
                "select purge_dead_letters(interval '0')",
                "select from render_jobs",
                "select from render_attempts",
                "select from render_dead_letters",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    stranger.execute(statement)
        assert queue.job(job_id)["status"] == "queued"
        assert queue.value("select count(*) from render_jobs") == 1


TRAPS = (
    # Relations that the bodies name, where an unnamed pg_temp would come first.
    "create temp table job (id uuid, state text)",
    "create temp table kind (name text)",
    "create temp table idempotency (key text, job_id uuid, fingerprint bytea)",
    "create temp table default_limits (spec_bytes integer)",
    # Functions and an operator that they call, in a schema of the caller's own that he puts before pg_catalog.
    "create function trap.octet_length(text) returns integer language sql as $$ select trap.sprung('octet_length') $$",
    "create function trap.new_id() returns uuid language sql as $$ select gen_random_uuid() where trap.sprung('new_id') = 1 $$",
    "create function trap.pg_notify(text, text) returns integer language sql as $$ select trap.sprung('pg_notify') $$",
    "create function trap.same(text, text) returns boolean language sql as $$ select trap.sprung('=') = 1 $$",
    "create operator trap.= (leftarg = text, rightarg = text, function = trap.same)",
    "set search_path = trap, pg_temp, pg_catalog, public",
)
SPRUNG = """
create schema trap authorization web_app;
set role web_app;
create function trap.sprung(name text) returns integer language plpgsql as
    $$ begin raise exception '% called as %', name, current_user; end $$;
reset role
"""


def test_a_search_path_cannot_trick_the_functions(database: str) -> None:
    """They run as their owner: what the caller puts first on the path, under the names used inside, is never reached."""
    with Queue(database) as queue, logged_in(queue, "jobsupervisor_enqueuer") as client:
        queue.client.execute(SPRUNG)
        for statement in TRAPS:
            client.execute(statement)
        for call in ("'a'::text = 'b'::text", "octet_length('a'::text)", "pg_notify('a'::text, 'b'::text)"):
            with pytest.raises(psycopg.errors.RaiseException, match=f"called as {ROLE}"):
                client.execute(f"select {call}")  # the trap works on the caller himself
        job_id = enqueue(client, "noop", {}, idempotency_key="k")
        assert enqueue(client, "noop", {}, idempotency_key="k") == job_id
        supervisor = queue.supervisor()
        assert supervisor.ack(supervisor.claim_one(), "invalid") == "failed"
        assert client.execute("select redrive_render(%s)::text", [job_id]).fetchone() == (job_id,)
        assert client.execute("select cancel_render(%s)", [job_id]).fetchone() == (True,)
        assert client.execute("select count(*) from job").fetchone() == (0,)
        assert queue.job(job_id)["status"] == "cancelled"


def test_every_definer_function_has_a_fixed_search_path(database: str) -> None:
    """pg_temp stands last: where it is not named it is searched first, for relations."""
    with Queue(database) as queue:
        paths = queue.rows("select proname, proconfig from pg_proc where prosecdef order by proname")
        assert [row["proname"] for row in paths] == [
            "cancel_render",
            "enqueue_render",
            "enqueue_renders",
            "pause_renders",
            "purge_dead_letters",
            "redrive_render",
            "redrive_renders",
            "resume_renders",
            "set_render_limit",
        ]
        assert {tuple(row["proconfig"]) for row in paths} == {("search_path=pg_catalog, pg_temp",)}
