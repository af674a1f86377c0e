"""What a child does while it has no job: nothing, whatever its last one left in it."""

from __future__ import annotations

import asyncio
import os
import select
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from supervisor.child import Child
from supervisor.classify import classify
from supervisor.model import Job, Token
from tests.pools import OneChild, attempt


def with_lingering(mode: SandboxMode, work: Callable[[OneChild], Awaitable[None]]) -> None:
    """Run `await work(pool)` with a pool of one child that knows the kind."""

    async def run() -> None:
        pool = OneChild(mode, RENDER_PLUGINS={"linger": "tests.kinds.lingering:linger"}, RENDER_ALLOW_NEEDS="")
        try:
            await pool.start()
            await work(pool)
        finally:
            await pool.close()

    asyncio.run(run())


async def one_job(pool: OneChild, kind: str) -> Child:
    """Have a child do a job well and come back."""
    child = await pool.taken(kind, "a")
    job = Job("j1", Token(1, 1), kind, "{}", "{}", None, None, "a", None)
    with tempfile.TemporaryFile() as output:
        seen = await attempt(child, job, output.fileno())
    assert seen is not None
    assert classify(seen)[0] is Outcome.OK, seen
    pool.give_back(child, kind, Outcome.OK)
    return child


async def state(child: Child, wanted: set[str], seconds: float = 30.0) -> str:
    """Return the state of a child's process, once it is one of these."""
    deadline = time.monotonic() + seconds
    while (found := psutil.Process(child.process.pid).status()) not in wanted and time.monotonic() < deadline:
        await asyncio.to_thread(select.poll().poll, 10)
    return found


def cpu(child: Child) -> int:
    """Return what a child used of a processor, in ticks."""
    fields = Path(f"/proc/{child.process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize("mode", [SandboxMode.BEST_EFFORT, SandboxMode.OFF])
def test_a_thread_that_a_job_left_stands_still(mode: SandboxMode) -> None:
    """It burned a processor and took memory between the jobs, unseen; the next job of the tenant finds its child as it was."""

    async def work(pool: OneChild) -> None:
        child = await one_job(pool, "linger")
        assert await state(child, {psutil.STATUS_STOPPED}) == psutil.STATUS_STOPPED
        before = cpu(child)
        os.sched_yield()
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            assert cpu(child) == before
        again = await one_job(pool, "linger")
        assert again is child
        assert await state(child, {psutil.STATUS_STOPPED}) == psutil.STATUS_STOPPED

    with_lingering(mode, work)


def test_a_child_without_a_past_is_not_stopped() -> None:
    """It runs nothing of a stranger's, and the first line of its first job waits for nothing more."""

    async def work(pool: OneChild) -> None:
        child = await pool.taken("noop")
        child.rest()
        assert psutil.Process(child.process.pid).status() != psutil.STATUS_STOPPED
        pool.give_back(child, "noop", Outcome.OK)

    with_lingering(SandboxMode.BEST_EFFORT, work)


def test_jobs_that_follow_one_another_meet_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a row of jobs none stops the child."""
    stops: list[int] = []
    monkeypatch.setattr("supervisor.pool._REST_SECONDS", 30.0)
    monkeypatch.setattr("supervisor.child_process.ChildProcess.stop", lambda process: stops.append(process.pid))

    async def work(pool: OneChild) -> None:
        for _ in range(20):
            await one_job(pool, "noop")
        assert stops == []

    with_lingering(SandboxMode.BEST_EFFORT, work)


def test_a_child_that_rests_ends_with_the_pool() -> None:
    """A kill reaches who stands still, and nothing is left."""
    pids: list[int] = []

    async def work(pool: OneChild) -> None:
        child = await one_job(pool, "linger")
        assert await state(child, {psutil.STATUS_STOPPED}) == psutil.STATUS_STOPPED
        pids.append(child.process.pid)

    with_lingering(SandboxMode.BEST_EFFORT, work)
    assert not psutil.pid_exists(pids[0])
