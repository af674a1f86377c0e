"""The question that goes with a poll: it is asked once, survives a lost connection, and its failure is nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from supervisor.errors import DatabaseUnreachable
from supervisor.old_work import OldWork
from supervisor.store.connection import StatementFailed
from supervisor.store.poll import Polled


class Polls:
    """What was sent; `trouble` is raised where old work is asked for."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.trouble = trouble
        self.sent: list[bool] = []

    async def __call__(self, *, old: bool) -> Polled:
        """Answer a poll."""
        self.sent.append(old)
        if old and self.trouble is not None:
            raise self.trouble
        return Polled(old=old)


async def asked(old_work: OldWork) -> asyncio.Task[bool]:
    """Return a task that has asked."""
    task = asyncio.create_task(old_work.is_there())
    await asyncio.sleep(0)
    return task


async def _answer() -> None:
    old_work, polls = OldWork(), Polls()
    await old_work.polled(polls)
    task = await asked(old_work)
    await old_work.polled(polls)
    await old_work.polled(polls)
    assert await task
    assert polls.sent == [False, True, False]


async def _failure() -> None:
    old_work, polls = OldWork(), Polls(StatementFailed("out of range"))
    task = await asked(old_work)
    assert not (await old_work.polled(polls)).old
    with pytest.raises(StatementFailed):
        await task
    assert polls.sent == [True, False]


async def _lost_connection() -> None:
    old_work, polls = OldWork(), Polls(DatabaseUnreachable("gone"))
    task = await asked(old_work)
    with pytest.raises(DatabaseUnreachable):
        await old_work.polled(polls)
    polls.trouble = None
    await old_work.polled(polls)
    assert await task


async def _cancelled() -> None:
    for polls in (Polls(), Polls(StatementFailed("out of range"))):
        old_work = OldWork()
        task = await asked(old_work)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await old_work.polled(polls)
        await old_work.polled(polls)
        assert polls.sent[-1] is False


@pytest.mark.parametrize("course", [_answer, _failure, _lost_connection, _cancelled])
def test_the_question(course: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Asked by one poll and answered; failed; asked again after a lost answer; forgotten by whoever asked."""
    asyncio.run(course())
