"""The fallback poll: who lives, who is gone, what they left behind."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.model import Ack
from tests.queue.support import Queue, Supervisor

EXPIRE = "update jobsupervisor.supervisor set lease_until = now() - interval '1 second' where id = %s"


def names(queue: Queue) -> list[str]:
    """Return the supervisors that are listed."""
    return [row["name"] for row in queue.rows("select name from jobsupervisor.supervisor order by id")]


def lost(acks: list[Ack]) -> list[tuple[str, bool]]:
    """Return job and `alone` of the orphans, sorted."""
    return sorted((ack.job_id, ack.ending.alone) for ack in acks if ack.ending is not None)


def test_a_living_supervisor_is_left_alone(database: str) -> None:
    """While its session holds its lock its jobs are its own, however long ago it was heard of."""
    with Queue(database) as queue:
        queue.hold_name("a")
        a, b = queue.supervisor("a"), queue.supervisor("b", RENDER_RESCUE_GRACE_SECONDS=0)
        queue.enqueue()
        claim = a.claim_one()
        queue.client.execute("update jobsupervisor.supervisor set seen_at = '2001-01-01'")
        for _ in range(3):
            polled = b.poll()
            assert (polled.lost, polled.look_again) == ([], None)
        assert names(queue) == ["a", "b"]
        assert a.ack(claim) == "completed"


def test_the_same_name_takes_over_at_once(database: str) -> None:
    """After a restart the new process holds the lock that the old one held, so the old one's jobs are orphans at once."""
    with Queue(database) as queue:
        queue.hold_name("a")
        old = queue.supervisor("a")
        ids = sorted(queue.enqueue() for _ in range(2))
        old.claim(want=2)
        queue.end_name("a")
        queue.hold_name("a")
        new = queue.supervisor("a")
        polled = new.poll()
        assert lost(polled.lost) == [(job_id, False) for job_id in ids]
        assert {ack.token.owner for ack in polled.lost} == {old.owner}
        answer = new.exchange(*polled.lost, want=9)
        assert [verdict.verdict for verdict in answer.verdicts] == ["queued", "queued"]
        assert sorted(job.id for job in new.claim(want=9)) == ids
        new.poll()
        new.poll()
        assert queue.rows("select id from jobsupervisor.supervisor") == [{"id": new.owner}]


def test_another_name_waits_for_the_grace_period(database: str) -> None:
    """A silent supervisor may come back: its jobs are taken only when it stayed away for the grace period."""
    with Queue(database) as queue:
        queue.hold_name("a")
        a, b = queue.supervisor("a"), queue.supervisor("b", RENDER_RESCUE_GRACE_SECONDS=15)
        job_id = queue.enqueue()
        a.claim_one()
        queue.end_name("a")
        for _ in range(2):
            polled = b.poll()
            assert polled.lost == []
            assert polled.look_again is not None
            assert 0 < polled.look_again <= 15
        b.passes(14)
        assert b.poll().lost == []
        b.passes(1)
        polled = b.poll()
        assert lost(polled.lost) == [(job_id, True)]
        assert polled.look_again is None
        assert names(queue) == ["a", "b"]  # as long as it owns a job it stays listed, to be found again
        assert b.exchange(*polled.lost).verdicts[0].verdict == "queued"
        assert queue.attempts(job_id) == [(1, "lost")]
        (attempt,) = queue.rows("select supervisor, error from render_attempts")
        assert attempt == {"supervisor": "a", "error": "its supervisor died"}
        b.poll()
        assert names(queue) == ["b"]


def test_a_grace_period_of_zero(database: str) -> None:
    """The first poll notes the silence, the next one acts on it."""
    with Queue(database) as queue:
        a, b = queue.supervisor("a"), queue.supervisor("b", RENDER_RESCUE_GRACE_SECONDS=0)
        job_id = queue.enqueue()
        a.claim_one()
        polled = b.poll()
        assert (polled.lost, polled.look_again) == ([], 0)
        assert lost(b.poll().lost) == [(job_id, True)]


