"""The end of a supervisor's work: what runs may finish, the rest is killed and given back, the database is told.

How long each step may take, with the operator's RENDER_SHUTDOWN_SECONDS as `seconds`:

    until nothing runs and nothing is owed        at most `seconds`, with the database away too
    killed, uploads ended, jobs given back         _FLUSH_SECONDS for a database that answers slowly, none for one that is away
    the supervisor leaves the list                _LEAVE_SECONDS

A second `stop` ends each step; a database that is there is still told what was killed, for _LAST_WORDS_SECONDS. What it is
not told, the next supervisor of this name rescues when it starts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from supervisor.artifacts import ArtifactStore
from supervisor.dispatcher import Dispatcher
from supervisor.errors import ExpectedError
from supervisor.link import Link
from supervisor.store.queue import QueueStore

log = structlog.get_logger()

_FLUSH_SECONDS = 10.0
_LAST_WORDS_SECONDS = 1.0
_LEAVE_SECONDS = 5.0


class Drain:
    """One end. `now` is set when it was asked for a second time."""

    def __init__(
        self, dispatcher: Dispatcher, artifacts: ArtifactStore, store: QueueStore, link: Link, now: asyncio.Event
    ) -> None:
        self._dispatcher = dispatcher
        self._artifacts = artifacts
        self._store = store
        self._link = link
        self._now = now

    async def run(self, loops: Sequence[asyncio.Task[None]], seconds: float) -> None:
        """Do it; the loops have ended when it returns."""
        running, _, _ = self._dispatcher.counts
        log.info("supervisor.draining", running=running, seconds=seconds)
        self._dispatcher.drain()
        idle = asyncio.create_task(self._dispatcher.idle.wait())
        try:
            await self._first([idle, *loops], seconds)
            if not idle.done():
                self._dispatcher.attempts.kill_all("the supervisor was stopped")
                self._artifacts.give_up()
                await self._flush([idle, *loops])
            await self._leave(loops, told=idle.done())
        finally:
            idle.cancel()

    async def _flush(self, ends: Sequence[asyncio.Task[object]]) -> None:
        """Let the database be told of what was killed."""
        if self._link.up:
            await self._first(ends, _FLUSH_SECONDS)
        if self._link.up and self._now.is_set():
            await asyncio.wait(ends, timeout=_LAST_WORDS_SECONDS, return_when=asyncio.FIRST_COMPLETED)

    async def _leave(self, loops: Sequence[asyncio.Task[None]], *, told: bool) -> None:
        if not told:
            log.error("supervisor.left_behind", jobs=sum(self._dispatcher.counts))
            # A statement that is cancelled waits for the server to say so, and this server says nothing.
            await self._store.abort()
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        if told:
            leaving = asyncio.create_task(self._store.unregister())
            await self._first([leaving], _LEAVE_SECONDS)
            if not leaving.done():
                await self._store.abort()
            with contextlib.suppress(ExpectedError):  # a name that stays in the list is found to be dead
                await leaving

    async def _first(self, ends: Sequence[asyncio.Task[object]], seconds: float) -> None:
        """Wait for the first of them, for that long, or until somebody is in a hurry."""
        now = asyncio.create_task(self._now.wait())
        try:
            await asyncio.wait([now, *ends], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            now.cancel()
