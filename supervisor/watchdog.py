"""Feeds the service manager's watchdog (WatchdogSec=, sd_watchdog_enabled(3)) for as long as the service makes progress.

The event loop itself does it: one that hangs, whatever in, feeds nothing and is killed. Before each time it is asked whether
the dispatcher gets on; one that has been at the same turn for minutes, with a database that neither answers nor hangs up, is
hung too. An idle service is woken at half of the time that the manager asks for, and not at all where it asks for none.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import structlog

from supervisor import notify

log = structlog.get_logger()


def interval() -> float | None:
    """Return the seconds between two feedings; None where no watchdog waits for this process."""
    try:
        microseconds = int(os.environ["WATCHDOG_USEC"])
        process = int(os.environ.get("WATCHDOG_PID") or os.getpid())
    except (KeyError, ValueError):
        return None
    return microseconds / 2e6 if microseconds > 0 and process == os.getpid() else None


async def feed(seconds: float, makes_progress: Callable[[], bool]) -> None:
    """Feed it for ever, or until there is no progress: then say so once, and wait for the end."""
    while makes_progress():
        notify.notify(WATCHDOG=1)
        await asyncio.sleep(seconds)
    log.error(
        "watchdog.starved", reason="the dispatcher does not get on; the service manager will start the service anew"
    )
    await asyncio.Event().wait()
