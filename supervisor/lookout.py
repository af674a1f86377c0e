"""What a supervisor knows of work that it has not claimed: whether to look, when, and from where.

Pure: no database, no loop. The dispatcher asks it what to send and tells it what came back; time is passed in.

`look` says that there may be work that we have not seen. It is set by a wake-up, a poll, a job that is due, a reconnect,
and by an answer that leaves something over; it is cleared when a claim is sent, so that a wake-up that arrives while the
claim is under way sets it again and is not lost. A statement that claims nothing does not clear it.

Going idle. Clients notify only while some supervisor is *armed* (the function `wake` in the schema argues why nothing is
lost). A supervisor that was given all it asked for twice in a row has no use for notifications and disarms; one that gets
less arms itself, and looks once more when that is committed. Whoever was writing to the queue then may have read the flag
before: the answer names those sessions, and the supervisor stays wary, looking again, less and less often, until each of
them has ended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from supervisor.store.queue import Exchanged, Polled

NEVER = float("inf")
_TIME = re.compile(r"[0-9]{1,12}")
_RETRY = 0.005
"""Seconds until the next look at jobs that somebody else holds just now, at first. Another supervisor holds them for a
moment; a client that cancels and does not commit, for as long as it likes."""
_WARY = 0.02
"""Seconds until the next look while clients that may have read an old flag are still writing, at first."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a claim asks beside its number: after which tenant, below which priority, and whether to be told of work."""

    cursor: str
    below: int | None
    arm: bool | None


@dataclass(slots=True)
class Lookout:
    """The state. Times are of the monotonic clock, in seconds."""

    polling_interval: float
    events: bool
    look: bool = True
    due_at: float = NEVER
    _again_at: float = NEVER
    _retry: float = _RETRY
    _wary: float = _WARY
    _cursor: str = ""
    _below: int | None = None
    _armed: bool = field(init=False)
    _arm: bool | None = None
    _full: int = 0
    _holders: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        # Registration arms, where there is a connection to be told over.
        self._armed = self.events

    @property
    def wake_at(self) -> float:
        """When to look again though nothing happened."""
        return min(self.due_at, self._again_at)

    def wake(self, payload: str, now: float, wall: float) -> None:
        """Take a wake-up: there is work, or (the payload is a time of the wall clock) there will be."""
        # Anybody who can connect can notify: what is no plausible time is a hint to look, and nothing more.
        if _TIME.fullmatch(payload):
            self.due_at = min(self.due_at, now + max(0.0, int(payload) - wall))
        else:
            self.look = True

    def tick(self, now: float) -> None:
        """Take note of the time."""
        if now >= self.due_at:
            self.look = True
        if now >= self._again_at:
            self.look, self._again_at = True, NEVER

    def ask(self, want: int) -> Question:
        """Return what to ask beside the number; from here on, what is not seen by this statement sets `look` again."""
        if want:
            self.look, self._again_at = False, NEVER
        return Question(self._cursor, self._below, self._arm if want else None)

    def learn(self, answer: Exchanged, want: int, now: float) -> None:
        """Take the answer to a claim of `want` jobs."""
        if not want:
            if any(verdict.verdict in {"queued", "given_back"} for verdict in answer.verdicts):
                self.look = True  # nobody asked when these are due; whoever is free next does
            return
        if self._arm is not None:
            # Committed now. What was enqueued until then, silently, is what the next look is for.
            self.look = self.look or self._arm
            self._armed, self._arm = self._arm, None
        if answer.claimed:
            self._cursor = answer.claimed[-1].user_id or ""
        if len(answer.claimed) >= want:
            self._learn_full()
        else:
            self._learn_rest(answer, now)

    def _learn_full(self) -> None:
        """Take it that there was all we wanted: there may be more."""
        self.look, self.due_at, self._below, self._retry = True, NEVER, None, _RETRY
        self._full += 1
        if self._armed and self._full > 1:
            self._arm = False

    def _learn_rest(self, answer: Exchanged, now: float) -> None:
        """Take it that there was less than we wanted."""
        self._full = 0
        self.due_at = NEVER if answer.due is None else now + answer.due
        self._below = answer.blocked
        if answer.blocked is not None or (answer.more and answer.claimed):
            self.look, self._retry = True, _RETRY
        elif answer.more or answer.busy:
            self._again_at = min(self._again_at, now + self._retry)
            self._retry = min(2 * self._retry, self.polling_interval)
        else:
            self._retry = _RETRY
        if self.events:
            if not self._armed:
                self.look, self._arm = True, True
            self._beware(answer.holders, now)

    def learn_poll(self, answer: Polled, now: float) -> None:
        """Take the answer to a poll."""
        self.look = self.look or answer.work
        if answer.due is not None:
            self.due_at = min(self.due_at, now + max(0.0, answer.due))
        if self.events:
            self._beware(answer.holders, now)

    def _beware(self, holders: frozenset[str], now: float) -> None:
        """Look again for as long as sessions that were writing when we looked go on."""
        if self._holders - holders:
            self.look = True  # one has ended: what it wrote can be seen now
        if holders - self._holders:
            self._wary = _WARY
        if holders:
            self._again_at = min(self._again_at, now + self._wary)
            self._wary = min(2 * self._wary, self.polling_interval)
        self._holders = holders
