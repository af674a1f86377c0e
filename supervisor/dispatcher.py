"""The dispatcher: acks and claims go to the database in one statement, claimed jobs go to free children.

Theory of operation. One loop owns the work connection and sends one statement at a time. It sleeps until there is
something to say or to ask: an attempt ended, a wake-up came while a child is free, a delayed job is due, progress moved
a second ago, or the fallback poll is due. While a statement is under way, what ends meanwhile gathers for the next: acks
and claims form batches under load, and an idle child is never kept waiting for one.

Where each claim stands, and why none is lost, is kept by the claims (supervisor/claims.py), and what is done with them is
for the attempts (supervisor/attempts.py); whether there may be work that we have not seen is the lookout's to know
(supervisor/lookout.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from supervisor.attempts import Attempts
from supervisor.errors import DatabaseUnreachable
from supervisor.isolation import isolate
from supervisor.link import Link
from supervisor.lookout import Lookout
from supervisor.model import Ack, Job
from supervisor.old_work import OldWork
from supervisor.pace import Pace
from supervisor.pool import Pool
from supervisor.report import Reporter
from supervisor.runner import Runner
from supervisor.settings import Settings
from supervisor.store.connection import DataRefused
from supervisor.store.exchange import Exchanged, Verdict
from supervisor.store.queue import QueueStore
from supervisor.timetable import NEVER, Timetable

log = structlog.get_logger()

_HUNG_SECONDS = 300.0
"""How long one turn may take. Its statements end within a minute each, by themselves or by the kernel's count (see
supervisor/store/connection.py); behind a pooler, where no such limit can be set, this is what ends a wait for nothing."""

_MANY_ACKS = 128
"""That are worth a statement at once: it is the server that has nothing to do while more of them gather."""


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
        self._report = report
        self._event = asyncio.Event()
        self._pace = Pace()
        self.attempts = Attempts(pool, runner, report, self._pace, self._changed)
        self._claims = self.attempts.claims
        self._lookout = Lookout(settings.polling_interval, settings.enable_events)
        self._draining = False
        self._nameless = False
        self._ask_now = False
        self._retell = False
        self._looks_soon = False
        self.old_work = OldWork()
        self._loop = asyncio.get_running_loop()
        self._due = Timetable()
        self._turn_since: float | None = None
        self.idle = asyncio.Event()
        """Set while nothing runs here and nothing is owed to the database."""

    # What the other parts call.

    def wake(self, payload: str) -> None:
        """Take a wake-up: there is work now, or (the payload is a time) there will be."""
        now = time.monotonic()
        self._lookout.wake(payload, now, self._store.clock.now(now))
        self._event.set()

    def poll_now(self) -> None:
        """Poll at the next turn: after a reconnect, much may have happened."""
        self._due.poll_at = 0.0
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
        self.attempts.closed = self._draining
        self._lookout.look = True
        self.poll_now()

    def child_is_free(self) -> None:
        """Take note that a child came up or finished."""
        self.attempts.start_soon()
        self._changed()

    def _changed(self) -> None:
        """Have the loop look, unless what it has to say gathers: then it looks in a moment anyway."""
        if time.monotonic() >= self._due.gather_until:
            self._event.set()
        elif not self._looks_soon:
            # Once for all that comes in one turn of the event loop.
            self._looks_soon = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._looks_soon = False
        if not self._gathers():
            self._event.set()

    def progress(self, job_id: str, fraction: float) -> None:
        """Take a child's progress; it is written at most once a second, with whatever else is written then."""
        if not self._claims.move(job_id, fraction):
            return
        if self._due.progress_soon(time.monotonic()):
            self._event.set()
        self._report.moved(job_id, fraction)

    def cancel_notice(self, job_id: str) -> None:
        """Take a notice that a job is cancelled: ask the database, whoever sent it. Anybody who can connect can notify."""
        if self._claims.is_unfinished(job_id):
            self._ask_now = True
            self._event.set()

    def settings_changed(self) -> None:
        """Go by the new settings from now on, and tell the database what it keeps of them."""
        self._lookout.polling_interval = self._settings.polling_interval
        self._retell = True
        self.poll_now()

    def drain(self) -> None:
        """Claim no more, and give back what has not started."""
        self._draining = True
        self._report.draining()
        self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        self.attempts.closed = True
        self._claims.give_up()
        self._event.set()

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many jobs are running, waiting for a child, and owed to the database."""
        return self._claims.counts

    def progress_of(self, job_id: str) -> float:
        """Return how far a job that runs here says that it is, from 0 to 1."""
        return max((running.attempt.progress for running in self._claims.attempts(job_id)), default=0.0)

    @property
    def makes_progress(self) -> bool:
        """Whether the loop sleeps, works, or waits for a connection; not whether it has been at one turn for ever."""
        return self._turn_since is None or time.monotonic() - self._turn_since < _HUNG_SECONDS

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
            self._turn_since = time.monotonic()
            try:
                await self._turn()
            except DatabaseUnreachable as error:
                self._turn_since = None
                self._report.serving(trouble="database away")
                await link.recover(error)
                # Claims whose answer was lost, and everything else that happened meanwhile, is found by a poll.
                self._lookout.look = True
                self.poll_now()
            else:
                self._turn_since = None
                link.works()
                self._report.serving()

    async def _sleep(self) -> None:
        """Wait for an event or for the next time that something is due."""
        wake_at = min(self._due.next, self._lookout.wake_at if self._capacity() else NEVER)
        if self._due.gather_until > time.monotonic():
            wake_at = min(wake_at, self._due.gather_until)
        # Unasked, the server says only that the session is at its end: a poll finds out, and does not wait for its time.
        with self._store.watched(self.poll_now), contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, wake_at - time.monotonic())):
                await self._event.wait()
        self._event.clear()

    async def _turn(self) -> None:
        now = time.monotonic()
        if self._retell:
            await self._store.retell()
            self._retell = False
        if now >= self._due.poll_at:
            await self._poll()
        self._lookout.tick(now)
        if self._due.stuck_is_due(now):
            self._claims.bring_back()
        if (
            self._ask_now
            or now >= self._due.progress_at
            or ((self._has_acks() or (self._lookout.look and self._capacity())) and not self._gathers())
        ):
            await self._exchange()

    def _gathers(self) -> bool:
        """Whether acks and claims wait for more of them, a moment: no child is free, and there is work in hand for all.

        Not where there are many already: it is the server that has nothing to do then.
        """
        ahead = self._pace.prefetch(self._settings.concurrency)
        return (
            time.monotonic() < self._due.gather_until
            and not self._pool.free
            and self._claims.owes < _MANY_ACKS
            and 2 * (len(self._claims.waiting) + self._pool.ahead) > ahead
        )

    def _has_acks(self) -> bool:
        """Whether there are acks to send: all that are owed, unless some were found locked a moment ago."""
        return self._claims.owes > 0 and not self._due.acks_are_held(time.monotonic())

    async def _poll(self) -> None:
        try:
            answer = await self.old_work.polled(
                lambda *, old: self._store.poll(list(self._pool.kinds), self._claims.known(), old=old)
            )
        except DataRefused as error:
            # Acks and claims do not need it: it is sent again when the next one is due.
            log.error("poll.refused", problem=error.cause)  # noqa: TRY400 - the server's words are all there is
            self._due.polled(time.monotonic(), self._settings.polling_interval, None)
            return
        now = time.monotonic()
        self._due.polled(now, self._settings.polling_interval, answer.look_again)
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
        acks = self._claims.owed() if self._has_acks() else []
        want = self._capacity() if self._lookout.may_bring(acks, limited=self._store.limited) else 0
        moved = self._claims.take_moved()
        self._ask_now = False
        question = self._lookout.ask(want)
        self._due.progress_at = NEVER
        started = time.monotonic()
        try:
            answer = await self._store.exchange(acks, moved, list(self._pool.kinds), want, question)
        except DataRefused as error:
            # What moved is not sent again: it may be what was refused, and there is newer soon.
            await self._exchange_apart(acks, error)
            return
        except DatabaseUnreachable:
            self._claims.put_back_moved(moved)
            raise
        now = time.monotonic()
        self._pace.exchange_took(now - started)
        self._due.gather_until = now + self._pace.gather(self._settings.concurrency)
        self._take(answer, want, started)

    async def _exchange_apart(self, acks: list[Ack], error: DataRefused) -> None:
        """Settle acks that were refused together with what was sent beside them, and claim nothing.

        Raises DatabaseUnreachable, and `error` where there were no acks: what was claimed is at fault, or what moved.
        """
        if not acks:
            raise error
        started = time.monotonic()
        isolated = await isolate(lambda some: self._store.exchange(some, {}, [], 0), acks, error)
        for ack in isolated.replaced:
            self._claims.replace(ack)
        for ack in isolated.stuck:
            self._claims.set_aside(ack)
        if isolated.stuck:
            self._due.retry_stuck(time.monotonic())
        elif not self._claims.stuck:
            self._due.release_stuck()
        self._lookout.look = True
        self._take(isolated.answer, 0, started)

    def _take(self, answer: Exchanged, want: int, asked: float) -> None:
        """Act on the answer of an exchange that was sent at `asked`.

        Where each claim stands is put right at once. What costs more, and nobody waits for, comes when the loop has nothing
        better to do: as a rule while the server works on the next exchange.
        """
        settled = [
            (*self._claims.settled(job_id, attempt), verdict)
            for job_id, attempt, verdict in self._settled(answer.verdicts)
        ]
        self.attempts.cancel(answer.cancelled)
        claimed = self.attempts.take(answer.claimed)
        if self._draining or self._nameless:
            self._give_up_waiting()
        self._lookout.learn(answer, want, time.monotonic(), asked)
        if self._pool.free:
            self.attempts.start_waiting()
        else:
            self.attempts.start_soon()
        self._loop.call_soon(self._tell, claimed, settled)
        if self._lookout.look and self._capacity():
            self._event.set()

    def _settled(self, verdicts: list[Verdict]) -> list[Verdict]:
        """Return the verdicts that settle an ack; one whose row is locked is sent again later."""
        settled = [verdict for verdict in verdicts if verdict.verdict != "locked"]
        if settled:
            self._due.release_acks()
        if len(settled) < len(verdicts):
            self._due.hold_acks(time.monotonic())
        return settled

    def _tell(self, claimed: list[Job], settled: list[tuple[Ack, Job, str]]) -> None:
        """Tell what was claimed, and what became of what was."""
        self._report.claimed(claimed)
        for ack, job, verdict in settled:
            self.attempts.settle(ack, job, verdict)
        self._report.settled(settled)

    def _capacity(self) -> int:
        """Return how many jobs to claim: one for each free child, and what all of them finish while a claim is made."""
        if self._draining or self._nameless:
            return 0
        ahead = self._pace.prefetch(self._settings.concurrency)
        return max(0, self._pool.free + ahead - len(self._claims.waiting) - self._pool.ahead)

    def _note_idle(self) -> None:
        running, waiting, owed = counts = self._claims.counts
        self._report.counts(counts)
        # What the database refuses in every form is no reason to wait with a stop: the next supervisor finds the job.
        if running or waiting or owed > (self._claims.stuck if self._draining else 0):
            self.idle.clear()
        else:
            self.idle.set()
