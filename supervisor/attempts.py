"""What a supervisor does with the claims that it has: gives them to children, kills what must end, settles what is over.

Where each claim stands is kept by the claims (supervisor/claims.py). Nothing here speaks to the database: what it must be
told is owed there, and `on_change` says that there may be something.

Jobs of a kind that takes a few milliseconds are given to a child several at once, so that it need not wait for us between
them. Should the one that it is at take longer after all, the others are taken back and go to another child. The first one
does them too when it gets to them, since nothing can be taken out of a pipe; that is some milliseconds of work lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from renderer.outcome import Outcome
from supervisor.attempt import Attempt
from supervisor.child import Child
from supervisor.claims import Claims, Running
from supervisor.model import Ack, Ending, Job
from supervisor.pace import Pace
from supervisor.pool import Pool
from supervisor.report import Reporter
from supervisor.runner import Runner

_STUCK = 0.05
"""Seconds that a job may take before those that its child holds beyond it are taken back."""
_FRESH = 0.01
"""Seconds that a job may have taken when its child is given another beyond it."""


class Attempts:
    """The attempts of one supervisor."""

    def __init__(self, pool: Pool, runner: Runner, report: Reporter, pace: Pace, on_change: Callable[[], None]) -> None:
        self.claims = Claims()
        self.closed = False
        """Nothing is started that has not begun: what a child hands back is given up."""
        self._pool = pool
        self._runner = runner
        self._report = report
        self._pace = pace
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._look: asyncio.TimerHandle | None = None
        self._starts_soon = False

    def take(self, claimed: list[Job]) -> list[Job]:
        """Take new claims; return those that were not here yet."""
        # A job that comes back under a new token was taken from us while we were stopped or cut off: what the old attempt
        # draws cannot count any more.
        for job, running in self.claims.running_of(claimed):
            if running.job.token.attempt != job.token.attempt:
                self._stop(running, Outcome.CANCELLED, "its lease was lost, and the job came back")
        unknown = self.claims.unknown_of(claimed)
        self.claims.waiting.extend(unknown)
        return unknown

    def start_soon(self) -> None:
        """Give what waits to children once all that has just come in is taken: what several answers free goes in one piece."""
        if not self._starts_soon and self.claims.waiting:
            self._starts_soon = True
            self._loop.call_soon(self.start_waiting)

    def start_waiting(self) -> None:
        """Give what waits to children, in order."""
        self._starts_soon = False
        waiting = self.claims.waiting
        given: set[Child] = set()
        while waiting:
            first = waiting[0]
            child, most = self._pool.take(first.kind, first.user_id), 1
            if child is None:
                child, most = self._busy_child(first)
            if child is None:
                break
            given.add(child)
            while most and waiting and waiting[0].kind == first.kind and waiting[0].user_id == first.user_id:
                most -= 1
                job = waiting.popleft()
                self._report.started(job, child.number)
                self.claims.start(self._runner.start(job, child, self.over), child)
        for child in given:
            child.flush()

    def _busy_child(self, job: Job) -> tuple[Child | None, int]:
        """Return a child that may hold this job beyond the one that it is at, and how many like it that one may be given."""
        most = self._pace.ahead(job.kind, writes=self._pool.kinds[job.kind].writes_output)
        child, room = self._pool.with_room(job.kind, job.user_id, most, _FRESH) if most else (None, 0)
        if child is not None and self._look is None:
            self._look = self._loop.call_later(_STUCK, self._look_for_stuck)
        return child, room

    def _look_for_stuck(self) -> None:
        """Take back what waits in a child behind a job that takes long; look again while any child holds something."""
        self._look = None
        held = [child for child in self._pool.children if child.ahead()]
        for child in held:
            if child.having is not None and child.having.seconds() >= _STUCK:
                for attempt in reversed(child.ahead()):
                    self._withdraw(attempt)
        if held:
            self._look = self._loop.call_later(_STUCK, self._look_for_stuck)
            self.start_waiting()

    def _withdraw(self, attempt: Attempt) -> None:
        attempt.withdrawn = True
        self._hand_back(attempt)

    def _hand_back(self, attempt: Attempt) -> None:
        """Have the job of an attempt that never began wait again."""
        self.claims.take_back(attempt)
        if self.closed:
            self.claims.give_up(attempt.job.id)
        self._on_change()

    def over(self, attempt: Attempt, ending: Ending | None) -> None:
        """Take it that an attempt is over, or that it never began."""
        if attempt.withdrawn:
            return
        if ending is None:
            self._hand_back(attempt)
            self.start_soon()
            return
        self._pace.job_took(attempt.job.kind, attempt.took)
        self.claims.end(attempt, ending)
        self._on_change()

    def _stop(self, running: Running, outcome: Outcome, reason: str) -> None:
        """Kill the child that is at an attempt; one that has not begun is taken back, and given up."""
        attempt = running.attempt
        if not running.child.abort(attempt, outcome, reason) and attempt in running.child.ahead():
            self._withdraw(attempt)
            self.claims.give_up(attempt.job.id)

    def cancel(self, job_ids: Iterable[str]) -> None:
        """Kill the children that are at these jobs, or give the jobs up before a child has them."""
        for job_id in job_ids:
            for running in self.claims.attempts(job_id):
                self._stop(running, Outcome.CANCELLED, "cancelled while it ran")
            self.claims.give_up(job_id)
            self._on_change()

    def settle(self, ack: Ack, job: Job, verdict: str) -> None:
        """Act on what the database made of an ack: an artifact that does not count is removed."""
        ending = ack.ending
        if ending is not None and ending.artifact is not None and verdict != "completed":
            self._runner.withdraw(job, ending.artifact)

    def kill_all(self, reason: str) -> None:
        """Kill every child that has a job; the jobs go back uncharged.

        Whatever job: a child may be at one that was taken back, or at a trial render, which are no claims of ours. With one of
        those before it, a claim is not what its child is at.
        """
        self.closed = True
        for child in self._held():
            child.kill(Outcome.INTERNAL, reason)

    def _held(self) -> list[Child]:
        return [child for child in self._pool.children if child.held]

    async def finished(self) -> None:
        """Wait until no attempt is under way; children that have one are killed.

        The wait is for the exit of a child that was killed, never for that of one that is held: that one may answer, be
        idle, and live for ever.
        """
        if self._look is not None:
            self._look.cancel()
        while held := self._held():
            for child in held:
                child.kill(Outcome.INTERNAL, "the supervisor ended")
            # Not gathered: that would cancel what tells of their ends, should this be cancelled.
            await asyncio.wait([child.process.exited for child in held], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)
        await self._runner.published()

    def unfinished(self) -> str:
        """Say what `finished` waits for."""
        children = [f"child {child.number} (process {child.process.pid}) to end" for child in self._held()]
        return ", ".join([*children, *self._runner.unpublished()]) or "attempts to be settled"

    def let_go(self) -> None:
        """Wait no longer for what `finished` waits for: its jobs go back uncharged.

        A child that was killed and is not told to have ended goes with the fork server, which may be what hangs.
        """
        if self._held():
            self._pool.cut_short("it must report the end of children that were killed; it does not")
        self._runner.give_up()
