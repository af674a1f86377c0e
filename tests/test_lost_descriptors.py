"""A job whose descriptor does not arrive, as its child has no number left for it."""

from __future__ import annotations

import asyncio
import select
from pathlib import Path

import psutil

from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from supervisor.artifacts import ArtifactDirectory
from supervisor.model import Job, Token
from supervisor.runner import Runner
from supervisor.settings import load
from tests.pools import OneChild


def test_the_next_job_of_a_child_that_leaks(tmp_path: Path) -> None:
    """A job left everything open: the next one ended as a crash of its own. It goes back uncharged, and finds another child."""
    store = ArtifactDirectory(tmp_path)
    store.prepare()
    job = Job("0190a1b2-0000-7000-8000-000000000001", Token(1, 1), "leak", "{}", "{}", None, None, "a", None)

    async def run() -> None:
        pool = OneChild(
            SandboxMode.BEST_EFFORT, RENDER_PLUGINS={"leak": "tests.kinds.lingering:leak"}, RENDER_ALLOW_NEEDS=""
        )
        try:
            await pool.start()
            runner = Runner(load({}), pool, store)
            outcomes = []
            children = set()
            for _ in range(3):
                child = await pool.taken("leak", "a")
                children.add(child.process.pid)
                ending = await runner.attempt(job, child)
                assert ending is not None
                outcomes.append(ending.outcome)
                assert "descriptor" in (ending.error or "descriptor")
                # One that goes on is stopped when it was idle for a while: the thread has done its work by then.
                while child.alive and psutil.Process(child.process.pid).status() != psutil.STATUS_STOPPED:
                    await asyncio.to_thread(select.poll().poll, 10)
            assert outcomes == [Outcome.OK, Outcome.INTERNAL, Outcome.OK]
            assert len(children) == 2
        finally:
            await pool.close()

    asyncio.run(run())
