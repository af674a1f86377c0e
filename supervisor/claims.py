"""The claims that a supervisor has, and where each of them stands.

From its claim on, a job is in exactly one place: `waiting` (claimed, not started), running (a child has it), or owed (over,
or never started, and the database does not know yet). It leaves only when the database has answered with a verdict. So
when the connection dies in mid-statement what is owed is still there and is sent again; and a claim whose answer was lost
is found by the next poll, since it is in none of the three, and is given back.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from dataclasses import dataclass

from supervisor.attempt import Attempt
from supervisor.child import Child
from supervisor.model import Ack, Ending, Job, Token
from supervisor.store.queue_rows import ack_text


@dataclass(slots=True)
class Running:
    """An attempt that a child was given, and is not over."""

    attempt: Attempt
    child: Child

    @property
    def job(self) -> Job:
        """Its job."""
        return self.attempt.job


class Claims:
    """All claims of one supervisor.

    Keyed by job and attempt: a job may be here twice, under the token that it was taken from us with, and a new one.
    """

    def __init__(self) -> None:
        self.waiting: collections.deque[Job] = collections.deque()
        self._running: dict[tuple[str, int], Running] = {}
        self._owed: dict[tuple[str, int], tuple[Ack, Job]] = {}
        self._stuck: dict[tuple[str, int], tuple[Ack, Job]] = {}
        self._moved: dict[tuple[str, Token], float] = {}

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many jobs are running, waiting for a child, and owed to the database."""
        return len(self._running), len(self.waiting), len(self._owed) + len(self._stuck)

    def known(self) -> list[tuple[str, Token]]:
        """Return every claim, wherever it stands."""
        jobs = [*self.waiting, *(running.job for running in self._running.values())]
        acks = [ack for ack, _ in (*self._owed.values(), *self._stuck.values())]
        return [*((job.id, job.token) for job in jobs), *((ack.job_id, ack.token) for ack in acks)]

    def unknown_of(self, claimed: Sequence[Job]) -> list[Job]:
        """Return those of some claims that are not here yet.

        After a failover that forgot that a job was claimed, it comes back under the token that it has here.
        """
        waiting = {(job.id, job.token.attempt) for job in self.waiting}
        return [
            job
            for job in claimed
            if (key := (job.id, job.token.attempt)) not in self._running
            and key not in self._owed
            and key not in self._stuck
            and key not in waiting
        ]

    def running(self) -> list[Running]:
        """Return the attempts that children have."""
        return list(self._running.values())

    def running_of(self, jobs: Sequence[Job]) -> list[tuple[Job, Running]]:
        """Return the attempts at some jobs that run here already, each with its job as it is given."""
        here = {job_id for job_id, _ in self._running}
        return [(job, running) for job in jobs if job.id in here for running in self.attempts(job.id)]

    def attempts(self, job_id: str) -> list[Running]:
        """Return the attempts of a job that run here, the newest last: as a rule one."""
        return [running for (running_id, _), running in self._running.items() if running_id == job_id]

    def is_unfinished(self, job_id: str) -> bool:
        """Whether a job waits or runs here."""
        return bool(self.attempts(job_id)) or any(job.id == job_id for job in self.waiting)

    def start(self, attempt: Attempt, child: Child) -> None:
        """Take it that a child was given the attempt."""
        job = attempt.job
        self._running[job.id, job.token.attempt] = Running(attempt, child)

    def end(self, attempt: Attempt, ending: Ending) -> None:
        """Take it that the attempt is over, and owe its ending."""
        job = attempt.job
        del self._running[job.id, job.token.attempt]
        ending.progress = attempt.progress
        self._moved.pop((job.id, job.token), None)
        self.owe(Ack(job.id, job.token, ending, ack_text(job.id, job.token, ending)), job)

    def take_back(self, attempt: Attempt) -> None:
        """Take it that the attempt never began: its job is the first of those that wait."""
        job = attempt.job
        del self._running[job.id, job.token.attempt]
        self.waiting.appendleft(job)

    def give_up(self, job_id: str | None = None) -> None:
        """Owe back, as never started, what waits: all of it, or one job."""
        for job in [job for job in self.waiting if job_id in {None, job.id}]:
            self.waiting.remove(job)
            self.owe(Ack(job.id, job.token, None), job)

    def owe(self, ack: Ack, job: Job) -> None:
        """Take note of what the database must be told."""
        self._owed[ack.job_id, ack.token.attempt] = (ack, job)

    @property
    def stuck(self) -> int:
        """How many acks are set aside."""
        return len(self._stuck)

    def set_aside(self, ack: Ack) -> None:
        """Send an ack no more until `bring_back`: the database refuses it, and what is sent beside it."""
        key = ack.job_id, ack.token.attempt
        self._stuck[key] = self._owed.pop(key)

    def bring_back(self) -> None:
        """Have what was set aside sent again."""
        self._owed |= self._stuck
        self._stuck.clear()

    def replace(self, ack: Ack) -> None:
        """Owe another ack in place of the one of the same claim."""
        _, job = self._owed[ack.job_id, ack.token.attempt]
        self.owe(ack, job)

    def owed(self) -> list[Ack]:
        """Return what the database must be told."""
        return [ack for ack, _ in self._owed.values()]

    @property
    def owes(self) -> int:
        """How many acks the database must be told."""
        return len(self._owed)

    def settled(self, job_id: str, attempt: int) -> tuple[Ack, Job]:
        """Forget what the database has answered; return it."""
        return self._owed.pop((job_id, attempt))

    def move(self, job_id: str, fraction: float) -> bool:
        """Take note of a running job's progress; False when it did not move."""
        running = next(reversed(self.attempts(job_id)), None)
        if running is None or fraction <= running.attempt.progress:
            return False
        running.attempt.progress = fraction
        self._moved[job_id, running.job.token] = fraction
        return True

    def take_moved(self) -> dict[tuple[str, Token], float]:
        """Return the progress that is not written yet, and take it as written."""
        moved, self._moved = self._moved, {}
        return moved

    def put_back_moved(self, moved: dict[tuple[str, Token], float]) -> None:
        """Take back progress that could not be written."""
        self._moved = moved | self._moved
