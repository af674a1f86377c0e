"""What a supervisor does with the claims that it has: gives them to free children, kills what must end, settles what is over.

Where each claim stands is kept by the claims (supervisor/claims.py). Nothing here speaks to the database: what it must be
told is owed there, and `on_change` says that there may be something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from renderer.outcome import Outcome
from supervisor.child import Child
from supervisor.claims import Claims
from supervisor.model import Job
from supervisor.pace import Pace
from supervisor.pool import Pool
from supervisor.report import Reporter
from supervisor.runner import Runner
from supervisor.store.queue import Verdict


class Attempts:
    """The attempts of one supervisor."""

    def __init__(self, pool: Pool, runner: Runner, report: Reporter, pace: Pace, on_change: Callable[[], None]) -> None:
        self.claims = Claims()
        self._pool = pool
        self._runner = runner
        self._report = report
        self._pace = pace
        self._on_change = on_change

    def take(self, claimed: list[Job]) -> None:
        """Take new claims."""
        # A job that comes back under a new token was taken from us while we were stopped or cut off: what the old attempt
        # draws cannot count any more.
        for job in claimed:
            for running in self.claims.attempts(job.id):
                if running.job.token.attempt != job.token.attempt:
                    running.child.kill(Outcome.CANCELLED, "its lease was lost, and the job came back")
        for job in self.claims.unknown_of(claimed):
            self._report.claimed(job)
            self.claims.waiting.append(job)

    def start_waiting(self) -> None:
        """Give what waits to free children, in order."""
        waiting = self.claims.waiting
        while waiting:
            job = waiting[0]
            child = self._pool.take(job.kind, job.user_id)
            if child is None:
                return
            waiting.popleft()
            child.reserved_for = job.id
            self.claims.start(job, child, asyncio.create_task(self._run(job, child)))

    async def _run(self, job: Job, child: Child) -> None:
        self._report.started(job, child.number)
        ending = await self._runner.attempt(job, child)
        self._pace.job_took(ending.finished - ending.started)
        self.claims.end(job, ending)
        self._on_change()

    def cancel(self, job_ids: Iterable[str]) -> None:
        """Kill the children that have these jobs, or give the jobs up before a child has them."""
        for job_id in job_ids:
            for running in self.claims.attempts(job_id):
                running.child.abort(job_id, Outcome.CANCELLED, "cancelled while it ran")
            self.claims.give_up(job_id)
            self._on_change()

    def settle(self, verdict: Verdict) -> None:
        """Act on what the database made of an ack."""
        ack, job = self.claims.settled(verdict.job_id, verdict.attempt)
        ending = ack.ending
        if ending is not None and ending.artifact is not None and verdict.verdict != "completed":
            self._runner.withdraw(job, ending.artifact)
        self._report.settled(job, verdict.verdict, ending)

    def kill_all(self, reason: str) -> None:
        """Kill every child that has a job; the jobs go back uncharged."""
        for running in self.claims.running():
            running.child.abort(running.job.id, Outcome.INTERNAL, reason)

    async def finished(self) -> None:
        """Wait until no attempt is under way, its children having been killed."""
        await asyncio.gather(*(running.task for running in self.claims.running()), return_exceptions=True)
