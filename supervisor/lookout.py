"""What a supervisor knows of work that it has not claimed: whether to look, when, and from where.

Pure: no database, no loop. The dispatcher asks it what to send and tells it what came back; time is passed in.

`look` says that there may be work that we have not seen: somebody said so (a wake-up, a poll, a job that is due, a
reconnect), or an answer left something over. It is cleared when a claim is sent, so that a wake-up that arrives while the
claim is under way sets it again and is not lost; likewise the time of a delayed job that is told meanwhile outlives the
answer. A statement that claims nothing does not clear it. A claim below some priority, where all tenants above have their
places, clears only what the answer before left over: what was said may be of a job above.

Going idle. Clients notify only while some supervisor is *armed* (the function `wake` in the schema argues why nothing is
lost). A supervisor that was given all it asked for twice in a row has no use for notifications and disarms; one that gets
less arms itself. Whoever was writing to the queue when that was committed may have read the flag before. So the supervisor
looks twice more: the first answer names those sessions, the second look sees what the others wrote, and as long as one of
the named is left the supervisor stays wary, looking again, less and less often. A session that begins later reads the
flag, and is nothing to wait for. Registration arms, and is followed by the same.

A poll names sessions too: they may have enqueued delayed jobs that they did not announce, since this poll would see them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from supervisor.low_mark import LowMark
from supervisor.model import Ack
from supervisor.store.exchange import Exchanged, Question
from supervisor.store.poll import Polled

NEVER = float("inf")
_TIME = re.compile(r"[0-9]{1,12}")
_RETRY = 0.005
"""Seconds until the next look at jobs that somebody else holds just now, at first. Another supervisor holds them for a
moment; a client that cancels and does not commit, for as long as it likes."""
_TICK = 0.001
"""Seconds from when a question is sent until the server takes the time that its answer goes by, about: to ask a moment too
early is to ask twice."""
_WARY = 0.02
"""Seconds until the next look while clients that may have read an old flag are still writing, at first."""


@dataclass(slots=True)
class Lookout:
    """The state. Times are of the monotonic clock, in seconds."""

    polling_interval: float
    events: bool
    due_at: float = NEVER
    _heard: bool = True
    _left_over: bool = False
    _told_at: float = NEVER
    _again_at: float = NEVER
    _retry: float = _RETRY
    _wary: float = _WARY
    _cursor: str = ""
    _below: int | None = None
    _armed: bool = field(init=False)
    _arm: bool | None = None
    _full: int = 0
    _holders: frozenset[str] = frozenset()
    _unlisted: bool = field(init=False)
    _low_mark: LowMark = field(default_factory=LowMark)

    def __post_init__(self) -> None:
        self._registered()

    def _registered(self) -> None:
        # Registration arms, where there is a connection to be told over.
        self._armed, self._arm, self._unlisted = self.events, None, self.events

    @property
    def look(self) -> bool:
        """Whether there may be work that we have not seen."""
        return self._heard or self._left_over

    @look.setter
    def look(self, heard: bool) -> None:
        self._heard = heard

    def may_bring(self, acks: Iterable[Ack], *, limited: bool) -> bool:
        """Whether a claim beside these acks, or progress, may bring something. A statement without one is the cheaper by far.

        What is new is told, so that there is nothing where nobody said so and nothing is doubtful; but an ack of an attempt that
        did not go well may have its own job queued again, and any may free a place where something is `limited`.
        """
        # The acks last: under load they are many, and something is left over.
        return self.look or self._again_at < NEVER or not self.events or limited or any(ack.ill for ack in acks)

    @property
    def wake_at(self) -> float:
        """When to look again though nothing happened."""
        return min(self.due_at, self._again_at)

    def wake(self, payload: str, now: float, database: float) -> None:
        """Take a wake-up: there is work, or (the payload is a time of the database's clock, which stands at `database`) will be."""
        # Anybody who can connect can notify: what is no plausible time is a hint to look, and nothing more.
        if _TIME.fullmatch(payload):
            self._told_at = min(self._told_at, now + max(0.0, int(payload) - database))
            self.due_at = min(self.due_at, self._told_at)
        else:
            self._heard = True

    def tick(self, now: float) -> None:
        """Take note of the time."""
        if now >= self.due_at:
            self._heard = True
        if now >= self._again_at:
            self._heard, self._again_at = True, NEVER

    def ask(self, want: int) -> Question:
        """Return what to ask beside the number; from here on, what is not seen by this statement sets `look` again."""
        if want:
            self._left_over, self._again_at, self._told_at = False, NEVER, NEVER
            self._heard = self._heard and self._below is not None
        # The list is looked at after an arming, and until those that were on it then are gone.
        holders = bool(want) and self.events and (self._unlisted or bool(self._holders))
        since, mark = self._low_mark.ask() if want else (None, False)
        return Question(self._cursor, self._below, self._arm if want else None, holders, since, mark)

    def learn(self, answer: Exchanged, want: int, now: float, asked: float | None = None) -> None:
        """Take the answer to a claim of `want` jobs that was asked for at `asked`: what is due is so from then."""
        if not want:
            if any(verdict.verdict in {"queued", "given_back"} for verdict in answer.verdicts):
                self._heard = True  # nobody asked when these are due; whoever is free next does
            return
        just_armed = self._arm is True
        if self._arm is not None:
            self._armed, self._arm = self._arm, None
        if answer.claimed:
            self._cursor = answer.claimed[-1].user_id or ""
        if len(answer.claimed) >= want:
            self._learn_full()
            self._low_mark.learn(len(answer.claimed), answer.mark)
        elif self._low_mark.forget():
            # There may be more, in front of where we looked.
            self._left_over = True
        else:
            self._learn_rest(answer, now, now if asked is None else asked + _TICK)
        if just_armed:
            # Committed only after this answer was made: who wrote until then is what the next one tells.
            self._heard = self._unlisted = True

    def _learn_full(self) -> None:
        """Take it that there was all we wanted: there may be more."""
        self._left_over, self.due_at, self._below, self._retry = True, NEVER, None, _RETRY
        self._full += 1
        if self._armed and self._full > 1:
            self._arm = False

    def _learn_rest(self, answer: Exchanged, now: float, due_from: float) -> None:
        """Take it that there was less than we wanted."""
        self._full = 0
        self.due_at = min(self._told_at, NEVER if answer.due is None else due_from + answer.due)
        self._below = answer.blocked
        if answer.blocked is not None or (answer.more and (answer.claimed or answer.became_due)):
            self._left_over, self._retry = True, _RETRY
        elif answer.more or answer.busy:
            self._again_at = min(self._again_at, now + self._retry)
            self._retry = min(2 * self._retry, self.polling_interval)
        else:
            self._retry = _RETRY
        if self.events:
            if not self._armed:
                self._left_over, self._arm = True, True
            self._beware(answer.holders, now, anew=self._unlisted)

    def learn_poll(self, answer: Polled, now: float) -> None:
        """Take the answer to a poll."""
        self._low_mark.forget()
        self._heard = self._heard or answer.work
        if answer.due is not None:
            self.due_at = min(self.due_at, now + max(0.0, answer.due))
        if self.events:
            self._beware(answer.holders, now, anew=True)
        if not answer.registered:
            # We are about to be, anew. Until then nobody knew of us, and was silent.
            self._heard = True
            self._registered()

    def _beware(self, holders: frozenset[str], now: float, *, anew: bool) -> None:
        """Look again for as long as sessions go on that were writing when they were listed; `anew` lists them."""
        if self._holders - holders:
            self._heard = True  # one has ended: what it wrote can be seen now
        if self._unlisted and anew:
            self._heard, self._unlisted = True, False  # one that ended since the look is not in the list
        if anew and holders - self._holders:
            self._wary = _WARY
        self._holders = holders if anew else self._holders & holders
        if self._holders:
            self._again_at = min(self._again_at, now + self._wary)
            self._wary = min(2 * self._wary, self.polling_interval)
