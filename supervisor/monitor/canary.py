"""The canary: a small render through a child and to the artifacts' store, when nobody's job has proven lately that it works.

Run when somebody asks for the health, not by a clock: an idle night that nobody watches renders nothing. It touches no
database. A job that went well in the last minute is proof enough.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass

from renderer.outcome import Outcome
from supervisor.model import Job, Token
from supervisor.monitor.figures import Figures
from supervisor.pool import Pool
from supervisor.runner import Runner

PROOF_SECONDS = 60.0
"""How long a render that went well is proof."""
_SECONDS = 20.0
"""The canary's own time limit; it takes some milliseconds."""

_DRAWING = '{"svg": "<svg xmlns=\\"http://www.w3.org/2000/svg\\" width=\\"8\\" height=\\"8\\"><path d=\\"M0 0h8v8z\\"/></svg>"}'
_SPECS = {"svg": _DRAWING, "noop": "{}"}
"""Kind → the spec to try it with; the first that is there is tried."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of whether renders work."""

    works: bool
    found: str


class Canary:
    """Proves that renders work. Callers at the same time share one render."""

    def __init__(self, pool: Pool, runner: Runner, figures: Figures) -> None:
        self._pool = pool
        self._runner = runner
        self._figures = figures
        self._trying: asyncio.Task[Proof] | None = None
        self._count = 0

    async def prove(self) -> Proof:
        """Return the proof that there is, or try."""
        proven = self._figures.proven_at
        if proven is not None and time.monotonic() - proven < PROOF_SECONDS:
            return Proof(works=True, found=f"a render went well {time.monotonic() - proven:.0f} s ago")
        if self._trying is None or self._trying.done():
            self._trying = asyncio.create_task(self._try(), name="canary")
        return await asyncio.shield(self._trying)

    async def _try(self) -> Proof:
        kind = next((kind for kind in _SPECS if kind in self._pool.kinds), None)
        if kind is None:
            return Proof(works=False, found=f"none of the kinds {', '.join(_SPECS)} can be rendered here")
        child = self._pool.take(kind)
        if child is None:
            # Each of them is held to its job's time, and killed: that nothing is free is no fault by itself.
            busy = self._pool.busy
            return Proof(works=busy > 0, found=f"{busy} children have a job, none is free for a trial")
        self._count += 1
        job = Job(
            id=str(uuid.uuid4()),
            token=Token(0, self._count),
            kind=kind,
            spec=_SPECS[kind],
            config="{}",
            timeout=_SECONDS,
            memory_mb=None,
            user_id=None,
            correlation_id="canary",
        )
        ending = await self._runner.attempt(job, child)
        if ending is None:
            return Proof(works=False, found="the child of a trial render ended before it began")
        if ending.artifact is not None:
            self._runner.withdraw(job, ending.artifact)
        if ending.outcome is not Outcome.OK:
            return Proof(works=False, found=f"a trial render ended as {ending.outcome.value}: {ending.error}")
        self._figures.proven_at = ending.finished
        return Proof(works=True, found=f"a trial render of kind {kind} went well")

    async def close(self) -> None:
        """End a trial that is under way; its child is the pool's to end."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)
