"""Wake-ups, step by step: who is told, when, and that whoever was not told is looked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import psycopg
import pytest
from psycopg import IsolationLevel

from supervisor.lookout import NEVER, Lookout
from supervisor.model import Job
from supervisor.store.exchange import Question
from supervisor.store.statements import shortened
from tests.queue.support import KINDS, Queue, Supervisor, enqueue, heard, listening

WAKE = "jobsupervisor_wake"
NOW = [(WAKE, "")]
OLD_SNAPSHOTS = (IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE)
EXCHANGE: dict[str, Any] = {
    "owner": 0,
    "acks": "[]",
    "progress": "[]",
    "kinds": list(KINDS),
    "want": 1,
    "cursor": "",
    "below": None,
    "clock": 0.0,
    "epoch": None,
    "only": None,
    "arm": None,
    "since": None,
    "offence_limit": 2,
    "max_attempts": 5,
    "retry_delay": 0.0,
}


class Idler:
    """A supervisor with its lookout: does what the dispatcher does, at times that the test tells."""

    def __init__(self, queue: Queue, supervisor: Supervisor) -> None:
        self.lookout = Lookout(3600, events=True)
        self._queue = queue
        self._supervisor = supervisor
        self.lookout.learn_poll(supervisor.poll(), 0)

    def turn(self, now: float, want: int = 1) -> list[Job]:
        """Send one claim, as the lookout asks."""
        question = self.lookout.ask(want)
        answer = self._queue.run(self._supervisor.store.exchange([], {}, list(KINDS), want, question))
        self.lookout.learn(answer, want, now)
        return answer.claimed

    def settle(self, now: float) -> list[Job]:
        """Send claims until there is no reason to look any more; return what was claimed."""
        claimed: list[Job] = []
        while self.lookout.look:
            claimed += self.turn(now)
        return claimed

    def disarm(self) -> None:
        """Be saturated until nobody needs to tell of new work."""
        for _ in range(3):
            self._queue.enqueue()
            self.turn(0)


@contextmanager
def disarmed(database: str) -> Iterator[tuple[Queue, Idler, psycopg.Connection[Any]]]:
    """Provide a saturated supervisor, and who listens for wake-ups."""
    with Queue(database) as queue:
        idler = Idler(queue, queue.supervisor())
        idler.settle(0)
        idler.disarm()
        assert queue.rows("select armed from jobsupervisor.supervisor") == [{"armed": False}]
        with listening(queue, WAKE) as listener:
            yield queue, idler, listener


def test_who_asked_before_the_arming_and_commits_after_it_is_looked_for(database: str) -> None:
    """A client reads that nobody is armed; the supervisor arms, finds nothing, stays wary; the client commits untold."""
    with disarmed(database) as (queue, idler, listener), queue.connect(autocommit=False) as client:
        job_id = enqueue(client, "noop", {})
        assert idler.settle(1) == []
        assert queue.rows("select armed from jobsupervisor.supervisor") == [{"armed": True}]
        assert 1 < idler.lookout.wake_at < 2
        idler.lookout.tick(2)
        assert idler.settle(2) == []
        assert 2 < idler.lookout.wake_at < 3
        client.commit()
        assert heard(queue, listener) == []
        idler.lookout.tick(3)
        assert [job.id for job in idler.settle(3)] == [job_id]
        assert idler.settle(4) == []
        assert idler.lookout.wake_at == NEVER


def test_who_commits_between_the_arming_and_the_look_is_found(database: str) -> None:
    """The statement that arms found nothing; the one after it does, and nobody was told."""
    with disarmed(database) as (queue, idler, listener), queue.connect(autocommit=False) as client:
        job_id = enqueue(client, "noop", {})
        while queue.value("select not armed from jobsupervisor.supervisor"):
            assert idler.turn(1) == []
        client.commit()
        assert heard(queue, listener) == []
        assert idler.lookout.look
        assert [job.id for job in idler.settle(1)] == [job_id]


def test_who_rolls_back_is_no_longer_waited_for(database: str) -> None:
    """One look more, and the supervisor sleeps."""
    with disarmed(database) as (queue, idler, _), queue.connect(autocommit=False) as client:
        enqueue(client, "noop", {})
        idler.settle(1)
        client.rollback()
        idler.lookout.tick(2)
        assert idler.settle(2) == []
        assert idler.lookout.wake_at == NEVER


def test_who_asks_after_the_arming_tells(database: str) -> None:
    """In a transaction that began before it, too: each statement reads what is committed by then."""
    with disarmed(database) as (queue, idler, listener), queue.connect(autocommit=False) as client:
        client.execute("select armed from jobsupervisor.supervisor")
        idler.settle(1)
        enqueue(client, "noop", {})
        client.commit()
        assert heard(queue, listener) == NOW


@pytest.mark.parametrize("level", OLD_SNAPSHOTS, ids=lambda level: level.name.lower())
@pytest.mark.parametrize("arms", [False, True], ids=["nobody armed", "armed meanwhile"])
def test_an_old_snapshot_tells_always(database: str, level: IsolationLevel, arms: bool) -> None:  # noqa: FBT001 - a case
    """What such a transaction reads of the flag may be old, whatever the flag is: of work for now and for later."""
    with disarmed(database) as (queue, idler, listener), queue.connect(autocommit=False) as client:
        client.isolation_level = level
        assert client.execute("select armed from jobsupervisor.supervisor").fetchone() == (False,)
        if arms:
            idler.settle(1)
        enqueue(client, "noop", {})
        client.execute("select enqueue_render('noop', '{}', run_at => '9999-01-01Z')")
        client.commit()
        assert heard(queue, listener) == [*NOW, (WAKE, "253370764800")]


def test_many_of_one_transaction_tell_once(database: str) -> None:
    """A bulk enqueue costs one wake-up, delayed jobs one for each second at which some are due."""
    with Queue(database) as queue, listening(queue, WAKE) as listener:
        queue.supervisor()
        queue.client.execute("select enqueue_render('noop', '{}') from generate_series(1, 500)")
        assert heard(queue, listener) == NOW
        due = queue.value("select extract(epoch from date_trunc('second', now()) + interval '10 s')::bigint")
        later = (
            "select enqueue_render('noop', '{}', run_at => to_timestamp(%s + n / 250.0)) from generate_series(0, 499) n"
        )
        queue.client.execute(later, [due])
        assert heard(queue, listener) == [(WAKE, str(due)), (WAKE, str(due + 1))]


@pytest.mark.parametrize(("seconds", "told"), [(20, True), (125, True), (200, False)])
def test_a_delayed_job_is_announced_when_polls_might_not_find_it_in_time(
    database: str,
    seconds: int,
    told: bool,  # noqa: FBT001 - a case
) -> None:
    """Two polls, a minute apart, and ten seconds lie before one that is not; to one that never polled all are told."""
    enqueued = "select enqueue_render('noop', '{}', run_at => now() + %s * interval '1 second')"
    with Queue(database) as queue, listening(queue, WAKE) as listener:
        a = queue.supervisor(RENDER_POLLING_INTERVAL=60)
        queue.client.execute(enqueued, [seconds])
        assert len(heard(queue, listener)) == 1
        a.poll()
        queue.client.execute(enqueued, [seconds])
        due = queue.value("select max(run_at) from jobsupervisor.job").timestamp()
        assert heard(queue, listener) == [(WAKE, str(math.floor(due)))] * told
        # It finds the other ones by its polls.
        polled = a.poll().due
        assert polled is not None
        assert polled <= seconds


def test_who_only_polls_is_not_told(database: str) -> None:
    """Neither of work for now nor of work for later: nobody would hear it."""
    with Queue(database) as queue, listening(queue, WAKE) as listener:
        a = queue.supervisor(RENDER_ENABLE_EVENTS="false")
        a.poll()
        queue.enqueue()
        queue.client.execute("select enqueue_render('noop', '{}', run_at => now() + interval '5 s')")
        assert heard(queue, listener) == []
        assert a.poll().work


@pytest.mark.parametrize(
    "limit",
    ["kind => 'noop', max_running => 1", "user_id => 'u', max_running => 1", "user_id => '*', max_running => 1"],
)
def test_a_place_that_becomes_free_is_told(database: str, limit: str) -> None:
    """Whoever is armed: others may have seen all places taken, and gone idle. Without a limit an end is nobody's news."""
    with Queue(database) as queue:
        a = queue.supervisor()
        queue.enqueue(user_id="u")
        queue.enqueue(user_id="u")
        with listening(queue, WAKE) as listener:
            queue.run(a.store.exchange([], {}, ["noop"], 0, Question(arm=False)))
            assert a.ack(a.claim_one()) == "completed"
            assert heard(queue, listener) == []
            queue.client.execute(f"select set_render_limit({limit})".encode())
            assert heard(queue, listener) == NOW
            assert a.ack(a.claim_one()) == "completed"
            assert heard(queue, listener) == NOW


