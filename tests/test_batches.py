"""Work that comes within a moment is done in one go, each piece with a result or an exception of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from supervisor.artifacts.batches import Batches
from supervisor.artifacts.workers import Workers


class Doubling:
    """Doubles numbers, and refuses odd ones."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()

    def __call__(self, pieces: Sequence[int]) -> list[int | Exception]:
        """Take some."""
        self.batches.append(list(pieces))
        self.threads.add(threading.get_ident())
        return [ValueError(piece) if piece % 2 else 2 * piece for piece in pieces]


def batches_of(work: Callable[[Sequence[int]], Sequence[int | Exception]]) -> Batches[int, int]:
    """Return batches with more time than any of them takes."""
    return Batches(work, Workers("test", 2), 60.0, lambda _: None)


def test_one_that_comes_alone() -> None:
    """It is done by itself, in a thread."""
    work = Doubling()

    async def run() -> int:
        return await batches_of(work).do(4)

    assert asyncio.run(run()) == 8
    assert work.batches == [[4]]
    assert threading.get_ident() not in work.threads


def test_several_that_come_together() -> None:
    """They share a call; the wrong one among them is refused alone."""
    work = Doubling()

    async def run() -> list[int | BaseException]:
        batches = batches_of(work)
        return await asyncio.gather(*(batches.do(piece) for piece in (2, 3, 4)), return_exceptions=True)

    first, refused, last = asyncio.run(run())
    assert (first, last) == (4, 8)
    assert isinstance(refused, ValueError)
    assert work.batches == [[2, 3, 4]]


def test_one_after_the_other() -> None:
    """Each that follows the answer to the one before gets its own, and none is forgotten."""
    work = Doubling()

    async def run() -> list[int]:
        batches = batches_of(work)
        return [await batches.do(piece) for piece in range(0, 20, 2)]

    assert asyncio.run(run()) == list(range(0, 40, 4))
    assert [piece for batch in work.batches for piece in batch] == list(range(0, 20, 2))


def test_work_that_fails_as_a_whole() -> None:
    """All of them hear of it: nobody waits for ever."""

    def work(pieces: Sequence[int]) -> list[int | Exception]:
        raise OSError(f"no room for {len(pieces)}")

    async def run() -> list[int | BaseException]:
        batches = batches_of(work)
        return await asyncio.gather(*(batches.do(piece) for piece in (1, 2)), return_exceptions=True)

    assert [str(error) for error in asyncio.run(run())] == ["no room for 2", "no room for 2"]


def test_one_who_does_not_wait_any_more() -> None:
    """The others get their answers."""
    work = Doubling()

    async def run() -> int:
        batches = batches_of(work)
        left = asyncio.create_task(batches.do(2))
        stays = asyncio.create_task(batches.do(4))
        await asyncio.sleep(0)
        left.cancel()
        result = await stays
        with pytest.raises(asyncio.CancelledError):
            await left
        return result

    assert asyncio.run(run()) == 8
