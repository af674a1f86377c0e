"""Whose child it is: one that dies before it has the job, and kills that come when the child is done with the job."""

from __future__ import annotations

import asyncio
import select
import signal
import tempfile
from pathlib import Path

from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from supervisor.attempt import Attempt
from supervisor.cgroups import ChildGroup
from supervisor.child import Child
from supervisor.classify import Observation, classify
from supervisor.model import Job, Token
from supervisor.pool import Pool
from tests.pools import LIMITS, OneChild, attempt, with_pool

PATIENCE = 60.0
FIRST, SECOND, THIRD, FOURTH = (
    Job(name, Token(1, 1), "noop", "{}", "{}", None, None, None, None)
    for name in ("first", "second", "third", "fourth")
)

Seen = asyncio.Queue[tuple[str, Outcome | None]]


async def _render(child: Child, job: Job) -> Outcome | None:
    """Have a child try a job; return its outcome, or None when it never began."""
    with tempfile.TemporaryFile() as output:
        seen = await asyncio.wait_for(attempt(child, job, output.fileno()), PATIENCE)
    return classify(seen)[0] if seen is not None else None


def _taken(pool: Pool) -> Child:
    child = pool.take("noop")
    assert child is not None
    return child


def test_a_job_never_begins_in_a_child_that_has_died() -> None:
    """Its end was told while nobody asked; the attempt must not wait for it to be told again, nor charge the job."""

    async def work(pool: Pool) -> Outcome | None:
        child = _taken(pool)
        signal.pidfd_send_signal(child.process.pidfd, signal.SIGKILL)
        await child.process.exited
        outcome = await _render(child, FIRST)
        pool.give_back(child, "noop", Outcome.INTERNAL)
        return outcome

    assert with_pool(SandboxMode.BEST_EFFORT, work) is None


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
            outcome = await rendering
            assert outcome is not None
            outcomes.append(outcome)
            pool.give_back(child, "noop", outcome)
            await child.process.exited
            child.group = None
        return outcomes

    assert with_pool(SandboxMode.BEST_EFFORT, work) == [Outcome.MEMORY, Outcome.CRASH]


def _held(child: Child, job: Job, seen: Seen) -> Attempt:
    """Give a child a job that writes nothing; what becomes of it is added to `seen`."""

    def over(attempt: Attempt, observed: Observation | None) -> None:
        seen.put_nowait((attempt.job.id, classify(observed)[0] if observed is not None else None))

    attempt = Attempt(job, LIMITS, None, over)
    child.give(attempt)
    return attempt


def test_of_the_jobs_that_a_child_holds_one_is_charged_for_its_end() -> None:
    """It had answered the first and was at the second; the others never began, and go back."""

    async def work(pool: Pool) -> list[tuple[str, Outcome | None]]:
        child = _taken(pool)
        seen: Seen = asyncio.Queue()
        _held(child, FIRST, seen)
        child.flush()
        first = await asyncio.wait_for(seen.get(), PATIENCE)
        signal.pidfd_send_signal(child.process.pidfd, signal.SIGSTOP)
        attempts = [_held(child, job, seen) for job in (SECOND, THIRD, FOURTH)]
        child.flush()
        assert child.ahead() == attempts[1:]
        signal.pidfd_send_signal(child.process.pidfd, signal.SIGKILL)
        await child.process.exited
        await asyncio.sleep(0)
        pool.give_back(child, "noop", Outcome.CRASH)
        return [first, *(seen.get_nowait() for _ in range(3))]

    assert with_pool(SandboxMode.BEST_EFFORT, work) == [
        ("first", Outcome.OK),
        ("second", Outcome.CRASH),
        ("third", None),
        ("fourth", None),
    ]


def test_a_kill_for_one_job_charges_no_other_though_its_answer_came_first() -> None:
    """The answer was on its way when the child was killed: it counts, and what the child held goes back uncharged."""

    async def work(pool: Pool) -> list[tuple[str, Outcome | None]]:
        child = _taken(pool)
        seen: Seen = asyncio.Queue()
        signal.pidfd_send_signal(child.process.pidfd, signal.SIGSTOP)
        first = _held(child, FIRST, seen)
        _held(child, SECOND, seen)
        child.flush()
        signal.pidfd_send_signal(child.process.pidfd, signal.SIGCONT)
        # It answers both, and nobody reads it meanwhile.
        select.select([child.process.job_socket], [], [], PATIENCE)
        child.abort(first, Outcome.CANCELLED, "cancelled")
        await child.process.exited
        await asyncio.sleep(0)
        pool.give_back(child, "noop", Outcome.CANCELLED)
        return [seen.get_nowait() for _ in range(2)]

    assert with_pool(SandboxMode.BEST_EFFORT, work) == [("first", Outcome.OK), ("second", None)]


def test_aborting_a_job_that_is_being_published_leaves_the_next_one_alone() -> None:
    """The child is back in the pool before the artifact is published; it renders another job, or is gone."""

    async def work(pool: Pool) -> Outcome | None:
        child = _taken(pool)
        done: Seen = asyncio.Queue()
        first = _held(child, FIRST, done)
        child.flush()
        await asyncio.wait_for(done.get(), PATIENCE)
        pool.give_back(child, "noop", Outcome.OK)
        again = _taken(pool)
        assert again is child
        seen: Seen = asyncio.Queue()
        _held(again, SECOND, seen)
        again.flush()
        assert not child.abort(first, Outcome.CANCELLED, "cancelled")
        _, outcome = await asyncio.wait_for(seen.get(), PATIENCE)
        pool.give_back(again, "noop", Outcome.TIMEOUT)
        await child.process.exited
        assert not child.abort(first, Outcome.CANCELLED, "cancelled")
        return outcome

    assert with_pool(SandboxMode.BEST_EFFORT, work) is Outcome.OK
