"""What clients do to jobs that are there: cancel, put back from the dead letters, purge."""

from __future__ import annotations

import uuid
from datetime import timedelta

import psycopg
import pytest

from supervisor.store.client import Client
from tests.queue.support import ARTIFACT, Queue, Supervisor, heard, listening, refusal


def dead(queue: Queue, supervisor: Supervisor, kind: str = "noop", outcome: str = "invalid", **options: object) -> str:
    """Have a job end in the dead letters; return its id."""
    job_id = queue.enqueue(kind, max_attempts=1, **options)
    assert supervisor.ack(supervisor.claim_one(), outcome) == "failed"
    return job_id


def test_a_queued_job_is_cancelled_at_once(database: str) -> None:
    """It is final with the call: told, listed with its history, and never claimed."""
    with Queue(database) as queue, listening(queue, "render_events", "jobsupervisor_cancel") as said:
        job_id = queue.enqueue("svg", user_id="u", correlation_id="c", priority=2)
        a = queue.supervisor()
        assert a.ack(a.claim_one(), "render_error") == "queued"
        assert queue.value("select cancel_render(%s)", job_id) is True
        job = queue.job(job_id)
        assert (job["status"], job["attempts"], job["priority"]) == ("cancelled", 1, 2)
        assert (job["user_id"], job["correlation_id"], job["finished_at"] is not None) == ("u", "c", True)
        assert queue.attempts(job_id) == [(1, "render_error")]
        assert a.claim() == []
        assert [channel for channel, _ in heard(queue, said)] == ["render_events"]


def test_a_running_job_is_cancelled_by_its_supervisor(database: str) -> None:
    """The supervisor is told by notification, and by every exchange until it answers; only then is the job final."""
    with Queue(database) as queue, listening(queue, "render_events", "jobsupervisor_cancel") as said:
        job_id = queue.enqueue()
        a, b = queue.supervisor("a"), queue.supervisor("b")
        claim = a.claim_one()
        assert queue.value("select cancel_render(%s)", job_id) is True
        assert queue.value("select cancel_render(%s)", job_id) is True
        assert queue.job(job_id)["status"] == "processing"
        assert heard(queue, said) == [("jobsupervisor_cancel", job_id)] * 2
        assert (a.exchange().cancelled, a.exchange().cancelled, b.exchange().cancelled) == ([job_id], [job_id], [])
        assert a.ack(claim, "cancelled") == "cancelled"
        assert queue.attempts(job_id) == [(1, "cancelled")]
        assert [channel for channel, _ in heard(queue, said)] == ["render_events"]
        assert a.exchange().cancelled == []


@pytest.mark.parametrize(("outcome", "status"), [("ok", "completed"), ("invalid", "failed")])
def test_a_finished_job_is_not_cancelled(database: str, outcome: str, status: str) -> None:
    """The answer is false, and the job stays as it is."""
    with Queue(database) as queue, listening(queue, "render_events") as events:
        job_id = queue.enqueue()
        a = queue.supervisor()
        assert a.ack(a.claim_one(), outcome, artifact=ARTIFACT) == status
        before = queue.job(job_id)
        assert queue.value("select cancel_render(%s)", job_id) is False
        assert queue.job(job_id) == before
        assert len(heard(queue, events)) == 1


def test_cancelled_twice_or_unknown(database: str) -> None:
    """The second cancellation is false, as are that of a job nobody knows and of none at all."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        assert queue.value("select cancel_render(%s)", job_id) is True
        assert queue.value("select cancel_render(%s)", job_id) is False
        assert queue.value("select cancel_render(%s)", uuid.UUID(int=0)) is False
        assert queue.value("select cancel_render(null)") is False


def test_a_cancellation_rolled_back(database: str) -> None:
    """It belongs to the caller's transaction, as enqueueing does: nothing happened and nobody was told."""
    with Queue(database) as queue, listening(queue, "render_events", "jobsupervisor_cancel") as said:
        job_id = queue.enqueue()
        client = queue.connect(autocommit=False)
        assert client.execute("select cancel_render(%s)", [job_id]).fetchone() == (True,)
        client.rollback()
        assert queue.job(job_id)["status"] == "queued"
        assert heard(queue, said) == []


