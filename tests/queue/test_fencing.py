"""Fencing: a write under a token that is not the job's any more changes nothing. One test for each race."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from renderer.outcome import Outcome
from supervisor.model import Ack, Ending, Token
from supervisor.store.queue import QueueStore
from tests.queue.support import ARTIFACT, Queue, Supervisor, ack_of, heard, listening

ROUNDS = 40


def rescue(by: Supervisor, dead: Supervisor) -> list[str]:
    """Have one supervisor take over what another has, whose name nobody holds; return the verdicts."""
    found = by.poll_after_grace().lost
    assert {ack.token.owner for ack in found} <= {dead.owner}
    return [verdict.verdict for verdict in by.exchange(*found).verdicts]


def everything(queue: Queue) -> list[list[dict[str, object]]]:
    """Return all that is stored of jobs, to be compared."""
    return [
        queue.rows("select * from jobsupervisor.job order by id"),
        queue.rows("select * from jobsupervisor.finished_job order by id"),
        queue.rows("select * from jobsupervisor.dead_letter order by id"),
        queue.rows("select * from jobsupervisor.attempt order by job_id, attempt"),
    ]


@pytest.mark.parametrize("outcome", [*Outcome, None], ids=str)
def test_an_ack_with_another_owner(database: str, outcome: Outcome | None) -> None:
    """Whatever it says, an ack that names a supervisor which does not have the job is refused and told to nobody."""
    with Queue(database) as queue, listening(queue, "render_events") as events:
        queue.enqueue()
        a, b = queue.supervisor("a"), queue.supervisor("b")
        claim = a.claim_one()
        before = everything(queue)
        forged = Ack(claim.id, Token(b.owner, 1), None if outcome is None else Ending(outcome, artifact=ARTIFACT))
        assert b.send(forged) == "lease_lost"
        assert everything(queue) == before
        assert heard(queue, events) == []
        assert a.ack(claim) == "completed"


def test_an_ack_with_an_older_attempt(database: str) -> None:
    """The same supervisor's earlier attempt cannot end the attempt that runs now, nor one that has not begun."""
    with Queue(database) as queue:
        queue.enqueue()
        a = queue.supervisor()
        old = a.claim_one()
        assert a.ack(old, "render_error") == "queued"
        claim = a.claim_one()
        before = everything(queue)
        assert a.ack(old, artifact=ARTIFACT) == "lease_lost"
        assert a.send(Ack(claim.id, Token(a.owner, 3), Ending(Outcome.OK))) == "lease_lost"
        assert everything(queue) == before
        assert a.ack(claim) == "completed"


def test_an_ack_while_the_job_is_queued_again(database: str) -> None:
    """Between two attempts nobody has the job, so that nobody can end it."""
    with Queue(database) as queue:
        queue.enqueue()
        a = queue.supervisor()
        claim = a.claim_one()
        assert a.ack(claim, "render_error") == "queued"
        before = everything(queue)
        assert a.ack(claim, artifact=ARTIFACT) == "lease_lost"
        assert everything(queue) == before


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.CRASH, Outcome.LOST, Outcome.CANCELLED, None], ids=str)
def test_an_ack_after_a_cancellation(database: str, outcome: Outcome | None) -> None:
    """A cancelled job is cancelled whatever its attempt still answers: nothing is published, nothing is tried again."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        a = queue.supervisor()
        claim = a.claim_one()
        assert queue.value("select cancel_render(%s)", job_id) is True
        assert a.exchange().cancelled == [job_id]
        assert a.ack(claim, outcome, artifact=ARTIFACT) == "cancelled"
        job = queue.job(job_id)
        assert (job["status"], job["output_url"], job["output_sha256"], job["output_bytes"]) == (
            "cancelled",
            None,
            None,
            None,
        )
        assert queue.attempts(job_id) == ([] if outcome is None else [(1, "cancelled")])
        assert a.exchange(want=1).claimed == []


def test_an_ack_after_a_rescue(database: str) -> None:
    """A supervisor that lives after all, while another runs its job, finds its lease lost and changes nothing."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        a, b = queue.supervisor("a"), queue.supervisor("b")
        old = a.claim_one()
        assert rescue(b, a) == ["queued"]
        claim = b.claim_one()
        assert claim.token == Token(b.owner, 2)
        before = everything(queue)
        assert a.ack(old, artifact=ARTIFACT) == "lease_lost"
        assert a.ack(old, None) == "lease_lost"
        assert everything(queue) == before
        assert b.ack(claim) == "completed"
        assert queue.attempts(job_id) == [(1, "lost"), (2, "ok")]