def test_what_a_supervisor_leaves_to_others_is_told(database: str) -> None:
    """A job that is given back or to be tried again at once, whoever is armed; one for later with its time."""
    with Queue(database) as queue, listening(queue, WAKE) as listener:
        a, b = queue.supervisor("a"), queue.supervisor("b", RENDER_RETRY_DELAY_SECONDS=10)
        for one in (a, b):
            queue.run(one.store.exchange([], {}, ["noop"], 1, Question(arm=False)))
        job_id = queue.enqueue()
        assert heard(queue, listener) == []
        for outcome in (None, "lost"):
            a.ack(a.claim_one(), outcome)
            assert heard(queue, listener) == NOW
        b.ack(b.claim_one(), "render_error")
        assert heard(queue, listener) == [(WAKE, str(math.floor(queue.stored(job_id)["run_at"].timestamp())))]


def holders(queue: Queue, supervisor: Supervisor) -> tuple[int, int]:
    """Return how many sessions a claim and a poll name as writing."""
    exchanged = queue.run(supervisor.store.exchange([], {}, ["svg"], 1))
    return len(exchanged.holders), len(supervisor.poll().holders)


def test_other_supervisors_are_not_waited_for(database: str) -> None:
    """The exchange of one, as long as it is not committed, is no holder for another: it says itself what it leaves."""
    with Queue(database) as queue, queue.connect(autocommit=False) as exchanging:
        a, b = queue.supervisor("a"), queue.supervisor("b")
        queue.enqueue()
        exchanging.execute(shortened("exchange", ("free_for_all", "since", "mark")), EXCHANGE | {"owner": b.owner})
        assert holders(queue, a) == (0, 0)
        exchanging.rollback()


def test_a_client_is_waited_for_in_whatever_session(database: str) -> None:
    """A pooler lends one session to a supervisor and to clients: what counts is who is in it now."""
    with Queue(database) as queue, queue.connect(autocommit=False) as client:
        a, b = queue.supervisor("a"), queue.supervisor("b")
        queue.client.execute(
            "update jobsupervisor.supervisor set backend_pid = %s where id = %s", [client.info.backend_pid, b.owner]
        )
        enqueue(client, "noop", orjson.loads("{}"))
        assert holders(queue, a) == (1, 1)
        client.rollback()
        assert holders(queue, a) == (0, 0)