def test_a_redrive_keeps_the_job_and_forgives(database: str) -> None:
    """The same id, spec and options; charges and failure reset; it is due now and wakes; its attempts count on."""
    with Queue(database) as queue, listening(queue, "jobsupervisor_wake") as wakes:
        options = {
            "spec": {"a": 1},
            "config": '{"b": 2}',
            "priority": 4,
            "timeout": timedelta(seconds=7),
            "memory_mb": 99,
            "user_id": "u",
            "correlation_id": "c",
            "idempotency_key": "k",
            "max_attempts": 2,
        }
        job_id = queue.enqueue("svg", **options)
        a = queue.supervisor()
        before = queue.stored(job_id)
        assert a.ack(a.claim_one(), "crash") == "queued"
        assert a.ack(a.claim_one(), "crash", error="boom") == "failed"
        heard(queue, wakes)
        assert str(queue.value("select redrive_render(%s)", job_id)) == job_id
        assert heard(queue, wakes) == [("jobsupervisor_wake", "")]
        assert queue.value("select count(*) from render_dead_letters") == 0
        after = queue.stored(job_id)
        assert {name for name in before if before[name] != after[name]} == {"attempt", "run_at", "updated_at"}
        job = queue.job(job_id)
        assert (job["status"], job["attempts"], job["failure"], job["error"]) == ("queued", 0, None, None)
        for number, verdict in ((3, "queued"), (4, "failed")):
            claim = a.claim_one()
            assert claim.token.attempt == number
            assert a.ack(claim, "crash") == verdict
        assert queue.attempts(job_id) == [(number, "crash") for number in (1, 2, 3, 4)]
        assert queue.enqueue("svg", **options) == job_id


@pytest.mark.parametrize("state", ["unknown", "null", "queued", "completed"])
def test_only_a_dead_letter_can_be_redriven(database: str, state: str) -> None:
    """Anything else is an error that names the id and where to find the right ones."""
    with Queue(database) as queue:
        job_id: str | None = None if state == "null" else str(uuid.UUID(int=7))
        if state in {"queued", "completed"}:
            job_id = queue.enqueue()
        if state == "completed":
            a = queue.supervisor()
            assert a.ack(a.claim_one()) == "completed"
        with pytest.raises(psycopg.errors.NoDataFound) as raised:
            queue.value("select redrive_render(%s::uuid)", job_id)
        said, hint = refusal(raised.value)
        assert said == f"id must be that of a dead letter, got {job_id or 'null'}"
        assert hint == "render_dead_letters lists them."


def test_many_are_redriven_by_kind_and_failure(database: str) -> None:
    """The oldest first and at most so many; others stay where they are."""
    with Queue(database) as queue, Client.connect(database) as client:
        a = queue.supervisor()
        first, second = dead(queue, a, "svg"), dead(queue, a, "svg")
        other_kind, other_failure = dead(queue, a, "noop"), dead(queue, a, "svg", "render_error")
        assert client.redrive_many("svg", "invalid", 1) == [first]
        assert client.redrive_many("svg", "invalid", 9) == [second]
        assert {str(row["id"]) for row in client.dead_letters(None, None, 9)} == {other_kind, other_failure}
        assert [str(row["id"]) for row in client.dead_letters(None, "render_error", 9)] == [other_failure]
        assert client.redrive(other_kind) == other_kind
        assert {job.id for job in a.claim(want=9)} == {first, second, other_kind}


def test_purging_by_age(database: str) -> None:
    """What died longer ago goes with its attempts and its key; the rest stays; the key can be used anew."""
    with Queue(database) as queue:
        a = queue.supervisor()
        old, young = dead(queue, a, idempotency_key="old"), dead(queue, a, idempotency_key="young")
        completed = queue.enqueue(idempotency_key="completed")
        assert a.ack(a.claim_one()) == "completed"
        age = "update jobsupervisor.dead_letter set died_at = now() - interval '31 days' where id = %s"
        queue.client.execute(age, [old])
        assert queue.value("select purge_dead_letters(interval '30 days')") == 1
        assert [str(row["id"]) for row in queue.rows("select id from render_dead_letters")] == [young]
        assert (queue.attempts(old), queue.attempts(young)) == ([], [(1, "invalid")])
        again = queue.enqueue(idempotency_key="old")
        assert again != old
        assert queue.enqueue(idempotency_key="young") == young
        assert queue.value("select purge_dead_letters(interval '0')") == 1
        assert queue.value("select purge_dead_letters(interval '0')") == 0
        assert {str(row["id"]) for row in queue.rows("select id from render_jobs")} == {again, completed}
        assert queue.attempts(completed) == [(1, "ok")]


@pytest.mark.parametrize(
    ("argument", "value"), [("null", "null"), ("interval '-1 day'", "-1 days")], ids=["null", "negative"]
)
def test_a_wrong_age_purges_nothing(database: str, argument: str, value: str) -> None:
    """The error gives the rule, the value and examples."""
    with Queue(database) as queue:
        dead(queue, queue.supervisor())
        with pytest.raises(psycopg.errors.InvalidParameterValue) as raised:
            queue.client.execute(f"select purge_dead_letters({argument})")
        assert refusal(raised.value)[0] == f"older_than must be an interval of zero or more, got {value}"
        assert queue.value("select count(*) from render_dead_letters") == 1
