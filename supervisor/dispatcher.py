"""The dispatcher: acks and claims go to the database in one statement, claimed jobs go to free children.

Theory of operation. One loop owns the work connection and sends one statement at a time. It sleeps until there is
something to say or to ask: an attempt ended, a wake-up came while a child is free, a delayed job is due, progress moved
a second ago, or the fallback poll is due. While a statement is under way, what ends meanwhile gathers for the next: acks
and claims form batches under load, and an idle child is never kept waiting for one.

Where each claim stands, and why none is lost, is kept by the claims (supervisor/claims.py); whether there may be work that
we have not seen is the lookout's to know (supervisor/lookout.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from renderer.outcome import Outcome
from supervisor.child import Child
from supervisor.claims import Claims
from supervisor.errors import DatabaseUnreachable
from supervisor.link import Link
from supervisor.lookout import Lookout
from supervisor.model import Ack, Job
from supervisor.pool import Pool
from supervisor.report import Reporter
from supervisor.runner import Runner
from supervisor.settings import Settings
from supervisor.store.queue import Exchanged, QueueStore, Verdict

log = structlog.get_logger()

_PROGRESS_INTERVAL = 1.0
_LOCKED_RETRY = (0.01, 0.5)
"""Seconds before an ack is sent again whose row somebody holds locked, at first and at most: another supervisor does for
a moment, a client for as long as its transaction takes."""
_MOST_PREFETCH = 64
_NEVER = float("inf")


class Dispatcher:
    """The loop of one supervisor."""

    def __init__(
        self,
        settings: Settings,
        store: QueueStore,
        pool: Pool,
        runner: Runner,
        report: Reporter,
    ) -> None:
        self._settings = settings
        self._store = store
        self._pool = pool
        self._runner = runner
        self._report = report
        self._claims = Claims()
        self._event = asyncio.Event()
        self._lookout = Lookout(settings.polling_interval, settings.enable_events)
        self._draining = False
        self._nameless = False
        self._ask_now = False
        self._poll_at = 0.0
        self._progress_at = _NEVER
        self._acks_at = _NEVER
        self._locked_seconds = _LOCKED_RETRY[0]
        self._job_seconds = 0.0
        self._exchange_seconds = 0.005
        self.idle = asyncio.Event()
        """Set while nothing runs here and nothing is owed to the database."""

    # What the other parts call.

    def wake(self, payload: str) -> None:
        """Take a wake-up: there is work now, or (the payload is a time) there will be."""
        self._lookout.wake(payload, time.monotonic(), time.time())
        self._event.set()

    def poll_now(self) -> None:
        """Poll at the next turn: after a reconnect, much may have happened."""
        self._poll_at = 0.0
        self._event.set()

    def name_lost(self) -> None:
        """Claim nothing: to the others we look dead, and what we claimed now they would take from us, as lost again.

        What has not started goes back, as does what a claim that is under way still brings.
        """
        self._nameless = True
        self._give_up_waiting()

    def name_held(self) -> None:
        """Claim again, and look for what was said meanwhile. The poll tells the others first that we live."""
        self._nameless = False
        self._lookout.look = True
        self.poll_now()

    def child_is_free(self) -> None:
        """Take note that a child came up or finished."""
        self._start_waiting()
        self._event.set()

    def progress(self, job_id: str, fraction: float) -> None:
        """Take a child's progress; it is written at most once a second, with whatever else is written then."""
        if not self._claims.move(job_id, fraction):
            return
        if self._progress_at == _NEVER:
            self._progress_at = time.monotonic() + _PROGRESS_INTERVAL
            self._event.set()
        self._report.moved(job_id, fraction)

    def cancel_notice(self, job_id: str) -> None:
        """Take a notice that a job is cancelled: ask the database, whoever sent it. Anybody who can connect can notify."""
        if self._claims.is_unfinished(job_id):
            self._ask_now = True
            self._event.set()

    def cancel(self, job_id: str) -> None:
        """Kill the child that has the job, or give the job up before a child has it."""
        for running in self._claims.attempts(job_id):
            running.child.abort(job_id, Outcome.CANCELLED, "cancelled while it ran")
        self._claims.give_up(job_id)
        self._event.set()

    def drain(self) -> None:
        """Claim no more, and give back what has not started."""
        self._draining = True
        self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        self._claims.give_up()
        self._event.set()

    def kill_all(self, reason: str) -> None:
        """Kill every child that has a job; the jobs go back uncharged."""
        for running in self._claims.running():
            running.child.abort(running.job.id, Outcome.INTERNAL, reason)

    async def finished(self) -> None:
        """Wait until no attempt is under way, its children having been killed."""
        await asyncio.gather(*(running.task for running in self._claims.running()), return_exceptions=True)

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many jobs are running, waiting for a child, and owed to the database."""
        return self._claims.counts

    # The loop.

    async def serve(self, link: Link) -> None:
        """Work for ever. `link` is the work connection's circuit.

        While it is open nothing is claimed, since this loop is what claims. So what waits in memory is bounded: each job
        that was claimed before ends in one ack, and those are at most as many as there are children and prefetched jobs;
        besides, what one poll found to rescue, at most a thousand.
        """
        while True:
            self._note_idle()
            await self._sleep()
            try:
                await self._turn()
            except DatabaseUnreachable as error:
                await link.recover(error)
                # Claims whose answer was lost, and everything else that happened meanwhile, is found by a poll.
                self._lookout.look = True
                self.poll_now()
            else:
                link.works()

    async def _sleep(self) -> None:
        """Wait for an event or for the next time that something is due."""
        wake_at = min(
            self._poll_at,
            self._progress_at,
            self._acks_at,
            self._lookout.wake_at if self._capacity() else _NEVER,
        )
        # Unasked, the server says only that the session is at its end: a poll finds out, and does not wait for its time.
        with self._store.watched(self.poll_now), contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, wake_at - time.monotonic())):
                await self._event.wait()
        self._event.clear()

    async def _turn(self) -> None:
        now = time.monotonic()
        if now >= self._poll_at:
            await self._poll()
        self._lookout.tick(now)
        if self._sendable() or self._ask_now or (self._lookout.look and self._capacity()) or now >= self._progress_at:
            await self._exchange()

    def _sendable(self) -> list[Ack]:
        """Return the acks to send: all, unless some were found locked a moment ago."""
        if self._acks_at != _NEVER and time.monotonic() < self._acks_at:
            return []
        self._acks_at = _NEVER
        return self._claims.owed()

    async def _poll(self) -> None:
        answer = await self._store.poll(list(self._pool.kinds), self._claims.known())
        now = time.monotonic()
        self._poll_at = now + min(
            self._settings.polling_interval, _NEVER if answer.look_again is None else max(0.1, answer.look_again)
        )
        self._lookout.learn_poll(answer, now)
        self._report.polled(answer.figures)
        if not answer.registered:
            log.warning("supervisor.was_forgotten", name=self._store.name)
            await self._store.register(self._pool.kinds)
        for ack in (*answer.lost, *answer.unknown):
            job = answer.jobs[ack.job_id]
            self._report.found(job, lost=ack.ending is not None)
            self._claims.owe(ack, job)

    async def _exchange(self) -> None:
        want = self._capacity()
        acks = self._sendable()
        moved = self._claims.take_moved()
        self._ask_now = False
        question = self._lookout.ask(want)
        self._progress_at = _NEVER
        started = time.monotonic()
        try:
            answer = await self._store.exchange(
                acks,
                moved,
                list(self._pool.kinds),
                want,
                cursor=question.cursor,
                below=question.below,
                arm=question.arm,
            )
        except DatabaseUnreachable:
            self._claims.put_back_moved(moved)
            raise
        self._exchange_seconds += 0.2 * (time.monotonic() - started - self._exchange_seconds)
        self._take(answer, want)

    def _take(self, answer: Exchanged, want: int) -> None:
        """Act on the answer of an exchange."""
        for verdict in answer.verdicts:
            self._settle(verdict)
        for job_id in answer.cancelled:
            self.cancel(job_id)
        self._kill_superseded(answer.claimed)
        for job in self._claims.unknown_of(answer.claimed):
            self._report.claimed(job)
            self._claims.waiting.append(job)
        if self._draining or self._nameless:
            self._give_up_waiting()
        self._lookout.learn(answer, want, time.monotonic())
        self._start_waiting()
        if self._lookout.look and self._capacity():
            self._event.set()

    def _kill_superseded(self, claimed: list[Job]) -> None:
        """Kill the children that have an older attempt of a job that we claim.

        It was taken from us while we were stopped or cut off, and has come back under a new token: what the old attempt
        draws cannot count any more.
        """
        for job in claimed:
            for running in self._claims.attempts(job.id):
                if running.job.token.attempt != job.token.attempt:
                    running.child.kill(Outcome.CANCELLED, "its lease was lost, and the job came back")

    def _capacity(self) -> int:
        """Return how many jobs to claim: one for each free child, and what all of them finish while a claim is made."""
        if self._draining or self._nameless:
            return 0
        prefetch = 0
        if self._job_seconds:
            rate = self._settings.concurrency / self._job_seconds
            prefetch = min(_MOST_PREFETCH, int(2 * self._exchange_seconds * rate))
        return max(0, self._pool.free + prefetch - len(self._claims.waiting))

    def _start_waiting(self) -> None:
        waiting = self._claims.waiting
        while waiting:
            job = waiting[0]
            child = self._pool.take(job.kind)
            if child is None:
                return
            waiting.popleft()
            child.reserved_for = job.id
            self._claims.start(job, child, asyncio.create_task(self._run(job, child)))

    async def _run(self, job: Job, child: Child) -> None:
        self._report.started(job, child.number)
        ending = await self._runner.attempt(job, child)
        self._job_seconds += 0.2 * (ending.finished - ending.started - self._job_seconds)
        self._claims.end(job, ending)
        self._event.set()

    def _settle(self, verdict: Verdict) -> None:
        """Act on what the database made of an ack."""
        if verdict.verdict == "locked":
            self._acks_at = time.monotonic() + self._locked_seconds
            self._locked_seconds = min(2 * self._locked_seconds, _LOCKED_RETRY[1])
            return
        self._locked_seconds = _LOCKED_RETRY[0]
        ack, job = self._claims.settled(verdict.job_id, verdict.attempt)
        ending = ack.ending
        if ending is not None and ending.artifact is not None and verdict.verdict != "completed":
            self._runner.withdraw(job, ending.artifact)
        self._report.settled(job, verdict.verdict, ending)

    def _note_idle(self) -> None:
        if any(self._claims.counts):
            self.idle.clear()
        else:
            self.idle.set()
