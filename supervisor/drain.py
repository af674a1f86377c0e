"""The end of a supervisor's work: what runs may finish, the rest is killed and given back, the database is told.

Theory of a stop. Whoever is waited for may be dead, stopped (SIGSTOP), held by the kernel (state D), or done already. So each
wait has an end of its own, and what is waited for in vain is named in the log (`supervisor.stop_overdue`). With the operator's
RENDER_SHUTDOWN_SECONDS as `seconds`, and the other times of supervisor/stopping.py:

    wait for                       ended by             and where that does not happen
    -----------------------------  -------------------  -------------------------------------------------------------------
    what runs, and what is owed    children, database   `seconds`, with the database away too; then children are killed
    killed children's exits        the fork server      KILLED_SECONDS; then it is killed, and they count as ended
    artifacts on their way         threads, the store   KILLED_SECONDS; then their attempts are given back
    the answers to what is owed    the database         FLUSH_SECONDS where it answers slowly, none where it is away
    the loops                      themselves           LOOPS_SECONDS; then the connection is hung up
    leaving the list               the database         LEAVE_SECONDS; a name that stays in it is found to be dead
    HTTP, alerts, children and     themselves           PARTS_SECONDS, all at once (core.py); helpers and fork server are
    fork server, store, traces                          killed before that by whoever started them
    threads                        whatever they are    THREADS_SECONDS; a thread cannot be ended, so the process ends
                                   in                   itself (last_resort.py)
    all of it, the loop as well    the above            AFTER_DRAIN_SECONDS; then the process ends itself

A second `stop` ends each step; a database that is there is still told what was killed, for LAST_WORDS_SECONDS. What it is
not told, the next supervisor of this name rescues when it starts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence

import structlog

from supervisor.artifacts import ArtifactStore
from supervisor.dispatcher import Dispatcher
from supervisor.errors import ExpectedError
from supervisor.link import Link
from supervisor.stopping import (
    FLUSH_SECONDS,
    KILLED_SECONDS,
    LAST_WORDS_SECONDS,
    LEAVE_SECONDS,
    LOOPS_SECONDS,
    Steps,
)
from supervisor.store.queue import QueueStore

log = structlog.get_logger()


class Drain:
    """One end. `now` is set when it was asked for a second time."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        artifacts: ArtifactStore,
        store: QueueStore,
        link: Link,
        steps: Steps,
        now: asyncio.Event,
    ) -> None:
        self._dispatcher = dispatcher
        self._artifacts = artifacts
        self._store = store
        self._link = link
        self._steps = steps
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
                await self.end_attempts(LAST_WORDS_SECONDS if self._now.is_set() else KILLED_SECONDS)
                await self._flush([idle, *loops])
            await self._leave(loops, told=idle.done())
        finally:
            idle.cancel()

    async def end_attempts(self, seconds: float) -> None:
        """Wait for the end of attempts whose children were killed; who is late is let go."""
        attempts = self._dispatcher.attempts
        if not await self._steps.take(attempts.unfinished, attempts.finished(), seconds):
            attempts.let_go()

    async def _flush(self, ends: Sequence[asyncio.Task[object]]) -> None:
        """Let the database be told of what was killed."""
        if self._link.up:
            await self._first(ends, FLUSH_SECONDS)
        if self._link.up and self._now.is_set():
            await asyncio.wait(ends, timeout=LAST_WORDS_SECONDS, return_when=asyncio.FIRST_COMPLETED)

    async def _leave(self, loops: Sequence[asyncio.Task[None]], *, told: bool) -> None:
        if not told:
            log.error("supervisor.left_behind", jobs=sum(self._dispatcher.counts))
            # A statement that is cancelled waits for the server to say so, and this server says nothing.
            await self._hang_up()
        await self.end_loops(loops)
        if told:
            leaving = asyncio.create_task(self._store.unregister())
            await self._first([leaving], LEAVE_SECONDS)
            if not leaving.done():
                await self._hang_up()
            with contextlib.suppress(ExpectedError):  # a name that stays in the list is found to be dead
                await leaving

    async def end_loops(self, loops: Sequence[asyncio.Task[None]]) -> None:
        """Cancel the loops, and wait for them."""
        for loop in loops:
            loop.cancel()
        if not loops:
            return
        _, late = await asyncio.wait(loops, timeout=LOOPS_SECONDS)
        if late:
            # The dispatcher is at a statement, and psycopg has asked the server to cancel it.
            await self._hang_up()

            def names() -> str:
                return ", ".join(f"the loop {loop.get_name()}" for loop in late if not loop.done())

            await self._steps.take(names, _all(late), LOOPS_SECONDS)

    async def _hang_up(self) -> None:
        await self._steps.take("the database, or the end of its connection", self._store.abort(), LOOPS_SECONDS)

    async def _first(self, ends: Sequence[asyncio.Task[object]], seconds: float) -> None:
        """Wait for the first of them, for that long, or until somebody is in a hurry."""
        now = asyncio.create_task(self._now.wait())
        try:
            await asyncio.wait([now, *ends], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            now.cancel()


async def _all(tasks: Collection[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)
