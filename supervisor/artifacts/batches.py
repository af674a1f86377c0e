"""Blocking work in threads, what comes within a moment in one go: a thread's turn costs as much as a small file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from supervisor.artifacts.workers import Workers

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_MOMENT = 0.02
"""Seconds between two batches, at least. What comes alone does not wait."""


class Batches(Generic[Piece, Result]):
    """Takes pieces of work and has `work` do several at once; it returns a result or an exception for each, in order.

    A batch has `seconds`. Where it takes longer each piece raises StillAtWork, and `on_late` is called with each when it ends.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Piece]], Sequence[Result | Exception]],
        workers: Workers,
        seconds: float,
        on_late: Callable[[Piece], None],
    ) -> None:
        self._work = work
        self._workers = workers
        self._seconds = seconds
        self._on_late = on_late
        self._waiting: list[tuple[Piece, asyncio.Future[Result]]] = []
        self._next = 0.0
        self._running: set[asyncio.Task[None]] = set()

    async def do(self, piece: Piece) -> Result:
        """Do one piece, perhaps together with others. Raises the exception that `work` returned for it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((piece, future))
        if len(self._waiting) == 1:
            self._next = max(loop.time(), self._next + _MOMENT)
            loop.call_at(self._next, self._start)
        return await future

    def _start(self) -> None:
        batch, self._waiting = self._waiting, []
        running = asyncio.get_running_loop().create_task(self._run(batch))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def _run(self, batch: list[tuple[Piece, asyncio.Future[Result]]]) -> None:
        results: Sequence[Result | Exception]
        try:
            pieces = [piece for piece, _ in batch]
            results = await self._workers.do(lambda: self._work(pieces), self._seconds, lambda: self._give_up(pieces))
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue  # nobody waits any more
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _give_up(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self._on_late(piece)
