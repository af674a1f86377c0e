"""The database's circuit breaker: when a link is gone, stop hammering, probe later and later, say so once.

Theory of operation. The circuit is closed while statements get answers. The first failure opens it and writes the one line
that tells. While it is open the owner of the link is inside `recover` and sends nothing: it claims no work, and what it
owes waits in its memory. `recover` returns when there is a connection again, and the owner's next statement is the probe.
Only its answer closes the circuit (`works`), with the second line: a server that accepts connections and refuses every
write, its disk being full, must not be announced as recovered once per try.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import structlog

from supervisor.errors import DatabaseUnreachable
from supervisor.store.connection import DatabaseTroubled

log = structlog.get_logger()

_FIRST, _LONGEST = 0.1, 5.0
"""Seconds before the first and between the later tries."""


class Link:
    """One connection's circuit. `up` while it is closed; `problem` is what the last try met, while it is open."""

    def __init__(self, name: str, connect: Callable[[], Awaitable[None]]) -> None:
        self.name = name
        self.up = True
        self.problem: str | None = None
        self.on_change: Callable[[], None] = lambda: None
        self._connect = connect
        self._tries = 0
        self._since = 0.0

    async def recover(self, reason: DatabaseUnreachable) -> None:
        """Wait, and connect again where the connection is what failed; return when there is something to probe with."""
        self._open(reason)
        # A statement that was refused on a good connection is sent again on it: the session is not at fault, and for the
        # LISTEN session's sake a name once taken is not let go.
        connected = isinstance(reason, DatabaseTroubled)
        while True:
            await asyncio.sleep(self._delay(self._tries))
            self._tries += 1
            if connected:
                return
            try:
                await self._connect()
            except DatabaseUnreachable as error:
                self.problem = str(error)
            else:
                return

    def works(self) -> None:
        """Take note that the link was used, and worked: that closes the circuit."""
        if self.up:
            return
        self.up, self.problem = True, None
        self.on_change()
        seconds = round(time.monotonic() - self._since, 1)
        log.info("database.recovered", connection=self.name, tries=self._tries, seconds=seconds)

    def _open(self, reason: DatabaseUnreachable) -> None:
        self.problem = str(reason)
        if not self.up:
            return
        self.up, self._tries, self._since = False, 0, time.monotonic()
        self.on_change()
        event = "database.troubled" if isinstance(reason, DatabaseTroubled) else "database.lost"
        log.error(event, connection=self.name, problem=self.problem)

    @staticmethod
    def _delay(tries: int) -> float:
        """Return exponential backoff with jitter, so that many supervisors do not come back in step."""
        return min(_LONGEST, _FIRST * 2.0 ** min(tries, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
