"""Threads for work that waits for a disk, each piece with a deadline.

A thread that the kernel holds cannot be ended. So who waits for it is let go at the deadline, and the thread keeps its place
until the kernel lets it go: at most `most` threads hang, and with all of them hanging nothing is begun (`problem`). Whatever a
late piece still uses, its descriptors among it, is given up by `on_late` when it ends, and not before: a number that was
closed is another file's soon, and the thread would read that one.

A piece has a thread of its own, which costs less than a file does, and is a daemon: it does not hold up the end of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class StillAtWork(OSError):  # noqa: N818 - reads as the state it is
    """A piece of work has not ended by its deadline, and still has what it was given."""


class Workers:
    """A bounded number of threads."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._places = asyncio.Semaphore(most)
        self._late = 0

    @property
    def problem(self) -> str | None:
        """What is wrong, while pieces are past their deadline; None where none is."""
        return (
            f"{self._late} of {self._most} {self._name} threads wait for the disk past their deadline"
            if self._late
            else None
        )

    @property
    def stuck(self) -> bool:
        """Whether every place is taken by a piece that is past its deadline."""
        return self._late >= self._most

    async def do(self, work: Callable[[], T], seconds: float, on_late: Callable[[], None]) -> T:
        """Run `work` in a thread and return its result, or raise what it raises.

        Raises StillAtWork when it has not ended `seconds` after it began; `on_late` is called when it ends at last. Raises
        StillAtWork, too, when no thread was free within that time, with `on_late` called at once; OSError where the machine
        has no room for a thread.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError:
            on_late()
            raise StillAtWork(f"no {self._name} thread is free: {self.problem or 'all have work'}") from None
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[T] = loop.create_future()
        piece = _Piece(work, ended, self._places.release, on_late)
        try:
            threading.Thread(target=piece.run, args=(loop,), name=self._name, daemon=True).start()
        except RuntimeError as error:
            # The machine, or this process's limits, have no room for a thread: no fault of a job's.
            self._places.release()
            raise OSError(errno.EAGAIN, f"no thread for {self._name}: {error}") from None
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(ended)
        except (TimeoutError, asyncio.CancelledError) as error:
            if ended.done():
                raise
            self._late += 1
            piece.late = self._no_longer_late
            if isinstance(error, asyncio.CancelledError):
                raise
            raise StillAtWork(f"the disk did not take it within {seconds:.0f} s") from None

    def _no_longer_late(self) -> None:
        self._late -= 1


class _Piece:
    """One piece, from its thread back to the loop."""

    def __init__(
        self,
        work: Callable[[], Any],
        ended: asyncio.Future[Any],
        release: Callable[[], None],
        on_late: Callable[[], None],
    ) -> None:
        self._work = work
        self._ended = ended
        self._release = release
        self._on_late = on_late
        self.late: Callable[[], None] | None = None

    def run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do the work. In the thread."""
        result: Any = None
        problem: BaseException | None = None
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
            problem = error
        try:
            loop.call_soon_threadsafe(self._end, result, problem)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            self._on_late()

    def _end(self, result: Any, problem: BaseException | None) -> None:
        self._release()
        if self.late is not None:
            self.late()
            with contextlib.suppress(OSError):
                self._on_late()
        elif self._ended.cancelled():
            return
        elif problem is not None:
            self._ended.set_exception(problem)
        else:
            self._ended.set_result(result)
