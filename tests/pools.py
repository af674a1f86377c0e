"""A pool of one real child, and one job rendered in it, without a database."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from typing import Any

from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from supervisor.attempt import Attempt, Limits
from supervisor.child import Child
from supervisor.classify import Observation, classify
from supervisor.model import Job, Token
from supervisor.pool import Pool
from supervisor.settings import load

LIMITS = Limits(timeout=60, cpu=70, memory=256 * 1024 * 1024, output=5_000_000)


class OneChild(Pool):
    """A pool of one child that can be waited for."""

    def __init__(self, mode: SandboxMode, **more: object) -> None:
        self.freed = asyncio.Event()
        """Set when a child came up or came back."""
        settings = load(
            {
                "RENDER_PLUGINS": {name: f"tests.kinds.inside:{name}" for name in ("report", "leave_grandchild")},
                "RENDER_ALLOW_NEEDS": "leave_grandchild:subprocesses",
                "RENDER_SANDBOX": mode,
                "RENDER_CONCURRENCY": 1,
            }
            | more
        )
        super().__init__(settings, self.freed.set, lambda _job, _fraction: None)

    @property
    def idle_children(self) -> int:
        """How many children wait for a job."""
        return len(self._idle)

    async def taken(self, kind: str, tenant: str | None = None) -> Child:
        """Return a child for a tenant's job of the kind, when there is one."""
        while (child := self.take(kind, tenant)) is None:
            self.freed.clear()
            await self.freed.wait()
        return child


async def attempt(child: Child, job: Job, output: int, limits: Limits = LIMITS) -> Observation | None:
    """Have a child try a job, and write to a descriptor; return what was seen, or None when it never began."""
    over: asyncio.Future[Observation | None] = asyncio.get_running_loop().create_future()
    child.give(Attempt(job, limits, output, lambda _, seen: over.set_result(seen)))
    child.flush()
    return await over


async def render(pool: OneChild, kind: str, spec: dict[str, Any]) -> tuple[Child, dict[str, Any]]:
    """Render one job in a child of the pool; return the child, which is not given back, and its report."""
    child, artifact = await draw(pool, kind, spec)
    return child, json.loads(artifact)


async def draw(pool: OneChild, kind: str, spec: dict[str, Any]) -> tuple[Child, bytes]:
    """Render one job in a child of the pool; return the child, which is not given back, and what it wrote."""
    child = await pool.taken(kind)
    job = Job("j1", Token(1, 1), kind, json.dumps(spec), "{}", None, None, None, None)
    with tempfile.TemporaryFile() as output:
        seen = await attempt(child, job, output.fileno())
        assert seen is not None
        assert classify(seen)[0] is Outcome.OK, seen
        output.seek(0)
        return child, output.read()


def with_pool(mode: SandboxMode, work: Callable[[OneChild], Any]) -> Any:
    """Run `await work(pool)` with a pool of one child."""

    async def run() -> Any:
        pool = OneChild(mode)
        try:
            await pool.start()
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(run())
