"""enqueue_render: what it takes, what it refuses, and that it belongs to the caller's transaction."""

from __future__ import annotations

import re
import threading
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.queue.support import Queue, enqueue, heard, listening, refusal

WAITS = "select pid from pg_locks where pid = %s and not granted"
LONG = "x" * 256


def test_kind_and_spec_are_enough(database: str) -> None:
    """Everything else has a default, and the job is queued at once."""
    with Queue(database) as queue:
        job = queue.job(str(queue.value("select enqueue_render('noop', '{}')")))
        assert (job["status"], job["kind"], job["attempts"], job["max_attempts"]) == ("queued", "noop", 0, 5)
        assert (job["priority"], job["progress"], job["user_id"], job["failure"]) == (0, 0.0, None, None)
        assert job["run_at"] == job["created_at"] == job["updated_at"]
        assert (job["started_at"], job["finished_at"], job["output_url"]) == (None, None, None)


def test_every_parameter_arrives(database: str) -> None:
    """All that a client passes is in the view, or reaches the supervisor with the claim."""
    run_at = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    with Queue(database) as queue:
        job_id = queue.enqueue(
            "svg",
            {"a": [1]},
            config='{"width": 7}',
            idempotency_key="k",
            priority=3,
            run_at=run_at,
            max_attempts=9,
            timeout=timedelta(seconds=61.5),
            memory_mb=99,
            user_id="u1",
            correlation_id="req-7",
        )
        job = queue.job(job_id)
        assert (job["kind"], job["priority"], job["run_at"], job["max_attempts"]) == ("svg", 3, run_at, 9)
        assert (job["user_id"], job["correlation_id"]) == ("u1", "req-7")
        assert queue.stored(job_id)["idempotency_key"] == "k"
        claim = queue.supervisor().claim_one()
        assert (claim.id, claim.spec, claim.config) == (job_id, '{"a": [1]}', '{"width": 7}')
        assert (claim.timeout, claim.memory_mb) == (61.5, 99)
        assert (claim.user_id, claim.correlation_id) == ("u1", "req-7")


REFUSED = {
    "kind": ("'nope', '{}'", "kind must be a registered kind, got 'nope'"),
    "kind null": ("null, '{}'", "kind must be a registered kind, got null"),
    "spec null": ("'noop', null", "spec must be a JSON object, got null"),
    "spec JSON null": ("'noop', 'null'", "spec must be a JSON object, got null"),
    "spec array": ("'noop', '[]'", "spec must be a JSON object, got array"),
    "spec scalar": ("'noop', '1'", "spec must be a JSON object, got number"),
    "config": ("'noop', '{}', config => '\"x\"'", "config must be a JSON object, got string"),
    "timeout zero": ("'noop', '{}', timeout => interval '0'", "timeout must be positive, got 00:00:00"),
    "timeout": ("'noop', '{}', timeout => interval '-1 s'", "timeout must be positive, got -00:00:01"),
    "memory": ("'noop', '{}', memory_mb => 0", "memory_mb must be positive, got 0"),
    "attempts": ("'noop', '{}', max_attempts => 0", "max_attempts must be at least 1, got 0"),
    "never": (
        "'noop', '{}', run_at => 'infinity'",
        "run_at must be a point in time before the year 10000, got infinity",
    ),
    "always": (
        "'noop', '{}', run_at => '-infinity'",
        "run_at must be a point in time before the year 10000, got -infinity",
    ),
    "user": (f"'noop', '{{}}', user_id => '{LONG}'", "user_id must be at most 255 characters, got 256"),
    "correlation": (
        f"'noop', '{{}}', correlation_id => '{LONG}'",
        "correlation_id must be at most 255 characters, got 256",
    ),
    "long key": (
        f"'noop', '{{}}', idempotency_key => '{LONG}'",
        "idempotency_key must be at most 255 characters, got 256",
    ),
    "empty key": ("'noop', '{}', idempotency_key => ''", "idempotency_key must not be empty, got ''"),
}


