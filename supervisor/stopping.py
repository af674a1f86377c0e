"""How long each part of a stop may take, and the steps that a take-down is made of.

A step waits for somebody else: a child, a thread, a server, a receiver of alerts. So each has an end of its own. A step that
is not over by then is told in the log, by the name of what it waits for, and left; the next one begins.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from supervisor.errors import ExpectedError

log = structlog.get_logger()

KILLED_SECONDS = 3.0
"""How long children that were killed may take to end, and artifacts to be stored that are on their way."""
FLUSH_SECONDS = 10.0
"""How long the database may take to be told of what was killed."""
LAST_WORDS_SECONDS = 1.0
"""The same, each, for who was asked to stop for a second time."""
LEAVE_SECONDS = 5.0
"""How long it may take to leave the list of supervisors."""
LOOPS_SECONDS = 3.0
"""How long the loops may take to end once they are told."""
PARTS_SECONDS = 12.0
"""How long HTTP, alerts, children, fork server, artifacts and traces may take to end, all at once."""
THREADS_SECONDS = 10.0
"""How long the process may take to end when everything else has."""

AFTER_DRAIN_SECONDS = (
    KILLED_SECONDS + FLUSH_SECONDS + LEAVE_SECONDS + 2 * LOOPS_SECONDS + PARTS_SECONDS + THREADS_SECONDS
)
"""The deadline of a stop beyond RENDER_SHUTDOWN_SECONDS: by then the process has ended, or ends itself."""
HURRY_SECONDS = 10.0
"""The deadline from the second signal on; with the third one there is no wait."""
ALARM_SECONDS = 5.0
"""After its deadline, the kernel ends a process that could not even end itself."""
MANAGER_SECONDS = AFTER_DRAIN_SECONDS + 2 * ALARM_SECONDS
"""What a service manager is asked for, beyond RENDER_SHUTDOWN_SECONDS."""


class StopOverdue(ExpectedError):  # noqa: N818 - reads as the state it is
    """Something did not end within its time, and was killed or left behind."""


class Steps:
    """The steps of one take-down. `overdue` names what was waited for in vain."""

    def __init__(self) -> None:
        self.overdue: list[str] = []
        self._failure: BaseException | None = None
        self._under_way: dict[object, Callable[[], str]] = {}

    def under_way(self) -> list[str]:
        """Return what is being waited for."""
        return [waits_for() for waits_for in list(self._under_way.values())]

    async def take(self, waits_for: str | Callable[[], str], work: Coroutine[Any, Any, object], seconds: float) -> bool:
        """Do one step; return whether it came to its end. A step that fails keeps no other from being taken."""
        name = waits_for if callable(waits_for) else lambda: waits_for
        task, began = asyncio.ensure_future(work), time.monotonic()
        self._under_way[task] = name
        try:
            done, _ = await asyncio.wait([task], timeout=seconds)
        finally:
            del self._under_way[task]
        if not done:
            self.say_overdue(name(), time.monotonic() - began)
            # Not waited for: what does not end may not end for being cancelled either.
            task.cancel()
            return False
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("supervisor.stop_failed", step=name(), problem=str(failure), exc_info=failure)
            self._failure = self._failure or failure
        return True

    def say_overdue(self, waiting_for: str, seconds: float) -> None:
        """Say what was waited for in vain."""
        self.overdue.append(waiting_for)
        log.error("supervisor.stop_overdue", waiting_for=waiting_for, seconds=round(seconds, 1))

    def check(self) -> None:
        """Raise what a step raised, or StopOverdue where one did not come to its end."""
        if self._failure is not None:
            raise self._failure
        if self.overdue:
            raise StopOverdue(
                f"a stop must end within its time; this did not, and was killed or left: {'; '.join(self.overdue)}"
            )
