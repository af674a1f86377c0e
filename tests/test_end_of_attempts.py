"""The wait for the end of all attempts comes to an end itself, whatever a child does between its kill and its exit."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from renderer.sandbox import SandboxMode
from supervisor.artifacts import artifact_store
from supervisor.attempts import Attempts
from supervisor.child import Child
from supervisor.model import Job, Token
from supervisor.monitor.figures import Figures
from supervisor.pace import Pace
from supervisor.report import Reporter
from supervisor.runner import Runner
from supervisor.settings import load
from tests.pools import OneChild, with_pool

PATIENCE = 60.0
FIRST, SECOND = (Job(name, Token(1, 1), "noop", "{}", "{}", None, None, None, None) for name in ("first", "second"))


class _Scene:
    """The attempts of a supervisor with one child, which is taken."""

    def __init__(self, pool: OneChild, child: Child, directory: Path) -> None:
        settings = load({"RENDER_ARTIFACTS_URL": f"file://{directory}"})
        self.child = child
        self.changed = asyncio.Event()
        self.runner = Runner(settings, pool, artifact_store(settings))
        self.attempts = Attempts(pool, self.runner, Reporter(Figures(), None), Pace(), self.changed.set)

    def start(self, job: Job) -> None:
        """Give the child a job, as the attempts do; it is not sent yet."""
        self.attempts.claims.start(self.runner.start(job, self.child, self.attempts.over), self.child)

    async def only_a_withdrawn_attempt(self) -> Callable[[], None]:
        """Have the child hold what was taken back, and nothing else; return what lets it answer."""
        self.start(FIRST)
        self.child.flush()
        self.start(SECOND)
        self.attempts.cancel([SECOND.id])
        while self.attempts.claims.running():
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), PATIENCE)
        assert self.child.held == 1
        return self.child.flush

    async def a_trial_render(self) -> Callable[[], None]:
        """Have the child hold what is nobody's claim, as for the health check; return what lets it answer."""
        signal.pidfd_send_signal(self.child.process.pidfd, signal.SIGSTOP)
        self.trial = asyncio.create_task(self.runner.attempt(FIRST, self.child))
        await asyncio.sleep(0)  # lets it start
        assert self.child.held == 1
        return lambda: signal.pidfd_send_signal(self.child.process.pidfd, signal.SIGCONT)

    async def a_claim_behind_a_withdrawn_one(self) -> Callable[[], None]:
        """Have the child be at what was taken back, with a claim behind it that is nobody else's."""
        answer = await self.only_a_withdrawn_attempt()
        self.start(Job("third", Token(1, 1), "noop", "{}", "{}", None, None, None, None))
        return answer


@pytest.mark.parametrize(
    "held", [_Scene.only_a_withdrawn_attempt, _Scene.a_trial_render, _Scene.a_claim_behind_a_withdrawn_one]
)
@pytest.mark.parametrize("then", ["answers", "says nothing"])
def test_it_ends_though_a_child_is_let_go_without_its_exit(
    held: Callable[..., object], then: str, tmp_path: Path
) -> None:
    """The child that is held when the wait begins answers, or says nothing: the wait ends, and no claim is left running.

    A one-shot run with 2,217 short drawings hung for ever in half of its tries: what its children held were attempts that
    had been taken back, nobody killed them for those, and once they had answered they were idle and never ended.
    """

    async def work(pool: OneChild) -> list[tuple[str, object]]:
        scene = _Scene(pool, await pool.taken("noop"), tmp_path)
        answer = await held(scene)  # type: ignore[misc]
        scene.attempts.kill_all("the supervisor ended")
        waiting = asyncio.create_task(scene.attempts.finished())
        await asyncio.sleep(0)  # lets it look who is held
        if then == "answers":
            answer()
        await asyncio.wait_for(waiting, PATIENCE / 6)
        assert not scene.attempts.claims.running()
        return [(ack.job_id, ack.ending and ack.ending.outcome.value) for ack in scene.attempts.claims.owed()]

    owed = dict(with_pool(SandboxMode.BEST_EFFORT, work))
    # What never began goes back without an attempt.
    assert {"second": None, "third": None}.items() >= {
        name: ended for name, ended in owed.items() if name != "first"
    }.items()
