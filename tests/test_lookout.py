"""The lookout: when a supervisor looks for work, from where, and that it never sleeps beside a job that waits for it."""

from __future__ import annotations

from renderer.outcome import Outcome
from supervisor.lookout import NEVER, Lookout
from supervisor.model import Ack, Ending, Job, Token
from supervisor.store.exchange import Exchanged, Verdict
from supervisor.store.poll import Polled

INTERVAL = 60.0
WELL, ILL = (Ack("j", Token(1, 1), Ending(outcome)) for outcome in (Outcome.OK, Outcome.CRASH))


def jobs(*tenants: str | None) -> list[Job]:
    """Return claimed jobs, one of each of these tenants."""
    return [Job("j", Token(1, 1), "noop", "{}", "{}", None, None, tenant, None) for tenant in tenants]


def idle(*, events: bool = True) -> Lookout:
    """Return the lookout of a supervisor that has started, looked and found nothing."""
    lookout = Lookout(INTERVAL, events)
    lookout.learn_poll(Polled(), 0)
    assert lookout.look
    send(lookout, Exchanged())
    assert (lookout.look, lookout.wake_at) == (False, NEVER)
    return lookout


def send(lookout: Lookout, answer: Exchanged, want: int = 2, now: float = 0) -> bool | None:
    """Ask and learn; return whether the question arms."""
    arm = lookout.ask(want).arm
    lookout.learn(answer, want, now)
    return arm


def test_a_wake_up_makes_it_look_once() -> None:
    """A wake-up says that there is work: the next claim answers it."""
    lookout = idle()
    lookout.wake("", 1, 1)
    assert lookout.look
    send(lookout, Exchanged())
    assert not lookout.look


def test_what_is_no_time_is_a_hint() -> None:
    """Anybody who can connect can notify: a payload that nobody of ours sends makes it look, and does no harm."""
    for payload in ("soon", "-1", "1e9", "\u0663", "9" * 30):
        lookout = idle()
        lookout.wake(payload, 1, 1)
        assert (lookout.look, lookout.wake_at) == (True, NEVER)


def test_a_wake_up_during_a_claim_is_not_lost() -> None:
    """The claim that is under way may have begun before the job was there."""
    lookout = idle()
    lookout.ask(2)
    lookout.wake("", 1, 1)
    lookout.learn(Exchanged(), 2, 1)
    assert lookout.look


def test_a_statement_that_claims_nothing_does_not_answer_a_wake_up() -> None:
    """With no free child the word stays, and neither cursor nor flag is sent along."""
    lookout = idle()
    lookout.wake("", 1, 1)
    assert send(lookout, Exchanged(), want=0) is None
    assert lookout.look


def test_what_went_back_during_such_a_statement_is_looked_for() -> None:
    """A retry has a time that nobody asked for."""
    for verdict, looks in (("queued", True), ("given_back", True), ("completed", False)):
        lookout = idle()
        send(lookout, Exchanged(verdicts=[Verdict("j", 1, verdict)]), want=0)
        assert lookout.look is looks


def test_a_delayed_job_is_looked_for_when_it_is_due() -> None:
    """Its time comes by the wall clock, is kept by the other one, and is over when an answer says so."""
    lookout = idle()
    lookout.wake("1030", 5, 1000)
    assert lookout.wake_at == 35
    looks = []
    for now in (5, 34.9, 35):
        lookout.tick(now)
        looks.append(lookout.look)
    assert looks == [False, False, True]
    send(lookout, Exchanged(due=0.5), now=35)
    assert lookout.wake_at == 35.5
    lookout.learn_poll(Polled(due=-3), 20)
    assert lookout.wake_at == 20
    lookout.wake("7", 40, 1000)  # long past
    assert lookout.wake_at == 20


