"""Acks that the database refuses together: the one at fault is found and ends as ours, the others count as they would have."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from supervisor.isolation import Isolated, isolate
from supervisor.model import Ack, Artifact, Job
from supervisor.store.connection import DataRefused
from supervisor.store.exchange import Exchanged
from tests.queue.support import ARTIFACT, Queue, Supervisor, ack_of

REFUSES = """
    create function refuses() returns trigger language plpgsql as $$
    begin
        if new.{column} {condition} then {how}; end if;
        return new;
    end $$;
    create trigger refuses before insert on jobsupervisor.{table} for each row execute function refuses();
"""
RAISES = {
    "a value out of range": "perform 1e-50::real",
    "a null": "new.outcome := null",
    "a division": "perform 1 / 0",
    "a trigger": "raise exception 'not here'",
    "a limit of size": "raise exception using errcode = 'program_limit_exceeded'",
    "a damaged row": "raise exception using errcode = 'data_corrupted'",
}


def settle(queue: Queue, supervisor: Supervisor, acks: Sequence[Ack]) -> tuple[Isolated, int]:
    """Send acks as the dispatcher does that the database refuses; return what became of them, and how many it sent."""
    sent = 0

    async def send(some: Sequence[Ack]) -> Exchanged:
        nonlocal sent
        sent += 1
        return await supervisor.store.exchange(some, {}, [], 0)

    async def work() -> Isolated:
        with pytest.raises(DataRefused) as refused:
            await supervisor.store.exchange(acks, {}, [], 0)
        return await isolate(send, acks, refused.value)

    return queue.run(work()), sent


def claimed(queue: Queue, supervisor: Supervisor, count: int) -> list[Job]:
    """Enqueue and claim so many jobs."""
    for _ in range(count):
        queue.enqueue()
    return supervisor.claim(want=count)


@pytest.mark.parametrize("how", RAISES.values(), ids=RAISES.keys())
def test_one_ack_that_is_refused(how: str, database: str) -> None:
    """Of 17 acks one cannot be written: its attempt ends as `internal`, uncharged, with the cause; 16 jobs are completed."""
    with Queue(database) as queue:
        supervisor = queue.supervisor()
        jobs = claimed(queue, supervisor, 17)
        bad = jobs[11]
        condition = "is not distinct from 99"
        queue.client.execute(REFUSES.format(table="attempt", column="peak_memory_bytes", condition=condition, how=how))
        acks = [ack_of(job, peak_memory_bytes=99 if job is bad else 1, artifact=ARTIFACT) for job in jobs]
        found, sent = settle(queue, supervisor, acks)
        verdicts = {verdict.job_id: verdict.verdict for verdict in found.answer.verdicts}
        assert verdicts == {job.id: "queued" if job is bad else "completed" for job in jobs}
        assert sent <= 11
        assert found.stuck == []
        (replaced,) = found.replaced
        # Nobody refers to its artifact: whoever hears the verdict withdraws it.
        assert replaced.ending is not None
        assert isinstance(replaced.ending.artifact, Artifact)
        assert queue.attempts(bad.id) == [(1, "internal")]
        assert "the database refused what was to be kept of this attempt: " in queue.job(bad.id)["error"]
        assert (queue.stored(bad.id)["charged"], queue.stored(bad.id)["offences"]) == (0, 0)


def test_several_acks_that_are_refused(database: str) -> None:
    """Each is found, wherever it stands, and nothing else is touched."""
    with Queue(database) as queue:
        supervisor = queue.supervisor()
        jobs = claimed(queue, supervisor, 9)
        bad = {jobs[0].id, jobs[4].id, jobs[8].id}
        queue.client.execute(
            REFUSES.format(table="attempt", column="error", condition="= 'bad'", how="raise exception 'bad'")
        )
        acks = [ack_of(job, "crash", error="bad" if job.id in bad else "good") for job in jobs]
        found, _ = settle(queue, supervisor, acks)
        assert {ack.job_id for ack in found.replaced} == bad
        outcomes = {job.id: queue.attempts(job.id)[0][1] for job in jobs}
        assert outcomes == {job.id: "internal" if job.id in bad else "crash" for job in jobs}


def test_an_ack_that_is_refused_in_every_form(database: str) -> None:
    """What the database refuses even as `internal` stays owed, with the cause; what stands beside it is settled."""
    with Queue(database) as queue:
        supervisor = queue.supervisor()
        jobs = claimed(queue, supervisor, 4)
        condition = f"= '{jobs[2].id}'"
        queue.client.execute(
            REFUSES.format(table="attempt", column="job_id", condition=condition, how="raise exception 'never'")
        )
        found, _ = settle(queue, supervisor, [ack_of(job) for job in jobs])
        assert {verdict.job_id for verdict in found.answer.verdicts} == {job.id for job in jobs} - {jobs[2].id}
        assert found.replaced == []
        assert [ack.job_id for ack in found.stuck] == [jobs[2].id]
        assert queue.stored(jobs[2].id)["state"] == "processing"
        queue.client.execute("drop trigger refuses on jobsupervisor.attempt")
        assert supervisor.ack(jobs[2]) == "completed"


def test_a_claim_that_is_given_back_and_refused(database: str) -> None:
    """An ack without an ending has no values to leave out: it stays owed until the database takes it."""
    with Queue(database) as queue:
        supervisor = queue.supervisor()
        job, other = claimed(queue, supervisor, 2)
        queue.client.execute(
            REFUSES.format(table="job", column="id", condition=f"= '{job.id}'", how="raise exception 'never'").replace(
                "before insert", "before update"
            )
        )
        found, _ = settle(queue, supervisor, [ack_of(job, None), ack_of(other, None)])
        assert [(verdict.job_id, verdict.verdict) for verdict in found.answer.verdicts] == [(other.id, "given_back")]
        assert [ack.job_id for ack in found.stuck] == [job.id]
