"""What the runners of Python peers share: the command line. For the peer's own interpreter, so nothing of ours is used."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Protocol


class Runner(Protocol):
    """One peer."""

    async def install(self) -> None:
        """Make its schema."""

    async def enqueue(self, jobs: int) -> None:
        """Enqueue so many."""

    async def run(self, handled: Callable[[], None]) -> None:
        """Handle what comes, for ever; call `handled` for each job."""


LEAST = 0.05
"""Seconds."""
Make = Callable[[str, bool], Awaitable[Runner]]


def main(make: Make) -> None:
    """Do what the command line says; `make` is told the URL and whether to be at its best."""
    url, mode, command, *numbers = sys.argv[1:]
    asyncio.run(_main(make, url, mode == "best", command, [float(number) for number in numbers]))


async def _main(make: Make, url: str, best: bool, command: str, numbers: list[float]) -> None:  # noqa: FBT001
    runner = await make(url, best)
    if command == "install":
        await runner.install()
    elif command in {"enqueue", "rate"}:
        await _enqueue(runner, int(numbers[0]), alone=command == "rate")
    elif command == "work":
        await _work(runner, int(numbers[0]), numbers[1])
    elif command == "serve":
        say("ready")
        await runner.run(lambda: say(time.monotonic_ns()))
    elif command == "client":
        say("ready")
        while await asyncio.to_thread(sys.stdin.readline):
            moment = time.monotonic_ns()
            await runner.enqueue(1)
            say(moment)


async def _enqueue(runner: Runner, jobs: int, *, alone: bool) -> None:
    started = time.monotonic()
    for _ in range(jobs if alone else 1):
        await runner.enqueue(1 if alone else jobs)
    say(f'{{"jobs": {jobs}, "seconds": {time.monotonic() - started}}}')


async def _work(runner: Runner, jobs: int, seconds: float) -> None:
    done, first = 0, 0.0
    finished = asyncio.Event()

    def handled() -> None:
        nonlocal done, first
        first = first or time.monotonic()
        done += 1
        if done == jobs:
            finished.set()

    started = time.monotonic()
    task = asyncio.create_task(runner.run(handled))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(finished.wait(), seconds)
    # From the first job on, so that a worker's start is not in it; unless that leaves next to nothing to measure.
    ended = time.monotonic()
    taken = ended - first if first and ended - first > LEAST else ended - started
    say(f'{{"jobs": {done}, "seconds": {taken}}}')
    await asyncio.sleep(1)  # it acknowledges its last ones
    task.cancel()
    sys.stdout.flush()
    # A worker that drains for half a minute has nothing left to say.
    os._exit(0)


def say(word: object) -> None:
    """Write a line at once."""
    print(word, flush=True)
