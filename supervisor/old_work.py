"""Whether retention has work in the database: a question that goes with a poll, so that it costs no statement of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from supervisor.store.connection import DataRefused, StatementFailed
from supervisor.store.poll import Polled


class _Poll(Protocol):
    def __call__(self, *, old: bool) -> Awaitable[Polled]: ...


class OldWork:
    """The question, from when it is asked until a poll brings the answer. One asks at a time."""

    def __init__(self) -> None:
        self._asked: asyncio.Future[bool] | None = None

    async def is_there(self) -> bool:
        """Ask with the next poll, and wait for its answer. Raises DataRefused or StatementFailed where the question itself failed."""
        self._asked = asyncio.get_running_loop().create_future()
        return await self._asked

    async def polled(self, poll: _Poll) -> Polled:
        """Send a poll, which is told whether to ask.

        Should the question fail, whoever asked hears of it, and the poll is sent without: it is the sign of life. Whatever else
        `poll` raises leaves the question to the next.
        """
        asked = self._asked
        if asked is None:
            return await poll(old=False)
        try:
            answer = await poll(old=True)
        except (DataRefused, StatementFailed) as error:
            self._asked = None
            if not asked.done():
                asked.set_exception(error)
            return await poll(old=False)
        self._asked = None
        # Unless whoever asked was cancelled.
        if not asked.done():
            asked.set_result(answer.old)
        return answer