def test_who_comes_back_is_forgiven(database: str) -> None:
    """A supervisor that takes its lock again within the grace period is noted as living, from the start."""
    with Queue(database) as queue:
        a, b = queue.supervisor("a"), queue.supervisor("b")
        queue.enqueue()
        claim = a.claim_one()
        assert b.poll().look_again is not None
        b.passes(3600)
        queue.hold_name("a")
        assert b.poll().lost == []
        assert queue.value("select lost_at from jobsupervisor.supervisor where id = %s", a.owner) is None
        assert a.ack(claim) == "completed"


def test_the_own_poll_is_the_heart_beat(database: str) -> None:
    """It dates what others see, clears the note that one was lost, and answers what there is to do."""
    with Queue(database) as queue:
        a = queue.supervisor("a")
        queue.client.execute("update jobsupervisor.supervisor set seen_at = '2001-01-01', lost_at = '2001-01-01'")
        polled = a.poll()
        assert (polled.registered, polled.work, polled.due, polled.lost) == (True, False, None, [])
        assert queue.value(
            "select seen_at > now() - interval '1 minute' and lost_at is null from jobsupervisor.supervisor"
        )
        queue.client.execute("select enqueue_render('noop', '{}', run_at => now() + interval '1000 s')")
        polled = a.poll()
        assert polled.work is False
        assert polled.due is not None
        assert 990 < polled.due <= 1000
        queue.enqueue("svg")
        assert (a.poll(kinds=["svg"]).work, a.poll(kinds=["noop"]).work) == (True, False)


def test_a_forgotten_supervisor_comes_back_as_itself(database: str) -> None:
    """It hears that it is not listed any more; registered anew it has its old id, and what it runs is still its own."""
    with Queue(database) as queue:
        a, b = queue.supervisor("a"), queue.supervisor("b", RENDER_RESCUE_GRACE_SECONDS=0)
        b.poll()
        b.poll()
        assert names(queue) == ["b"]
        queue.enqueue()
        claim, owner = a.claim_one(), a.owner
        assert a.poll().registered is False
        register_again(queue, a)
        assert a.owner == owner
        queue.hold_name("a")
        assert (a.poll().registered, b.poll().lost, b.poll().lost) == (True, [], [])
        assert a.ack(claim) == "completed"
        assert queue.supervisor("c").owner not in {a.owner, b.owner}


def register_again(queue: Queue, supervisor: Supervisor) -> None:
    """Register one that has an id."""
    queue.run(supervisor.store.register({}))


def test_no_claim_is_left_without_anybody(database: str) -> None:
    """A job claimed by one that was forgotten meanwhile and then died is found too, though nothing is listed of it."""
    with Queue(database) as queue:
        a, b = queue.supervisor("a"), queue.supervisor("b")
        queue.client.execute("delete from jobsupervisor.supervisor where id = %s", [a.owner])
        job_id = queue.enqueue()
        a.claim_one()
        polled = b.poll()
        assert lost(polled.lost) == [(job_id, False)]
        assert b.exchange(*polled.lost).verdicts[0].verdict == "queued"
        assert queue.stored(job_id)["offences"] == 0


def test_nothing_is_claimed_without_an_id(database: str) -> None:
    """A supervisor that gave up its id claims again only once it is registered under its new name."""
    with Queue(database) as queue:
        queue.enqueue()
        a = queue.supervisor("a")
        a.store.owner = 0
        assert a.claim() == []
        assert a.poll().registered is False
        register_again(queue, a)
        assert a.claim_one().token.owner == a.owner > 0


def test_unregistering(database: str) -> None:
    """One that drained is off the list at once; one that leaves a job behind stays, to be found by others."""
    with Queue(database) as queue:
        a, b = queue.supervisor("a"), queue.supervisor("b")
        queue.enqueue()
        b.claim_one()
        queue.run(a.store.unregister())
        queue.run(b.store.unregister())
        assert names(queue) == ["b"]


