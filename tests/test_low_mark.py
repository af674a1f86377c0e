"""The low mark: when it is asked for, how long it is kept, and that nothing is passed by for long."""

from __future__ import annotations

from supervisor.lookout import Lookout
from supervisor.low_mark import LowMark
from supervisor.model import Job, Token
from supervisor.store.exchange import Exchanged
from supervisor.store.poll import Polled

BATCH = 500
BEFORE = 6
"""Batches before a mark is asked for."""
JOB = Job("j", Token(1, 1), "noop", "{}", "{}", None, None, None, None)


def until_asked(mark: LowMark) -> str | None:
    """Claim until a mark is asked for; return from when on that claim looks."""
    for _ in range(100):
        since, asks = mark.ask()
        if asks:
            return since
        mark.learn(BATCH, None)
    raise AssertionError("no mark is asked for")


def test_no_mark_is_asked_for_before_there_are_many_dead_entries() -> None:
    """An isolated job, or a short burst, has nothing to do with it."""
    mark = LowMark()
    for _ in range(BEFORE):
        assert mark.ask() == (None, False)
        mark.learn(BATCH, None)
    assert mark.ask() == (None, True)


def test_claims_look_from_the_mark_on_until_there_is_another() -> None:
    """Of five marks in a row the first is sought among all jobs, the others from the one before on."""
    mark = LowMark()
    looks = []
    for time in "abcdef":
        looks.append(until_asked(mark))
        mark.learn(BATCH, time)
        assert mark.ask() == (time, False)
    assert looks == [None, "a", "b", "c", "d", None]


def test_where_it_is_not_known_all_is_looked_at() -> None:
    """There are too many tenants to find it: no claim is restricted, and it is asked for again as seldom."""
    mark = LowMark()
    assert until_asked(mark) is None
    mark.learn(BATCH, None)
    assert mark.ask() == (None, False)
    assert until_asked(mark) is None


def test_a_lost_answer_is_asked_for_again() -> None:
    """Nothing is learned from it."""
    mark = LowMark()
    assert until_asked(mark) is None
    assert mark.ask() == (None, True)


def full(lookout: Lookout, mark: str | None = None) -> str | None:
    """Have a claim bring all that it asks for; return from when on it looked."""
    since = lookout.ask(BATCH).since
    lookout.learn(Exchanged([JOB] * BATCH, mark=mark), BATCH, 0)
    return since


def marked() -> Lookout:
    """Return the lookout of a supervisor that has a mark."""
    lookout = Lookout(60, events=True)
    for _ in range(BEFORE + 1):
        full(lookout, "a")
    assert full(lookout) == "a"
    return lookout


def test_an_answer_from_the_mark_on_is_never_the_last_word() -> None:
    """With less than was asked for, all is looked at, at once; only that answer counts."""
    lookout = marked()
    lookout.ask(BATCH)
    lookout.learn(Exchanged([JOB], due=5), BATCH, 0)
    assert lookout.look
    assert lookout.ask(BATCH).since is None
    lookout.learn(Exchanged(), BATCH, 0)
    assert (lookout.ask(BATCH).since, lookout.ask(BATCH).arm) == (None, True)


def test_a_poll_ends_it() -> None:
    """What is passed by waits no longer than for the next."""
    lookout = marked()
    lookout.learn_poll(Polled(), 0)
    assert lookout.ask(BATCH).since is None


def test_a_statement_that_claims_nothing_leaves_it() -> None:
    """It asks for nothing, and learns nothing."""
    lookout = marked()
    assert lookout.ask(0).since is None
    lookout.learn(Exchanged(), 0, 0)
    assert lookout.ask(BATCH).since == "a"
