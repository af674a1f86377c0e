"""What one tenant asks for reaches no other: keys are the tenant's own, and nobody's job is above the operator's bounds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from supervisor.embedded import EmbeddedServer
from supervisor.store.migrate import migrate
from supervisor.store.statements import migrations
from tests.plugins.databases import create_database, drop_database
from tests.queue.support import Queue, enqueue, settings_for
from tests.queue.test_privileges import logged_in

TENANTS: list[str | None] = ["a", "b", None]


@pytest.mark.each_server
def test_a_key_of_another_tenant_is_another_job(database: str) -> None:
    """Each tenant, none among them, has a job of its own under the same key, and is answered that one: live, dead or finished."""
    with Queue(database) as queue:
        jobs = {user_id: queue.enqueue(idempotency_key="k", user_id=user_id) for user_id in TENANTS}
        assert len(set(jobs.values())) == len(TENANTS)
        supervisor = queue.supervisor()
        claimed = {job.id: job for job in supervisor.claim(len(TENANTS))}
        assert supervisor.ack(claimed[jobs["a"]]) == "completed"
        assert supervisor.ack(claimed[jobs["b"]], "invalid") == "failed"
        for user_id, job_id in jobs.items():
            assert queue.enqueue(idempotency_key="k", user_id=user_id) == job_id
        assert queue.value("select redrive_render(%s)::text", jobs["b"]) == jobs["b"]
        assert queue.enqueue(idempotency_key="k", user_id="b") == jobs["b"]
        assert queue.value("select count(*) from jobsupervisor.idempotency") == len(TENANTS)


@pytest.mark.parametrize("how", ["enqueue_render", "enqueue_renders"])
def test_an_error_names_no_other_tenants_job(database: str, how: str) -> None:
    """A key with another spec is refused to its own tenant alone, with that tenant's job; others are told of none."""
    with Queue(database) as queue:
        ours = queue.enqueue(spec={"n": 1}, idempotency_key="k", user_id="a")

        def other(user_id: str) -> Any:
            if how == "enqueue_render":
                return queue.enqueue(spec={"n": 2}, idempotency_key="k", user_id=user_id)
            return queue.value(
                "select enqueue_renders(array['noop'], array['{\"n\": 2}']::jsonb[], null, array['k'], user_id => %s)",
                [user_id],
            )

        assert str(other("b")) != ours
        with pytest.raises(psycopg.errors.UniqueViolation, match=f"another request, job {ours}"):
            other("a")


def test_no_tenant_is_the_empty_one(database: str) -> None:
    """Without a user_id is the tenant '', as for fairness: its key is taken for both ways to say so."""
    with Queue(database) as queue:
        queue.enqueue(idempotency_key="k")
        with pytest.raises(psycopg.errors.UniqueViolation):
            queue.enqueue(idempotency_key="k", user_id="")


