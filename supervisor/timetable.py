"""When the dispatcher has something to do though nothing happened: the poll, progress to write, acks that were held up."""

from __future__ import annotations

from dataclasses import dataclass

NEVER = float("inf")
_PROGRESS_INTERVAL = 1.0
_LOCKED_RETRY = (0.01, 0.5)
"""Seconds before an ack is sent again whose row somebody holds locked, at first and at most: another supervisor does for
a moment, a client for as long as its transaction takes."""

_STUCK_RETRY = (1.0, 60.0)
"""Seconds before an ack is sent again that the database refuses in every form, at first and at most."""


@dataclass(slots=True)
class Timetable:
    """Times of the monotonic clock, in seconds."""

    poll_at: float = 0.0
    progress_at: float = NEVER
    acks_at: float = NEVER
    stuck_at: float = NEVER
    gather_until: float = 0.0
    """Until then acks of short jobs may wait for more."""
    _locked_seconds: float = _LOCKED_RETRY[0]
    _stuck_seconds: float = _STUCK_RETRY[0]

    @property
    def next(self) -> float:
        """The first of them."""
        return min(self.poll_at, self.progress_at, self.acks_at, self.stuck_at)

    def polled(self, now: float, interval: float, look_again: float | None) -> None:
        """Take it that a poll was answered; `look_again` is when the database has something for us, in seconds."""
        self.poll_at = now + min(interval, NEVER if look_again is None else max(0.1, look_again))

    def progress_soon(self, now: float) -> bool:
        """Have progress written a moment from now; False when it is to be already."""
        if self.progress_at != NEVER:
            return False
        self.progress_at = now + _PROGRESS_INTERVAL
        return True

    def acks_are_held(self, now: float) -> bool:
        """Whether acks wait for a row that somebody holds locked."""
        if self.acks_at != NEVER and now < self.acks_at:
            return True
        self.acks_at = NEVER
        return False

    def hold_acks(self, now: float) -> None:
        """Send them again later, and later each time."""
        self.acks_at = now + self._locked_seconds
        self._locked_seconds = min(2 * self._locked_seconds, _LOCKED_RETRY[1])

    def release_acks(self) -> None:
        """Take it that nobody holds up our acks."""
        self._locked_seconds = _LOCKED_RETRY[0]

    def retry_stuck(self, now: float) -> None:
        """Send what the database refuses again later, and later each time."""
        self.stuck_at = now + self._stuck_seconds
        self._stuck_seconds = min(2 * self._stuck_seconds, _STUCK_RETRY[1])

    def release_stuck(self) -> None:
        """Take it that the database refuses nothing of ours any more."""
        self._stuck_seconds = _STUCK_RETRY[0]

    def stuck_is_due(self, now: float) -> bool:
        """Whether what the database refused is to be sent again; once."""
        if now < self.stuck_at:
            return False
        self.stuck_at = NEVER
        return True
