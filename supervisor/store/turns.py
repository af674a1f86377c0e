"""One at a time, and some before others: who changes something need not wait for all who look."""

from __future__ import annotations

import asyncio
import collections
import contextlib


class Turns:
    """A lock with two queues."""

    def __init__(self) -> None:
        self._taken = False
        self._first: collections.deque[asyncio.Future[None]] = collections.deque()
        self._others: collections.deque[asyncio.Future[None]] = collections.deque()

    async def take(self, *, first: bool = False) -> None:
        """Wait for a turn; `first`: before all who are not."""
        if not self._taken:
            self._taken = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._first if first else self._others
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # it was given in the moment in which nobody wanted it any more
            else:
                with contextlib.suppress(ValueError):
                    queue.remove(turn)
            raise

    def leave(self) -> None:
        """End a turn; the next one has it from now on."""
        for queue in (self._first, self._others):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._taken = False

    async def __aenter__(self) -> None:
        await self.take()

    async def __aexit__(self, *_: object) -> None:
        self.leave()