def test_a_time_that_is_told_during_a_claim_is_not_lost() -> None:
    """The answer does not know of that job, and must not make the supervisor forget it."""
    lookout = idle()
    lookout.ask(2)
    lookout.wake("1030", 5, 1000)
    lookout.learn(Exchanged(due=100), 2, 6)
    assert lookout.wake_at == 35
    send(lookout, Exchanged(due=100), now=7)
    assert lookout.wake_at == 107


def test_an_answer_that_leaves_something_over_is_followed_by_another() -> None:
    """All that was wanted, or some of it with more to come: look on, after the tenant that was served last."""
    for answer in (Exchanged(claimed=jobs("a", "b")), Exchanged(claimed=jobs("b"), more=True)):
        lookout = idle()
        send(lookout, answer)
        assert lookout.look
        assert lookout.ask(1).cursor == "b"
    lookout = idle()
    send(lookout, Exchanged(claimed=jobs("a", None)))
    assert lookout.ask(1).cursor == ""


def test_what_others_hold_is_tried_again_later_and_later() -> None:
    """Locked jobs and places that are being counted: soon at first, never rarer than the poll, soon again after success."""
    for held in (Exchanged(more=True), Exchanged(busy=True)):
        lookout = idle()
        waits = []
        for _ in range(20):
            send(lookout, held)
            assert not lookout.look
            waits.append(lookout.wake_at)
        assert waits == [min(0.005 * 2**n, INTERVAL) for n in range(20)]
        lookout.tick(INTERVAL)
        assert (lookout.look, lookout.wake_at) == (True, NEVER)
        send(lookout, Exchanged(claimed=jobs("a"), more=True))
        send(lookout, held)
        assert lookout.wake_at == 0.005


def test_full_tenants_are_passed_by() -> None:
    """A blocked priority is followed by a look below it, and that by one from the top."""
    lookout = idle()
    lookout.wake("", 1, 1)
    looks = []
    for blocked in (5, 3, None):
        below = lookout.ask(2).below
        lookout.learn(Exchanged(blocked=blocked), 2, 1)
        looks.append((below, lookout.look))
    assert looks == [(None, True), (5, True), (3, False)]
    assert lookout.ask(2).below is None


def test_a_wake_up_on_the_way_down_is_answered_from_the_top() -> None:
    """What it announces may be above; however often it comes, the way down is finished first."""
    lookout = idle()
    lookout.wake("", 1, 1)
    lookout.ask(2)
    lookout.wake("", 1, 1)
    lookout.learn(Exchanged(blocked=5), 2, 1)
    for below in (5, 4, 3):
        assert lookout.ask(2).below == below
        lookout.learn(Exchanged(blocked=below - 1) if below > 3 else Exchanged(), 2, 1)
        assert lookout.look
    assert send(lookout, Exchanged()) is None
    assert not lookout.look


def saturated() -> Lookout:
    """Return the lookout of a supervisor that has disarmed."""
    lookout = idle()
    arms = [send(lookout, Exchanged(claimed=jobs("a", "b"))) for _ in range(4)]
    assert arms == [None, None, False, None]
    return lookout


def test_it_disarms_after_two_full_claims_and_arms_before_it_idles() -> None:
    """One full claim alone changes nothing; once armed, two looks follow, for those who read the flag before."""
    lookout = idle()
    arms = [send(lookout, Exchanged(claimed=jobs(*"ab"[:n]))) for n in (2, 1, 2, 0)]
    assert (arms, lookout.look) == ([None] * 4, False)
    lookout = saturated()
    looks = [(send(lookout, Exchanged()), lookout.look) for _ in range(4)]
    assert looks == [(None, True), (True, True), (None, True), (None, False)]


def test_it_arms_though_it_is_on_the_way_down() -> None:
    """The look that follows the arming begins at the top."""
    lookout = saturated()
    send(lookout, Exchanged(blocked=5))
    question = lookout.ask(2)
    assert (question.below, question.arm) == (5, True)
    lookout.learn(Exchanged(), 2, 1)
    assert lookout.look
    assert lookout.ask(2).below is None


