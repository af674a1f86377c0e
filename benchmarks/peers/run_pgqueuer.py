"""pgqueuer. Best: batches of 1,000, five minutes between polls and between heartbeats, since it is told by NOTIFY."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries
from runner import Runner, main


class PgQueuerRunner:
    """The peer; it counts a job before its handler returns."""

    def __init__(self, connection: asyncpg.Connection, *, best: bool) -> None:
        self._driver = AsyncpgDriver(connection)
        self._queries = Queries(self._driver)
        self._best = best

    async def install(self) -> None:
        """Make its schema."""
        await self._queries.install()

    async def enqueue(self, jobs: int) -> None:
        """Enqueue one, or many in batches."""
        for start in range(0, jobs, 1000):
            count = min(1000, jobs - start)
            await self._queries.enqueue(["noop"] * count, [None] * count, [0] * count)

    async def run(self, handled: Callable[[], None]) -> None:
        """Handle what comes."""
        queue = PgQueuer(self._driver)

        async def noop(_job: Job) -> None:
            handled()

        queue.entrypoint("noop")(noop)

        long = timedelta(minutes=5)
        options: dict[str, Any] = (
            {"batch_size": 1000, "dequeue_timeout": long, "heartbeat_timeout": long} if self._best else {}
        )
        await queue.run(**options)


async def _make(url: str, best: bool) -> Runner:  # noqa: FBT001
    return PgQueuerRunner(await asyncpg.connect(url), best=best)


if __name__ == "__main__":
    main(_make)