def assert_nothing_enqueued(queue: Queue) -> None:
    """Neither a job nor a key is there."""
    assert queue.value("select count(*) from render_jobs") == 0
    assert queue.value("select count(*) from jobsupervisor.idempotency") == 0


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_value_is_refused(database: str, arguments: str, message: str) -> None:
    """The error gives the rule, the value and a way out, and leaves neither a job, a key nor a wake-up."""
    with Queue(database) as queue, listening(queue, "jobsupervisor_wake") as wakes:
        with pytest.raises(psycopg.errors.InvalidParameterValue) as raised:
            queue.client.execute(f"select enqueue_render({arguments})")
        said, hint = refusal(raised.value)
        assert said == message
        assert hint.endswith((".", "}."))
        assert_nothing_enqueued(queue)
        assert heard(queue, wakes) == []


def test_the_registered_kinds_are_named(database: str) -> None:
    """Who mistypes a kind reads which ones there are."""
    with Queue(database) as queue, pytest.raises(psycopg.errors.InvalidParameterValue) as raised:
        queue.enqueue("sgv")
    assert raised.value.diag.message_detail == "Registered: noop, scene, svg."


@pytest.mark.parametrize("where", ["spec", "config"])
def test_a_spec_over_the_limit_is_refused(database: str, where: str) -> None:
    """Spec and config count together; exactly the limit passes, one byte more does not, and both sizes are said."""
    with Queue(database) as queue:
        queue.client.execute("update jobsupervisor.default_limits set spec_bytes = 1000")
        values = {"spec": "{}", "config": "{}"}
        for filling, passes in ((1000 - len('{"a": ""}') - len("{}"), True), (1001 - len('{"a": ""}{}'), False)):
            values[where] = f'{{"a": "{"x" * filling}"}}'
            call = "select enqueue_render('noop', %(spec)s::jsonb, %(config)s::jsonb)"
            if passes:
                queue.client.execute(call, values)
                queue.client.execute("delete from jobsupervisor.job")
                continue
            with pytest.raises(psycopg.errors.ProgramLimitExceeded) as raised:
                queue.client.execute(call, values)
            said, _ = refusal(raised.value)
            assert said == "spec and config must be at most 1000 bytes together, got 1001"
        assert_nothing_enqueued(queue)


def test_a_compressed_spec_counts_in_full(database: str) -> None:
    """A spec read from a table is stored compressed there; what counts is what a child would read."""
    with Queue(database) as queue:
        queue.client.execute("update jobsupervisor.default_limits set spec_bytes = 100000")
        queue.client.execute("create table t as select jsonb_build_object('a', repeat('x', 1000000)) as spec")
        assert queue.value("select pg_column_size(spec) from t") < 100000
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="got 1000011"):
            queue.client.execute("select enqueue_render('noop', spec) from t")


def test_a_rollback_leaves_nothing(database: str) -> None:
    """The job belongs to the caller's transaction: rolled back, there is no job, no key and no wake-up."""
    with Queue(database) as queue, listening(queue, "jobsupervisor_wake") as wakes:
        queue.supervisor()
        with queue.connect(autocommit=False) as caller:
            enqueue(caller, "noop", {}, idempotency_key="k")
            assert caller.execute("select count(*) from render_jobs").fetchone() == (1,)
            caller.rollback()
        assert_nothing_enqueued(queue)
        assert heard(queue, wakes) == []


def test_a_commit_shows_and_wakes(database: str) -> None:
    """Nobody sees the job before the commit; after it there are the job and one wake-up."""
    with Queue(database) as queue, listening(queue, "jobsupervisor_wake") as wakes:
        queue.supervisor()
        with queue.connect(autocommit=False) as caller:
            job_id = enqueue(caller, "noop", {})
            assert_nothing_enqueued(queue)
            caller.commit()
        assert queue.job(job_id)["status"] == "queued"
        assert heard(queue, wakes) == [("jobsupervisor_wake", "")]


def test_a_bulk_enqueue_wakes_once(database: str) -> None:
    """A thousand jobs in one transaction are one notification."""
    with Queue(database) as queue, listening(queue, "jobsupervisor_wake") as wakes:
        queue.supervisor()
        queue.client.execute("select enqueue_render('noop', '{}') from generate_series(1, 1000)")
        assert queue.value("select count(*) from render_jobs") == 1000
        assert heard(queue, wakes) == [("jobsupervisor_wake", "")]


