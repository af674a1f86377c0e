"""A pool of one real child, of a real fork server, in its sandbox; it renders one case after the other."""

from __future__ import annotations

import asyncio
import tempfile
from types import TracebackType
from typing import Self

from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from supervisor.attempt import Limits
from supervisor.child import Child
from supervisor.classify import classify
from supervisor.model import Job, Token
from tests.fuzz.case import Case, Seen
from tests.pools import OneChild, attempt

LIMITS = Limits(timeout=10, cpu=12, memory=256 * 1024 * 1024, output=64 * 1024 * 1024)


class Bench:
    """Use it with `with`. A loop of its own, which runs only while a case does."""

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self._runner.run(self._open())
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._runner.run(self._pool.close())
        self._runner.close()

    async def _open(self) -> None:
        self._pool = OneChild(SandboxMode.REQUIRED)
        await self._pool.start()

    def run(self, case: Case, *, last: bool = False) -> Seen:
        """Render a case; with `last` its child is ended after it, and the next case meets a fresh one."""
        return self._runner.run(self._run(case, last=last))

    async def _run(self, case: Case, *, last: bool) -> Seen:
        child = await self._pool.taken(case.kind)
        seen = await _render(child, case)
        self._pool.give_back(child, case.kind, Outcome.CANCELLED if last else seen.outcome)
        return seen


async def _render(child: Child, case: Case) -> Seen:
    job = Job("fuzz", Token(1, 1), case.kind, case.spec, case.config, None, None, None, None)
    with tempfile.TemporaryFile() as output:
        observed = await attempt(child, job, output.fileno(), LIMITS)
        assert observed is not None
        outcome, message = classify(observed)
        content_type = str((observed.reply or {}).get("content_type", ""))
        output.seek(0)
        return Seen(outcome, message or "", observed.cpu_seconds or 0.0, content_type, output.read())
