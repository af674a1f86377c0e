"""A pool of one real child, and one job rendered in it, without a database."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from typing import Any

from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from supervisor.child import Child, Limits
from supervisor.classify import classify
from supervisor.model import Job, Token
from supervisor.pool import Pool
from supervisor.settings import load

LIMITS = Limits(timeout=60, cpu=70, memory=256 * 1024 * 1024, output=5_000_000)


async def render(pool: Pool, kind: str, spec: dict[str, Any]) -> tuple[Child, dict[str, Any]]:
    """Render one job in a child of the pool; return the child, which is not given back, and its report."""
    child = pool.take(kind)
    assert child is not None
    job = Job("j1", Token(1, 1), kind, json.dumps(spec), "{}", None, None, None, None)
    with tempfile.TemporaryFile() as output:
        seen = await child.render(job, LIMITS, output.fileno())
        assert classify(seen)[0] is Outcome.OK, seen
        output.seek(0)
        return child, json.loads(output.read())


def with_pool(mode: SandboxMode, work: Callable[[Pool], Any]) -> Any:
    """Run `await work(pool)` with a pool of one child."""

    async def run() -> Any:
        plugins = {name: f"tests.kinds.inside:{name}" for name in ("report", "leave_grandchild")}
        settings = load({"RENDER_PLUGINS": plugins, "RENDER_SANDBOX": mode, "RENDER_CONCURRENCY": 1})
        pool = Pool(settings, lambda: None, lambda _job, _fraction: None)
        try:
            await pool.start()
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(run())
