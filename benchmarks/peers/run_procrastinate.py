"""procrastinate. Best: 50 jobs at once, finished jobs deleted, a minute between polls, since it is told by NOTIFY."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import procrastinate
from runner import Runner, main


class Procrastinate:
    """The peer; it counts a job before its handler returns."""

    def __init__(self, app: procrastinate.App, *, best: bool) -> None:
        self._app = app
        self._best = best
        self._handled: Callable[[], None] = lambda: None

        async def noop() -> None:
            self._handled()

        self._noop = app.task(name="noop")(noop)

    async def install(self) -> None:
        """Make its schema."""
        await self._app.schema_manager.apply_schema_async()

    async def enqueue(self, jobs: int) -> None:
        """Enqueue one, or many in batches."""
        if jobs == 1:
            await self._noop.defer_async()
            return
        for start in range(0, jobs, 1000):
            await self._noop.batch_defer_async(*[{}] * min(1000, jobs - start))

    async def run(self, handled: Callable[[], None]) -> None:
        """Handle what comes."""
        self._handled = handled
        options: dict[str, Any] = {"install_signal_handlers": False}
        if self._best:
            options |= {"concurrency": 50, "delete_jobs": "successful", "fetch_job_polling_interval": 60}
        await self._app.run_worker_async(**options)


async def _make(url: str, best: bool) -> Runner:  # noqa: FBT001
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
    await app.open_async()
    return Procrastinate(app, best=best)


if __name__ == "__main__":
    main(_make)