def test_the_wake_up_of_a_delayed_job_carries_its_time(database: str) -> None:
    """The payload is the second at which it is due, rounded down, so that a supervisor sets its clock and sleeps."""
    with Queue(database) as queue, listening(queue, "jobsupervisor_wake") as wakes:
        queue.supervisor()
        queue.enqueue(run_at="2100-01-01T00:00:00.9Z")
        assert heard(queue, wakes) == [("jobsupervisor_wake", "4102444800")]


def test_the_same_key_answers_the_same_job(database: str) -> None:
    """A repeated request is one job and one wake-up, also after the job has finished."""
    with Queue(database) as queue, listening(queue, "jobsupervisor_wake") as wakes:
        supervisor = queue.supervisor()
        first = queue.enqueue("noop", {"a": 1, "b": 2}, idempotency_key="k", user_id="u")
        assert queue.enqueue("noop", {"b": 2, "a": 1}, idempotency_key="k", user_id="u") == first
        assert len(heard(queue, wakes)) == 1
        assert supervisor.ack(supervisor.claim_one()) == "completed"
        assert queue.enqueue("noop", {"a": 1, "b": 2}, idempotency_key="k", user_id="u") == first
        assert queue.value("select count(*) from render_jobs") == 1


@pytest.mark.parametrize(
    "other",
    [{"spec": {"a": 2}}, {"kind": "svg"}, {"config": '{"b": 1}'}],
    ids=str,
)
def test_a_key_used_for_another_request_is_refused(database: str, other: dict[str, object]) -> None:
    """The error names the key and the job that has it; no second job is there."""
    with Queue(database) as queue:
        request = {"kind": "noop", "spec": {"a": 1}, "user_id": "u", "idempotency_key": "it's"}
        first = enqueue(queue.client, **request)  # type: ignore[arg-type]
        with pytest.raises(psycopg.errors.UniqueViolation) as raised:
            enqueue(queue.client, **request | other)  # type: ignore[arg-type]
        said, _ = refusal(raised.value)
        assert said == f"idempotency_key 'it''s' was used for another request, job {first}"
        assert queue.value("select count(*) from render_jobs") == 1


@pytest.mark.parametrize("first_commits", [True, False])
def test_two_transactions_with_one_key(database: str, *, first_commits: bool) -> None:
    """The second waits for the first: it gets the same job where that commits, and makes its own where it rolls back."""
    with Queue(database) as queue:
        first, second = queue.connect(autocommit=False), queue.connect()
        job_id = enqueue(first, "noop", {}, idempotency_key="k")
        answers: list[str] = []
        thread = threading.Thread(target=lambda: answers.append(enqueue(second, "noop", {}, idempotency_key="k")))
        thread.start()
        while not queue.rows(WAITS, second.info.backend_pid):
            assert thread.is_alive()
        assert answers == []
        (first.commit if first_commits else first.rollback)()
        thread.join()
        assert (answers == [job_id]) is first_commits
        assert [str(row["id"]) for row in queue.rows("select id from render_jobs")] == answers


@pytest.mark.each_server
def test_ids_are_of_version_7_and_grow(database: str) -> None:
    """An id carries the millisecond at which it was made, so that later ids are greater; it is unique within one."""
    with Queue(database) as queue:
        before = queue.value("select floor(extract(epoch from clock_timestamp()) * 1000)::bigint")
        ids = [
            row["id"]
            for row in queue.rows("select enqueue_render('noop', '{}') as id, i from generate_series(1, 200) i")
        ]
        after = queue.value("select ceil(extract(epoch from clock_timestamp()) * 1000)::bigint")
        assert len(set(ids)) == 200
        assert {(made.version, made.variant) for made in ids} == {(7, uuid.RFC_4122)}
        times = [made.int >> 80 for made in ids]
        assert times == sorted(times)
        assert before <= times[0] <= times[-1] <= after
        assert re.fullmatch(r"[0-9a-f-]{36}", str(ids[0]))