def test_a_lease_does_where_there_is_no_session(database: str) -> None:
    """Without events a supervisor lives as long as its lease, which each poll renews; then others take its jobs."""
    with Queue(database) as queue:
        polling: dict[str, Any] = {
            "RENDER_ENABLE_EVENTS": False,
            "RENDER_POLLING_INTERVAL": 60,
            "RENDER_RESCUE_GRACE_SECONDS": 15,
        }
        a, b = queue.supervisor("a", **polling), queue.supervisor("b")
        job_id = queue.enqueue()
        a.claim_one()
        left = "select extract(epoch from lease_until - now())::float from jobsupervisor.supervisor where id = %s"
        assert 130 < queue.value(left, a.owner) <= 135
        assert b.poll().lost == []
        b.passes(134)
        a.poll()
        assert 130 < queue.value(left, a.owner) <= 135
        for _ in range(2):
            assert (b.poll().lost, b.poll().look_again) == ([], None)
            b.passes(67)
        b.passes(1)
        polled = b.poll()
        assert (polled.lost, polled.look_again is not None) == ([], True)
        b.passes(15)
        assert lost(b.poll().lost) == [(job_id, True)]


def test_who_claims_is_not_silent(database: str) -> None:
    """A claim clears what others noted before: it must not be rescued for a silence that lies behind it."""
    with Queue(database) as queue:
        a, b = queue.supervisor("a"), queue.supervisor("b")
        assert b.poll().look_again is not None
        b.passes(3600)
        queue.enqueue()
        claim = a.claim_one()
        assert b.poll().lost == []
        assert a.ack(claim) == "completed"


def test_a_name_is_leased(database: str) -> None:
    """A supervisor that only polls takes no name by which another goes, whether that has a lease or a lock."""
    with Queue(database) as queue:
        a = queue.supervisor("a", RENDER_ENABLE_EVENTS=False)
        queue.supervisor("b")
        leased = {name: queue.run(a.store.name_is_leased(name)) for name in ("a", "b", "c")}
        assert leased == {"a": True, "b": True, "c": False}
        queue.client.execute(EXPIRE, [a.owner])
        assert queue.run(a.store.name_is_leased("a")) is False


def test_a_polling_namesake_takes_nothing(database: str) -> None:
    """One that only polls holds no lock, so a living supervisor of the same name keeps its jobs."""
    with Queue(database) as queue:
        polling = queue.supervisor("a", RENDER_ENABLE_EVENTS=False, RENDER_RESCUE_GRACE_SECONDS=0)
        queue.hold_name("a")
        living = queue.supervisor("a")
        queue.enqueue()
        claim = living.claim_one()
        for _ in range(2):
            assert polling.poll().lost == []
        assert living.poll().lost == []
        assert living.ack(claim) == "completed"


def test_what_is_not_known_is_given_back(database: str) -> None:
    """After a broken connection a claim whose answer was lost is queued again, uncharged; nothing else is touched."""
    with Queue(database) as queue:
        a, b = queue.supervisor("a"), queue.supervisor("b")
        known, unknown, cancelled, others = (queue.enqueue() for _ in range(4))
        kept, missed, _ = a.claim(want=3)
        assert [kept.id, missed.id] == [known, unknown]
        theirs = b.claim_one()
        queue.value("select cancel_render(%s)", cancelled)
        polled = a.poll([kept])
        assert sorted(ack.job_id for ack in polled.unknown) == sorted([unknown, cancelled])
        assert polled.lost == []
        verdicts = {verdict.job_id: verdict.verdict for verdict in a.exchange(*polled.unknown).verdicts}
        assert verdicts == {unknown: "given_back", cancelled: "cancelled"}
        stored = queue.stored(unknown)
        assert (stored["state"], stored["owner"], stored["attempt"], stored["charged"]) == ("queued", None, 0, 0)
        assert queue.attempts(unknown) == []
        assert a.ack(missed) == "lease_lost"
        assert {job.id: job.token.attempt for job in a.claim(want=9)} == {unknown: 1}
        # The client was promised that it will not complete, and it does not.
        assert queue.job(cancelled)["status"] == "cancelled"
        assert (a.ack(kept), b.ack(theirs)) == ("completed", "completed")
        assert queue.job(others)["status"] == "completed"


