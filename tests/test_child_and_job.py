"""Whose child it is: one that dies before it has the job, and kills that come when the child is done with the job."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from pathlib import Path

from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from supervisor.cgroups import ChildGroup
from supervisor.child import Child
from supervisor.classify import classify
from supervisor.model import Job, Token
from supervisor.pool import Pool
from tests.pools import LIMITS, OneChild, with_pool

PATIENCE = 30.0
FIRST, SECOND = (Job(name, Token(1, 1), "noop", "{}", "{}", None, None, None, None) for name in ("first", "second"))


async def _render(child: Child, job: Job) -> Outcome:
    with tempfile.TemporaryFile() as output:
        seen = await asyncio.wait_for(child.render(job, LIMITS, output.fileno()), PATIENCE)
    return classify(seen)[0]


def _taken(pool: Pool) -> Child:
    child = pool.take("noop")
    assert child is not None
    return child


def test_a_child_that_died_before_it_had_the_job_ends_the_attempt() -> None:
    """Its end was told while nobody asked; the attempt must not wait for it to be told again, nor charge the job."""

    async def work(pool: Pool) -> Outcome:
        child = _taken(pool)
        signal.pidfd_send_signal(child.process.pidfd, signal.SIGKILL)
        await child.process.exited
        outcome = await _render(child, FIRST)
        pool.give_back(child, "noop", outcome)
        return outcome

    assert with_pool(SandboxMode.BEST_EFFORT, work) is Outcome.INTERNAL


def test_a_child_that_the_kernel_ended_for_its_groups_memory(tmp_path: Path) -> None:
    """It ends by SIGKILL, which alone is a crash; what its group counted makes it `memory`, and an older count does not.

    No machine without the memory controller counts: the file that says so is written here.
    """

    async def work(pool: OneChild) -> list[Outcome]:
        outcomes = []
        for _ in range(2):
            child = await pool.taken("noop")
            child.group = ChildGroup(tmp_path / "group")
            signal.pidfd_send_signal(child.process.pidfd, signal.SIGSTOP)
            rendering = asyncio.create_task(_render(child, FIRST))
            await asyncio.sleep(0)  # lets it start
            (tmp_path / "group" / "memory.events").write_text("low 0\noom 3\noom_kill 1\n")
            signal.pidfd_send_signal(child.process.pidfd, signal.SIGKILL)
            outcomes.append(await rendering)
            pool.give_back(child, "noop", outcomes[-1])
            await child.process.exited
            child.group = None
        return outcomes

    assert with_pool(SandboxMode.BEST_EFFORT, work) == [Outcome.MEMORY, Outcome.CRASH]


def test_a_job_that_is_aborted_before_it_starts_never_runs() -> None:
    """The child is the job's from the moment that it is chosen."""

    async def work(pool: Pool) -> Outcome:
        child = _taken(pool)
        child.reserved_for = FIRST.id
        child.abort(FIRST.id, Outcome.CANCELLED, "cancelled")
        outcome = await _render(child, FIRST)
        pool.give_back(child, "noop", outcome)
        return outcome

    assert with_pool(SandboxMode.BEST_EFFORT, work) is Outcome.INTERNAL


def test_aborting_a_job_that_is_being_published_leaves_the_next_one_alone() -> None:
    """The child is back in the pool before the artifact is published; it renders another job, or is gone."""

    async def work(pool: Pool) -> Outcome:
        child = _taken(pool)
        assert await _render(child, FIRST) is Outcome.OK
        pool.give_back(child, "noop", Outcome.OK)
        again = _taken(pool)
        assert again is child
        rendering = asyncio.create_task(_render(again, SECOND))
        await asyncio.sleep(0)  # lets it start
        child.abort(FIRST.id, Outcome.CANCELLED, "cancelled")
        outcome = await rendering
        pool.give_back(again, "noop", Outcome.TIMEOUT)
        await child.process.exited
        child.abort(FIRST.id, Outcome.CANCELLED, "cancelled")
        return outcome

    assert with_pool(SandboxMode.BEST_EFFORT, work) is Outcome.OK