def test_a_rescue_after_the_ack(database: str) -> None:
    """Who was slow, not dead, and finished first has won: the rescue that was under way finds nothing to rescue."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        a, b = queue.supervisor("a"), queue.supervisor("b")
        claim = a.claim_one()
        (lost,) = b.poll_after_grace().lost
        assert a.ack(claim, artifact=ARTIFACT) == "completed"
        assert b.send(lost) == "lease_lost"
        assert queue.attempts(job_id) == [(1, "ok")]
        assert queue.job(job_id)["output_url"] == ARTIFACT.url


def test_two_rescuers(database: str) -> None:
    """Two supervisors that find the same orphan give it back once, with one attempt listed."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        dead, b, c = (queue.supervisor(name) for name in ("a", "b", "c"))
        dead.claim_one()
        found = [by.poll_after_grace().lost for by in (b, c)]
        first, second = (ack for acks in found for ack in acks if ack.token.owner == dead.owner)
        assert (b.send(first), c.send(second)) == ("queued", "lease_lost")
        assert queue.attempts(job_id) == [(1, "lost")]
        assert queue.stored(job_id)["losses"] == 1


def test_progress_after_a_rescue(database: str) -> None:
    """The old owner's progress does not show in the new attempt."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        a, b = queue.supervisor("a"), queue.supervisor("b")
        old = a.claim_one()
        rescue(b, a)
        a.moved(old, 0.9)
        assert queue.job(job_id)["progress"] == 0
        claim = b.claim_one()
        b.moved(claim, 0.2)
        before = everything(queue)
        a.moved(old, 0.9)
        assert everything(queue) == before


def test_an_ack_sent_twice(database: str) -> None:
    """The second time the job is finished: by this very artifact, so it stays; by another, so the lease was lost."""
    with Queue(database) as queue, listening(queue, "render_events") as events:
        job_id = queue.enqueue()
        a = queue.supervisor()
        claim = a.claim_one()
        assert a.ack(claim, artifact=ARTIFACT) == "completed"
        before = everything(queue)
        assert a.ack(claim, artifact=ARTIFACT) == "completed"
        other = type(ARTIFACT)("file:///artifacts/two.png", ARTIFACT.sha256, ARTIFACT.size, ARTIFACT.content_type)
        assert a.ack(claim, artifact=other) == "lease_lost"
        assert everything(queue) == before
        assert queue.job(job_id)["output_url"] == ARTIFACT.url
        assert len(heard(queue, events)) == 1


def test_an_ack_of_an_offence_sent_twice(database: str) -> None:
    """What is charged to the job is charged once."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        a = queue.supervisor()
        claim = a.claim_one()
        answer = a.exchange(ack_of(claim, "crash"), want=1)
        assert [verdict.verdict for verdict in answer.verdicts] == ["queued"]
        assert a.exchange(ack_of(claim, "crash")).verdicts[0].verdict == "lease_lost"
        assert queue.stored(job_id)["charged"] == queue.stored(job_id)["offences"] == 1


@pytest.mark.parametrize("commits", [True, False])
def test_an_ack_while_a_client_holds_the_row(database: str, *, commits: bool) -> None:
    """The ack does not wait, nor do others behind it: `locked`, until the client's cancellation has its end."""
    with Queue(database) as queue:
        a = queue.supervisor()
        ids = [queue.enqueue(), queue.enqueue()]
        held, other = a.claim(want=2)
        assert [held.id, other.id] == ids
        client = queue.connect(autocommit=False)
        client.execute("select cancel_render(%s)", [held.id])
        third = queue.enqueue()
        answer = a.exchange(ack_of(held), ack_of(other), progress={(held.id, held.token): 0.5}, want=5)
        assert {v.job_id: v.verdict for v in answer.verdicts} == {held.id: "locked", other.id: "completed"}
        assert [job.id for job in answer.claimed] == [third]
        assert queue.job(held.id)["status"] == "processing"
        assert queue.attempts(held.id) == [(1, None)]
        (client.commit if commits else client.rollback)()
        assert a.ack(held) == ("cancelled" if commits else "completed")


