"""No wake-up is lost: a supervisor's lookout against clients that write, ask and commit in every order.

The model is the database as far as the argument above the function `wake` goes: what a snapshot shows, who holds the lock of
writers, which flag a client reads, and when a notification arrives. A statement of the supervisor goes through it in steps,
and anything may happen between them: it looks, it lists the writers, it is committed, it is answered.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor import low_mark
from supervisor.lookout import NEVER, Lookout
from supervisor.model import Job, Token
from supervisor.store.exchange import Exchanged, Question
from supervisor.store.poll import Polled

INTERVAL = 4
CHILDREN = 1
MOST_JOBS = 6
ENQUEUED = [(0, 0, False), (0, 2, True), (0, 1, False)]
"""What clients enqueue: delay, priority, and whether it is of the tenant that has all its places."""
DELAYED = [(0, 0, False), (2, 1, False), (5, 0, False), (9, 0, False)]
CLAIMED = Job("j", Token(1, 1), "noop", "{}", "{}", None, None, None, None)


@dataclass(eq=False)
class Item:
    """A job. Those of the full tenant wait until its limit is lifted."""

    run_at: float
    priority: int
    full: bool
    ready: bool
    visible: bool = False
    claimed: bool = False


@dataclass
class Statement:
    """A claim, or (with no question) a poll, and how far it is."""

    question: Question | None
    want: int
    seen: list[Item]
    since: float = 0
    top: int | None = None
    candidates: list[Item] = field(default_factory=list)
    due: list[Item] = field(default_factory=list)
    steps: int = 0
    holders: frozenset[str] = frozenset()
    claimed: list[Item] = field(default_factory=list)


class World:
    """The database, its clients, and one supervisor."""

    def __init__(self, enqueued: list[tuple[int, int, bool]], poll_at: float) -> None:
        self.now = 0.0
        self.enqueued = enqueued
        self.lookout = Lookout(INTERVAL, events=True)
        # Enough to begin with that the supervisor disarms.
        self.items = [Item(0, 0, full=False, ready=True, visible=True) for _ in range(3)]
        self.clients: dict[str, tuple[Item, str | None]] = {}
        self.notices: list[str] = []
        self.armed = True
        self.poll_at = poll_at
        self.free = CHILDREN
        self.statement: Statement | None = None

    def act(self, draw: int) -> None:
        """Let something happen; what, is drawn."""
        found: list[Callable[[], None]] = [functools.partial(self.commit, name) for name in self.clients]
        if len(self.items) < MOST_JOBS:
            found += [functools.partial(self.enqueue, *self.enqueued[draw // 100 % len(self.enqueued)])]
        found += [self.deliver] * bool(self.notices) + [self.finish] * (self.free < CHILDREN)
        if draw % 100 < 10:  # now and then
            found += [self.steal] * any(item.visible and item.ready and not item.claimed for item in self.items)
            found += [self.lift] * any(item.full for item in self.items)
        found += [self.move] * 3
        found[draw % len(found)]()

    def move(self) -> None:
        """Let the supervisor do what it is about to; it sleeps only when there is nothing."""
        if self.statement is not None:
            self.step(self.statement)
            return
        self.lookout.tick(self.now)
        if self.now >= self.poll_at:
            self.poll()
        elif self.lookout.look and self.free:
            self.claim()
        else:
            self.sleep()

    def sleep(self) -> None:
        """Let time pass, though not beyond the next poll. Here, if anywhere, a job is left to wait for no reason."""
        if not self.notices and not self.clients and self.free and self.lookout.wake_at == NEVER:
            assert not self.waiting()
        self.now = min(self.now + 1, self.poll_at)

    def waiting(self) -> list[Item]:
        """Return the jobs that could be claimed now."""
        return [item for item in self.visible() if item.run_at <= self.now and not item.full]

    def enqueue(self, delay: float, priority: int, full: bool) -> None:  # noqa: FBT001 - as drawn
        """Let a client write a job and then ask whether to notify; its transaction stays open."""
        item = Item(self.now + delay, priority, full, ready=not delay)
        notice = ("" if self.armed else None) if item.ready else None
        if not item.ready and item.run_at < self.now + 2 * INTERVAL + 1:
            notice = str(int(item.run_at))
        self.items.append(item)
        self.clients[str(len(self.items))] = item, notice

    def commit(self, name: str) -> None:
        """Let a client commit."""
        item, notice = self.clients.pop(name)
        item.visible = True
        self.notices += [] if notice is None else [notice]

    def deliver(self) -> None:
        """Let a notification arrive."""
        self.lookout.wake(self.notices.pop(0), self.now, self.now)

    def finish(self) -> None:
        """Let a child become free."""
        self.free += 1

    def steal(self) -> None:
        """Let another supervisor take a job."""
        next(item for item in self.items if item.visible and item.ready and not item.claimed).claimed = True

    def lift(self) -> None:
        """Let the operator lift the limit."""
        for item in self.items:
            item.full = False
        self.notices.append("")

    def visible(self) -> list[Item]:
        """Take a snapshot."""
        return [item for item in self.items if item.visible and not item.claimed]

    def claim(self) -> None:
        """Let the supervisor send a claim."""
        question = self.lookout.ask(self.free)
        statement = self.statement = Statement(question, self.free, self.visible())
        statement.due = [item for item in statement.seen if not item.ready and item.run_at <= self.now]
        below = NEVER if question.below is None else question.below
        since = statement.since = float(question.since or 0)
        lane = [item for item in statement.seen if item.ready and item.priority < below and item.run_at >= since]
        statement.top = max((item.priority for item in lane), default=None)
        statement.candidates = [item for item in lane if item.priority == statement.top and not item.full]

    def poll(self) -> None:
        """Let the supervisor send a poll."""
        self.poll_at = self.now + INTERVAL
        self.statement = Statement(None, 0, self.visible())

    def step(self, statement: Statement) -> None:
        """Let the statement go on: it lists the writers, is committed, is answered."""
        statement.steps += 1
        if statement.steps == 1:
            statement.holders = frozenset(self.clients)
        elif statement.steps == 2:
            self.take(statement)
        else:
            self.statement = None
            self.answer(statement)

    def take(self, statement: Statement) -> None:
        """Commit the statement: others see what it claimed, what it found to be due, and the flag."""
        statement.claimed = [item for item in statement.candidates if not item.claimed][: statement.want]
        for item in statement.claimed:
            item.claimed = True
        for item in statement.due:
            item.ready = True
        self.free -= len(statement.claimed)
        if statement.question is not None and statement.question.arm is not None:
            self.armed = statement.question.arm

    def answer(self, statement: Statement) -> None:
        """Let the supervisor learn. A poll hides nothing that was lost: it tells of no work, nor of what is late."""
        ahead = [item.run_at - self.now for item in statement.seen if not item.ready and item.run_at > self.now]
        due = min(ahead, default=None)
        if statement.question is None:
            self.lookout.learn_poll(Polled(due=due, holders=statement.holders), self.now)
            return
        answer = Exchanged([CLAIMED] * len(statement.claimed))
        if statement.question.mark:
            times = [item.run_at for item in statement.seen if item.ready and item.run_at >= statement.since]
            answer.mark = str(min(times, default=0))
        if len(statement.claimed) < statement.want:
            answer.due, answer.holders = due, statement.holders
            answer.more = bool(statement.candidates or statement.due)
            answer.blocked = None if statement.candidates else statement.top
        self.lookout.learn(answer, statement.want, self.now)


def play(world: World, draws: list[int]) -> None:
    """Begin without arms, do as drawn, then let everything come to its end."""
    while world.armed or world.statement is not None:
        world.free = CHILDREN
        world.move()
    for draw in draws:
        world.act(draw)
    while world.clients:
        world.commit(next(iter(world.clients)))
    for _ in range(500):
        if world.notices:
            world.deliver()
        world.free = CHILDREN
        world.move()
    assert world.waiting() == []
    assert world.lookout.wake_at == NEVER


DRAWS = st.lists(st.integers(0, 99_999), min_size=40, max_size=80)


@settings(max_examples=300)
@given(DRAWS)
def test_no_job_waits_beside_a_free_child_that_does_not_look(draws: list[int]) -> None:
    """Whatever happens in whatever order, what can be claimed is claimed, and no poll is needed for it."""
    play(World(ENQUEUED, NEVER), draws)


@settings(max_examples=300)
@given(DRAWS)
def test_what_was_to_run_before_the_mark_is_found(draws: list[int]) -> None:
    """The same, with a mark after every claim: who is slow to commit writes in front of it."""
    with mock.patch.object(low_mark, "_EVERY", 0), mock.patch.object(low_mark, "_WHOLE", 3):
        play(World(ENQUEUED, NEVER), draws)


@settings(max_examples=300)
@given(DRAWS)
def test_no_delayed_job_is_late(draws: list[int]) -> None:
    """The same with delayed jobs, which clients need not announce when polls find them in time."""
    play(World(DELAYED, 0), draws)
