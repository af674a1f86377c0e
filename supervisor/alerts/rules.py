"""When an alert begins and when it is over. Pure: time is passed in.

One look over the threshold is a spike and no alert: it is raised when looks in a row, two at least, are over it for
the time that ALERT_HOLD_SECONDS gives. A count alone would not do: under load there are many looks in a second, while idle one in a minute. It ends when
the value is at or below 80 % of the threshold for as long; in between nothing changes, so that a value that hovers about
its threshold is one alert and not fifty. A value that is not known (None) leaves things as they are: a database that is
away must not end the alert about its queue. That has an end too, or an alert would stand for ever over a supervisor that
has nothing more to do.
"""

from __future__ import annotations

import enum

END_SHARE = 0.8
"""Share of the threshold at which an alert may end."""

REMIND_SECONDS = 4 * 3600.0
"""Between two reminders of an alert that stands."""

UNKNOWN_SECONDS = 600.0
"""How long an alert stands without a value."""


class Change(enum.Enum):
    """What a look changed: a reason to tell somebody."""

    RAISED = "raised"
    STANDING = "standing"
    ENDED = "ended"
    NO_LONGER_KNOWN = "no longer known"


class Watch:
    """One value against its threshold. `raised_at` is the time at which its alert was raised, None while there is none.

    `hold`: seconds for which the value must stay on the other side before anything changes.
    """

    def __init__(self, threshold: float, hold: float) -> None:
        self.threshold = threshold
        self.hold = hold
        self.raised_at: float | None = None
        self._reminded_at = 0.0
        self._across_since: float | None = None  # when the value came to where it changes things, if it stays
        self._unknown_since: float | None = None

    @property
    def unsettled(self) -> bool:
        """Whether its alert stands, or may be about to: the next look may change something."""
        return self.raised_at is not None or self._across_since is not None

    def judge_by(self, threshold: float, hold: float) -> None:
        """Take another threshold and hold from now on. An alert that stands does so until the value is below the new one."""
        if threshold != self.threshold:
            # What was across the old one need not be across this one.
            self._across_since = None
        self.threshold, self.hold = threshold, hold

    def look(self, value: float | None, now: float) -> Change | None:
        """Take a value; return what it changed. `now` is a clock that never goes back."""
        if value is None:
            return self._without_value(now)
        self._unknown_since = None
        if self._has_held(value, now):
            return self._turn(now)
        return self._remind(now)

    def _has_held(self, value: float, now: float) -> bool:
        across = value > self.threshold if self.raised_at is None else value <= self.threshold * END_SHARE
        if not across:
            self._across_since = None
        elif self._across_since is None:
            self._across_since = now
        return self._across_since is not None and now - self._across_since >= self.hold

    def _turn(self, now: float) -> Change:
        self._across_since = None
        if self.raised_at is None:
            self.raised_at = self._reminded_at = now
            return Change.RAISED
        self.raised_at = None
        return Change.ENDED

    def _remind(self, now: float) -> Change | None:
        if self.raised_at is None or now - self._reminded_at < REMIND_SECONDS:
            return None
        self._reminded_at = now
        return Change.STANDING

    def _without_value(self, now: float) -> Change | None:
        self._across_since = None
        if self.raised_at is None:
            return None
        if self._unknown_since is None:
            self._unknown_since = now
        if now - self._unknown_since < UNKNOWN_SECONDS:
            return None
        self.raised_at = self._unknown_since = None
        return Change.NO_LONGER_KNOWN
