"""The database's circuit breaker: when the link is gone, stop hammering, try again later and later, say so once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from supervisor.errors import DatabaseUnreachable

log = structlog.get_logger()

_FIRST, _LONGEST = 0.1, 5.0
"""Seconds before the first and between the later tries."""


class Link:
    """One connection's state: closed circuit while it works, open while it does not."""

    def __init__(self, name: str, connect: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._connect = connect
        self.up = True

    async def recover(self, reason: DatabaseUnreachable) -> None:
        """Try until the connection is back. One line when it went, one when it returns."""
        if self.up:
            self.up = False
            log.error("database.lost", connection=self._name, problem=str(reason))
        tries = 0
        while not self.up:
            await asyncio.sleep(self._delay(tries))
            tries += 1
            try:
                await self._connect()
            except DatabaseUnreachable:
                continue
            self.up = True
        log.info("database.recovered", connection=self._name, tries=tries)

    @staticmethod
    def _delay(tries: int) -> float:
        """Return exponential backoff with jitter, so that many supervisors do not come back in step."""
        return min(_LONGEST, _FIRST * 2.0 ** min(tries, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
