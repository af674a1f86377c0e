"""What is told of an alert, whoever it is told to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from supervisor.alerts.catalogue import Severity
from supervisor.alerts.rules import Change


@dataclass(frozen=True, slots=True)
class Message:
    """One change of one alert."""

    alert: str
    change: Change
    severity: Severity
    supervisor: str
    title: str
    """The alert in two words: "Queue depth"."""
    text: str
    """The value and the threshold, and for an end how long it stood."""
    since: datetime
    """When the alert was raised."""
    at: datetime

    @property
    def is_over(self) -> bool:
        """Whether this is the recovery."""
        return self.change in {Change.ENDED, Change.NO_LONGER_KNOWN}

    @property
    def headline(self) -> str:
        """The line that is read on a telephone."""
        state = {Change.RAISED: "alert", Change.STANDING: "still"}.get(self.change, "over")
        return f"jobsupervisor {self.supervisor}: {state}: {self.title}"
