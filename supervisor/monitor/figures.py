"""The figures: what the parts of the supervisor tell as it happens, kept for whoever asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from renderer.outcome import Outcome
from supervisor.model import Ack, Job
from supervisor.monitor.metrics import Metrics
from supervisor.monitor.recent import Recent
from supervisor.store.queue_rows import QueueFigures

_NOT_COUNTED = frozenset({Outcome.CANCELLED, Outcome.INVALID, Outcome.LOST})
"""Outcomes that say nothing of how well renders go here: somebody cancelled, or sent what can never work, or another died."""


class Figures:
    """One supervisor's figures. Every method is cheap: it stands on the path of each job."""

    def __init__(self) -> None:
        self.started = time.time()
        self.metrics = Metrics()
        self.recent = Recent()
        self.queue = QueueFigures()
        self.polled_at: float | None = None
        """When `queue` was told, of the monotonic clock."""
        self.proven_at: float | None = None
        """When a render last went well, of the monotonic clock."""
        self.settled_claims = 0
        """How many claims ended; who keeps the last number sees whether anything happened since."""
        self.on_event: Callable[[], None] = lambda: None
        """Called when anything below was told."""

    def claimed(self, jobs: Sequence[Job]) -> None:
        """Take note of claims."""
        if not jobs:
            return
        self.metrics.claimed(jobs)
        self.recent.claimed(len(jobs), sum(job.waited for job in jobs), time.monotonic())
        self.on_event()

    def settled(self, settled: Sequence[tuple[Ack, Job, str]]) -> None:
        """Take note of what the database made of the ends of claims, each with its verdict."""
        if not settled:
            return
        self.metrics.settled(settled)
        self.settled_claims += len(settled)
        self.on_event()
        now = time.monotonic()
        for (_, _, ending, _), job, verdict in settled:
            if ending is None or verdict == "lease_lost":
                continue
            outcome = ending.outcome
            if outcome is Outcome.OK:
                self.proven_at = ending.finished
            elif outcome is Outcome.INTERNAL:
                # Ours to answer for (a disk that is full, a sandbox that fails): what went well before proves nothing any more.
                self.proven_at = None
            if outcome not in _NOT_COUNTED:
                response = job.waited + max(0.0, ending.finished - ending.started)
                self.recent.ended(response, now, well=outcome is Outcome.OK)

    def polled(self, queue: QueueFigures) -> None:
        """Take what a poll tells of the queue."""
        self.queue, self.polled_at = queue, time.monotonic()
        self.on_event()
