"""What is told of jobs: to the log, to the figures, and to whoever watches from this process."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import structlog

from supervisor.log import tells
from supervisor.model import Ack, Ending, Job
from supervisor.monitor.figures import Figures
from supervisor.monitor.traces import NoTraces, Traces
from supervisor.status import StatusLine
from supervisor.store.queue_rows import QueueFigures

log = structlog.get_logger()

_GOOD = frozenset({"completed", "cancelled"})
_EVENTS = {"completed": "job.completed", "cancelled": "job.cancelled", "failed": "job.failed"}


class Observer(Protocol):
    """Who wants to know what becomes of jobs, in this process: the `demo` and `render` commands."""

    def job_moved(self, job_id: str, fraction: float) -> None:
        """Take a job's progress, from 0 to 1."""

    def job_settled(self, job_id: str, verdict: str, ending: Ending | None) -> None:
        """Take note that the database knows an attempt's end; `verdict` as in `Verdict`."""


class Reporter:
    """Tells what happens to jobs."""

    def __init__(self, figures: Figures, observer: Observer | None) -> None:
        self._figures = figures
        self.traces: Traces = NoTraces()
        self._observer = observer
        self._status = StatusLine()

    def serving(self, *, trouble: str | None = None) -> None:
        """Tell that all is well, or what is not."""
        self._status.state(trouble or "serving")

    def draining(self) -> None:
        """Tell that no more is claimed."""
        self._status.drains()

    def counts(self, counts: tuple[int, int, int]) -> None:
        """Tell how many jobs run, wait for a child, and are owed to the database."""
        self._status.counts(counts)

    def claimed(self, jobs: Sequence[Job]) -> None:
        """Tell that jobs are ours."""
        self._figures.claimed(jobs)

    def polled(self, queue: QueueFigures) -> None:
        """Tell what a poll found the queue to be like."""
        self._figures.polled(queue)

    def started(self, job: Job, child: int) -> None:
        """Tell that a child has a job."""
        if tells(logging.DEBUG):
            log.debug("job.started", child=child, **_about(job))

    def found(self, job: Job, *, lost: bool) -> None:
        """Tell of a claim that a poll found: its supervisor is gone, or it is ours and we do not have it."""
        log.warning("job.rescued" if lost else "claim.given_back", **_about(job))

    def moved(self, job_id: str, fraction: float) -> None:
        """Tell of a job's progress."""
        if self._observer is not None:
            self._observer.job_moved(job_id, fraction)

    def settled(self, settled: Sequence[tuple[Ack, Job, str]]) -> None:
        """Tell what the database made of the ends of claims, each with its verdict."""
        self._figures.settled(settled)
        self._status.ended(Counter("retried" if verdict == "queued" else verdict for _, _, verdict in settled))
        logs_good = tells(logging.INFO)
        for (_, _, ending, _), job, verdict in settled:
            if verdict == "lease_lost":
                log.warning("job.lease_lost", **_about(job))
            elif ending is not None:
                self.traces.attempt(job, verdict, ending)
                good = verdict in _GOOD
                if logs_good or (not good and tells(logging.WARNING)):
                    log.log(
                        logging.INFO if good else logging.WARNING,
                        _EVENTS.get(verdict, "job.retried"),
                        outcome=ending.outcome.value,
                        error=ending.error,
                        seconds=round(ending.finished - ending.started, 3),
                        **_about(job),
                    )
            if self._observer is not None:
                self._observer.job_settled(job.id, verdict, ending)


def _about(job: Job) -> dict[str, object]:
    """Return what every log line of a job carries."""
    return {
        "job_id": job.id,
        "attempt": job.token.attempt,
        "kind": job.kind,
        "user_id": job.user_id,
        "correlation_id": job.correlation_id,
    }