def test_a_claim_passes_by_what_a_client_holds(database: str) -> None:
    """A queued job that a client is about to cancel is neither waited for nor claimed."""
    with Queue(database) as queue:
        first, second = queue.enqueue(), queue.enqueue()
        client = queue.connect(autocommit=False)
        client.execute("select cancel_render(%s)", [first])
        a = queue.supervisor()
        assert [job.id for job in a.claim(want=5)] == [second]
        client.commit()
        assert queue.job(first)["status"] == "cancelled"


def test_a_cancellation_waits_for_an_ack_under_way(database: str) -> None:
    """A client that cancels while the job's end is being written gets the answer of afterwards: false, it failed."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        a = queue.supervisor()
        claim = a.claim_one()
        blocker = queue.connect(autocommit=False)
        # Holds the exchange after its locks and before its commit: it inserts the same key.
        blocker.execute(
            "insert into jobsupervisor.dead_letter (id, kind, priority, run_at, attempt, charged, offences, progress, failure,"
            " created_at, spec, config) values (%s, 'noop', 0, now(), 1, 1, 0, 0, 'invalid', now(), '{}', '{}')",
            [job_id],
        )

        async def race() -> tuple[str, bool]:
            exchange = asyncio.create_task(a.store.exchange([ack_of(claim, "invalid")], {}, [], 0))
            async with await psycopg.AsyncConnection.connect(database, autocommit=True) as client:
                await until_blocked(queue, 1)
                cancel = asyncio.create_task(client.execute("select cancel_render(%s)", [job_id]))
                await until_blocked(queue, 2)
                blocker.rollback()
                row = await (await cancel).fetchone()
                assert row is not None
                return (await exchange).verdicts[0].verdict, row[0]

        assert queue.run(race()) == ("failed", False)
        assert queue.job(job_id)["failure"] == "invalid"


async def until_blocked(queue: Queue, sessions: int) -> None:
    """Return when so many sessions of this database wait for another's lock."""
    waiting = """select count(*) from pg_stat_activity
        where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0"""
    while queue.value(waiting) < sessions:  # noqa: ASYNC110 - it happens in the server, which sets no event
        await asyncio.sleep(0)


@pytest.mark.each_server
def test_two_supervisors_claim_at_once(database: str) -> None:
    """In many rounds of claims and acks that run at the same time, no job is claimed by both and none is left."""
    with Queue(database) as queue:
        queue.client.execute("select enqueue_render('noop', '{}') from generate_series(1, %s)", [ROUNDS * 10])

        async def work(store: QueueStore) -> list[str]:
            done: list[str] = []
            acks: list[Ack] = []
            while True:
                answer = await store.exchange(acks, {}, ["noop"], 5)
                # A claim that saw the job queued may hold its row for the moment that it takes to see that it is not.
                verdicts = {verdict.job_id: verdict.verdict for verdict in answer.verdicts}
                assert len(verdicts) == len(acks)
                assert set(verdicts.values()) <= {"completed", "locked"}
                acks = [ack for ack in acks if verdicts[ack.job_id] == "locked"]
                acks += [ack_of(job) for job in answer.claimed]
                done += [job.id for job in answer.claimed]
                if not acks:
                    return done

        async def both() -> tuple[list[str], list[str]]:
            return await asyncio.gather(work(a.store), work(b.store))

        a, b = queue.supervisor("a"), queue.supervisor("b")
        first, second = queue.run(both())
        assert len(first) + len(second) == len({*first, *second}) == ROUNDS * 10
        assert min(len(first), len(second)) > 0
        assert (
            queue.value("select count(*) from render_jobs where status = 'completed' and attempts = 1") == ROUNDS * 10
        )
        assert queue.value("select count(*) from render_attempts") == ROUNDS * 10
