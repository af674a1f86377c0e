"""Has the alerts look at the supervisor: as often as there may be something to see, and not at all while it is idle.

A look costs some microseconds and a glance into /proc for each child. It is taken when a poll brought the queue's figures or
the settings changed, and every ten seconds (more often where ALERT_HOLD_SECONDS is shorter) while jobs run or ran within the
time that rates are taken over, a link is down, or an alert stands or may be about to. On an idle night that is one look for
each poll.
"""

from __future__ import annotations

import asyncio
import os
import time

from supervisor.alerts.alerts import Alerts
from supervisor.alerts.readings import Readings
from supervisor.memory import find, resident
from supervisor.model import MEGABYTE
from supervisor.monitor.monitor import Monitor
from supervisor.monitor.recent import Summary
from supervisor.settings import Settings

WINDOW_SECONDS = 300.0
"""What rates are taken over."""
_LOOK_SECONDS = 10.0
_FEWEST = 10
"""Attempts that make a rate."""


class Attention:
    """The loop that looks."""

    def __init__(self, settings: Settings, monitor: Monitor, alerts: Alerts) -> None:
        self._settings = settings
        self._monitor = monitor
        self._alerts = alerts
        self._stirred = asyncio.Event()
        self._own = find(os.getpid())
        monitor.figures.on_event = self._stirred.set
        for link in monitor.links:
            link.on_change = self._stirred.set

    async def serve(self) -> None:
        """Look for ever."""
        while True:
            await self._stirred.wait()
            while True:
                self._stirred.clear()
                if not self._look():
                    break
                await asyncio.sleep(min(_LOOK_SECONDS, self._settings.alert_hold_seconds))

    def settings_changed(self) -> None:
        """Look again, by the thresholds and for the channels that there are now."""
        self._alerts.settings_changed(self._settings)
        self._stirred.set()

    def _look(self) -> bool:
        """Look once; return whether the next look must not wait for something to happen."""
        now = time.monotonic()
        recent = self._monitor.figures.recent.summary(now, WINDOW_SECONDS)
        readings = self._readings(recent)
        self._alerts.supervisor_name = self._monitor.name
        self._alerts.look(readings, now)
        busy = readings.active_jobs > 0 or recent.ended > 0 or readings.database_problem is not None
        return busy or self._alerts.unsettled

    def _readings(self, recent: Summary) -> Readings:
        """Return the figures of this moment."""
        monitor = self._monitor
        problem = next((link.problem for link in monitor.links if not link.up), None)
        memory, of = self._largest()
        return Readings(
            error_rate=recent.error_rate if recent.ended >= _FEWEST else None,
            response_seconds=recent.response_p95,
            memory_mb=memory / MEGABYTE,
            queue_depth=None if problem or monitor.figures.polled_at is None else monitor.figures.queue.queued,
            active_jobs=monitor.dispatcher.counts[0],
            database_problem=problem,
            memory_of=of,
        )

    def _largest(self) -> tuple[int, str]:
        """Return the largest resident memory of one process, in bytes, and whose it is."""
        found = [(resident(self._own), "the supervisor")]
        found += [(child.memory, f"child {child.number}") for child in self._monitor.children()]
        return max(found)