def test_it_is_wary_of_those_who_wrote_when_it_armed() -> None:
    """Sessions that the first look after the arming names are waited for; later ones read the flag."""
    lookout = saturated()
    send(lookout, Exchanged(holders=frozenset({"old"})))
    send(lookout, Exchanged(holders=frozenset({"too early to count"})))
    send(lookout, Exchanged(holders=frozenset({"1", "2"})))
    assert (lookout.look, lookout.wake_at) == (True, 0.02)
    send(lookout, Exchanged(holders=frozenset({"1", "2", "3"})))
    assert (lookout.look, lookout.wake_at) == (False, 0.04)
    send(lookout, Exchanged(holders=frozenset({"1"})))
    assert (lookout.look, lookout.wake_at) == (True, 0.08)
    send(lookout, Exchanged())
    assert (lookout.look, lookout.wake_at) == (True, NEVER)
    send(lookout, Exchanged(holders=frozenset({"3"})))
    assert (lookout.look, lookout.wake_at) == (False, NEVER)


def test_a_poll_finds_work_and_sessions() -> None:
    """Both lead to a look; the poll that finds us forgotten leads to one after we are registered anew, as at the start."""
    lookout = idle()
    lookout.learn_poll(Polled(work=True), 1)
    assert lookout.look
    lookout = idle()
    lookout.learn_poll(Polled(holders=frozenset({"1"})), 1)
    assert (lookout.look, lookout.wake_at) == (False, 1.02)
    lookout.learn_poll(Polled(), 2)
    assert lookout.look
    lookout = saturated()
    lookout.learn_poll(Polled(registered=False), 1)
    looks = [(send(lookout, Exchanged()), lookout.look) for _ in range(2)]
    assert looks == [(None, True), (None, False)]


def test_without_events_nobody_is_waited_for() -> None:
    """Polling only: never armed, and no session is of interest."""
    lookout = idle(events=False)
    for claimed in ("ab", "ab", "ab", "", ""):
        assert send(lookout, Exchanged(claimed=jobs(*claimed), holders=frozenset({"1"}))) is None
    assert (lookout.look, lookout.wake_at) == (False, NEVER)


def test_who_writes_is_asked_only_while_it_matters() -> None:
    """After an arming, and until those that wrote then have ended: the list costs the server more than the claim."""
    lookout = Lookout(INTERVAL, events=True)
    lookout.learn_poll(Polled(), 0)
    assert lookout.ask(2).holders is False  # the poll has listed them
    lookout = saturated()
    send(lookout, Exchanged())
    question = lookout.ask(2)
    assert (question.arm, question.holders) == (True, False)  # those that matter write when this is committed
    lookout.learn(Exchanged(), 2, 0)
    assert lookout.ask(2).holders
    lookout.learn(Exchanged(holders=frozenset({"1/7"})), 2, 0)
    assert lookout.ask(2).holders
    lookout.learn(Exchanged(), 2, 0)
    assert not lookout.ask(2).holders
    assert not lookout.ask(0).holders
    assert not Lookout(INTERVAL, events=False).ask(2).holders


def test_a_claim_beside_an_ack_is_left_out_where_nobody_said_that_there_is_more() -> None:
    """Not while there is a doubt: something was left over, or writers are waited for that may have read an old flag."""
    lookout = idle()
    assert not lookout.may_bring([WELL], limited=False)
    assert lookout.may_bring([WELL, ILL], limited=False)
    assert lookout.may_bring([WELL], limited=True)
    lookout.wake("", 1, 1)
    assert lookout.may_bring([WELL], limited=False)
    wary = idle()
    wary.learn_poll(Polled(holders=frozenset({"1"})), 1)
    assert not wary.look
    assert wary.may_bring([WELL], limited=False)


def test_without_events_every_ack_looks() -> None:
    """Nobody says there that there is work."""
    assert idle(events=False).may_bring([WELL], limited=False)