def test_bulk_calls_with_the_same_keys_of_several_tenants_do_not_deadlock(database: str) -> None:
    """Keys are taken in one order for all, tenants included: two calls in opposite orders both come through."""
    statement = """select enqueue_renders(
        array_agg('noop'::text), array_agg('{}'::jsonb), null, array_agg('k'::text order by u), user_id => array_agg(u::text order by u * %s))
        from generate_series(1, 300) u"""
    with Queue(database) as queue:
        sessions = [queue.connect(), queue.connect()]
        start, failed = threading.Barrier(2), list[Exception]()

        def run(session: psycopg.Connection[Any], sign: int) -> None:
            start.wait()
            try:
                session.execute(statement, [sign])
            except psycopg.Error as error:
                failed.append(error)

        threads = [
            threading.Thread(target=run, args=(session, sign)) for session, sign in zip(sessions, (1, -1), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert queue.value("select count(*) from render_jobs") == 300


@pytest.fixture
def empty(each_server: EmbeddedServer) -> Iterator[str]:
    """Provide the URL of an empty database, on each major version."""
    create_database(each_server, "before_tenants", "template1")
    yield each_server.url("before_tenants")
    assert drop_database(each_server, "before_tenants") == []


def test_keys_that_are_in_use_keep_their_jobs_in_an_upgrade(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a live, a finished and a dead job, with a tenant and without: afterwards the key is that tenant's, and nobody else's."""
    shipped = migrations()
    with monkeypatch.context() as patched:
        patched.setattr("supervisor.store.migrate.migrations", lambda: shipped[:9])
        migrate(empty)
    with psycopg.connect(empty, autocommit=True) as client:
        jobs = {
            key: enqueue(client, "noop", {}, idempotency_key=key, user_id=user_id)
            for key, user_id in (("live", "a"), ("dead", "a"), ("finished", "a"), ("nobody's", None))
        }
        client.execute("select cancel_render(%s)", [jobs["finished"]])
        client.execute(
            "with j as (delete from jobsupervisor.job where id = %s returning *) insert into jobsupervisor.dead_letter (id, kind,"
            " priority, run_at, attempt, charged, offences, progress, failure, user_id, idempotency_key, created_at, spec, config)"
            " select id, kind, 0, run_at, 1, 1, 0, 0, 'invalid', user_id, idempotency_key, created_at, spec, config from j",
            [jobs["dead"]],
        )
        migrate(empty)
        for key, job_id in jobs.items():
            user_id = None if key == "nobody's" else "a"
            assert enqueue(client, "noop", {}, idempotency_key=key, user_id=user_id) == job_id
            assert enqueue(client, "noop", {}, idempotency_key=key, user_id="b") != job_id


BOUNDS: dict[str, Any] = {"RENDER_MAX_PRIORITY": 10, "RENDER_ATTEMPTS_LIMIT": 7}
MOST = 2**31 - 1


@pytest.mark.parametrize("how", ["enqueue_render", "enqueue_renders"])
def test_no_job_is_above_the_operators_bounds(database: str, how: str) -> None:
    """An enqueuer that asks for the first place and attempts without end gets the operator's bounds; what is below stays."""
    with Queue(database) as queue, logged_in(queue, "jobsupervisor_enqueuer") as client:
        queue.supervisor(**BOUNDS)
        for asked, given in (((MOST, MOST), (10, 7)), ((10, 7), (10, 7)), ((-5, 2), (-5, 2)), ((None, None), (0, 5))):
            if how == "enqueue_render":
                statement = "select enqueue_render('noop', '{}', priority => %s, max_attempts => %s)"
            else:
                statement = (
                    "select enqueue_renders(array['noop'], array['{}'::jsonb], priority => array[%s::integer],"
                    " max_attempts => array[%s::integer])"
                )
            row = client.execute(statement, asked).fetchone()
            assert row is not None
            job = queue.job(str(row[0]))
            assert (job["priority"], job["max_attempts"]) == given


def test_a_keyed_job_of_a_bulk_call_is_bounded_too(database: str) -> None:
    """It goes in by another way than the others of its call."""
    with Queue(database) as queue:
        queue.supervisor(**BOUNDS)
        job_id = queue.value(
            "select enqueue_renders(array['noop'], array['{}'::jsonb], null, array['k'], array[%s], max_attempts => array[%s])",
            MOST,
            MOST,
        )
        assert (queue.stored(str(job_id))["priority"], queue.stored(str(job_id))["max_attempts"]) == (10, 7)


def test_a_redriven_job_comes_back_under_the_bounds_of_now(database: str) -> None:
    """A dead letter from before the operator set them is no way around them."""
    with Queue(database) as queue:
        job_id = queue.enqueue(priority=MOST, max_attempts=90)
        supervisor = queue.supervisor()
        assert supervisor.ack(supervisor.claim_one(), "invalid") == "failed"
        queue.supervisor("b", **BOUNDS)
        queue.value("select redrive_render(%s)", job_id)
        assert (queue.stored(job_id)["priority"], queue.stored(job_id)["max_attempts"]) == (10, 7)


def test_without_a_setting_priority_has_no_bound_and_attempts_have_a_wide_one(database: str) -> None:
    """As before, for an application that works: only attempts beyond a hundred are brought down."""
    with Queue(database) as queue:
        job_id = queue.enqueue(priority=MOST, max_attempts=MOST)
        assert (queue.stored(job_id)["priority"], queue.stored(job_id)["max_attempts"]) == (MOST, 100)
        queue.supervisor()
        job_id = queue.enqueue(priority=MOST, max_attempts=100)
        assert (queue.stored(job_id)["priority"], queue.stored(job_id)["max_attempts"]) == (MOST, 100)


def test_what_the_operator_gives_every_job_a_job_may_ask_for(database: str) -> None:
    """RENDER_MAX_ATTEMPTS above the limit lifts it: a default that is refused to who names it would be absurd."""
    with Queue(database) as queue:
        queue.supervisor(RENDER_MAX_ATTEMPTS=200)
        assert queue.stored(queue.enqueue(max_attempts=MOST))["max_attempts"] == 200


def test_bounds_change_on_reload_and_not_by_a_render_for_a_person(database: str) -> None:
    """A supervisor tells them again when its settings are read again; `jobsupervisor render` has the settings of a shell."""
    with Queue(database) as queue:
        supervisor = queue.supervisor(**BOUNDS)
        queue.supervisor("one-shot", only=queue.enqueue())
        assert queue.stored(queue.enqueue(priority=MOST))["priority"] == 10
        supervisor.store._settings.adopt(settings_for(queue.url, RENDER_MAX_PRIORITY=3))  # noqa: SLF001 - as SIGHUP does
        queue.run(supervisor.store.retell())
        assert queue.stored(queue.enqueue(priority=MOST))["priority"] == 3