def test_a_stopped_supervisor_is_rescued_though_it_holds_its_lock(database: str) -> None:
    """A session may outlive what it stands for: who has not polled for long is silent, gets the grace, and is fenced."""
    with Queue(database) as queue:
        stopped = queue.supervisor("stopped", RENDER_POLLING_INTERVAL=60)
        b = queue.supervisor("b", RENDER_RESCUE_GRACE_SECONDS=15)
        queue.hold_name("stopped")
        queue.hold_name("b")
        job_id = queue.enqueue()
        claim = stopped.claim_one()
        assert stopped.poll([claim]).lost == []
        for _ in range(2):
            assert (b.poll().lost, b.poll().look_again) == ([], None)
            b.passes(45)
        polled = b.poll()
        assert (polled.lost, polled.look_again) == ([], 15)
        b.passes(15)
        polled = b.poll()
        assert [ack.job_id for ack in polled.lost] == [job_id]
        b.exchange(*polled.lost)
        assert stopped.ack(claim) == "lease_lost"


def test_a_late_poll_within_the_grace_keeps_its_jobs(database: str) -> None:
    """After an outage every supervisor is overdue; the one that polls again before the grace has passed keeps its jobs."""
    with Queue(database) as queue:
        a, b = queue.supervisor("a"), queue.supervisor("b")
        queue.hold_name("a")
        queue.hold_name("b")
        queue.enqueue()
        claim = a.claim_one()
        a.poll([claim])
        b.poll()
        b.passes(300)
        assert b.poll().look_again is not None
        assert a.poll([claim]).lost == []
        b.passes(300)
        polled = b.poll()
        assert (polled.lost, polled.look_again) == ([], None)
        assert a.ack(claim) == "completed"


SET_FORWARD = """
    update jobsupervisor.supervisor
    set seen_at = seen_at - interval '10 min', next_poll_at = next_poll_at - interval '10 min',
        lease_until = lease_until - interval '10 min', lost_at = lost_at - interval '10 min'
"""


@pytest.mark.parametrize("events", [True, False], ids=["with a session", "polling"])
def test_the_clock_of_the_database_is_set_forward(events: bool, database: str) -> None:  # noqa: FBT001 - a parameter
    """All that is stored is ten minutes old at once. Nobody is lost by that, connected or polling, and nothing is charged.

    A silence is measured by the clock of whoever looks. The job of a connected supervisor was taken and charged.
    """
    with Queue(database) as queue:
        a, b = queue.supervisor("a", RENDER_ENABLE_EVENTS=events), queue.supervisor("b")
        if events:
            queue.hold_name("a")
        queue.hold_name("b")
        job_id = queue.enqueue()
        claim = a.claim_one()
        a.poll([claim])
        for _ in range(3):
            assert (b.poll().lost, b.poll().look_again) == ([], None)
            queue.client.execute(SET_FORWARD)
            b.passes(20)
        assert a.poll([claim]).lost == []
        assert a.ack(claim) == "completed"
        assert queue.attempts(job_id) == [(1, "ok")]


def test_the_clock_is_set_forward_within_the_grace(database: str) -> None:
    """Who lost its session a moment ago has the whole grace to come back, by the clock of whoever looks."""
    with Queue(database) as queue:
        a, b = queue.supervisor("a"), queue.supervisor("b", RENDER_RESCUE_GRACE_SECONDS=15)
        queue.hold_name("b")
        queue.enqueue()
        claim = a.claim_one()
        assert b.poll().look_again is not None
        b.passes(14)
        queue.client.execute(SET_FORWARD)
        assert b.poll().lost == []
        queue.hold_name("a")
        b.passes(3600)
        assert b.poll().lost == []
        assert a.ack(claim) == "completed"
