"""Metrics of events, for Prometheus: names, help, and where each is counted. What is a state is read at the scrape.

Names are stable: dashboards and alert rules stand on them (docs/metrics.md lists all).
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, ProcessCollector

from renderer.outcome import Outcome
from supervisor.model import Ack, Job
from supervisor.monitor.tallies import Distribution, Tally

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
_SPAWN_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_BYTES = tuple(2.0**n for n in range(25, 34))  # 32 MB to 8 GB


class Metrics:
    """The counters and histograms of one supervisor."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._attempts = Tally(
            "jobsupervisor_attempts",
            "Attempts that ended, by kind and outcome; cancelled and uncharged ones too",
            ("kind", "outcome"),
        )
        self._jobs = Tally(
            "jobsupervisor_jobs",
            "What became of claims: completed, failed (dead letter), cancelled, queued (again), given_back, lease_lost",
            ("kind", "verdict"),
        )
        self._claims = Tally("jobsupervisor_claims", "Jobs that this supervisor claimed", ("kind",))
        self._waits = Distribution(
            "jobsupervisor_queue_wait_seconds", "From when a job could run to its claim", ("kind",), _SECONDS
        )
        self._renders = Distribution(
            "jobsupervisor_render_seconds",
            "From when a child had a job to its end, of all outcomes",
            ("kind",),
            _SECONDS,
        )
        self._memory = Distribution(
            "jobsupervisor_peak_memory_bytes", "Largest resident memory of an attempt's child", ("kind",), _BYTES
        )
        self._kills = Tally(
            "jobsupervisor_child_kills",
            "Children that ended while they had a job, by the outcome that follows",
            ("cause",),
        )
        self._spawns = Distribution(
            "jobsupervisor_spawn_seconds",
            "From the order for a child until it stands in its sandbox",
            (),
            _SPAWN_SECONDS,
        )
        ProcessCollector(registry=self.registry)
        for each in (
            self._attempts,
            self._jobs,
            self._claims,
            self._waits,
            self._renders,
            self._memory,
            self._kills,
            self._spawns,
        ):
            self.registry.register(each)

    def claimed(self, jobs: Sequence[Job]) -> None:
        """Count claims."""
        self._claims.counts.update((job.kind,) for job in jobs)
        for job in jobs:
            self._waits.observe((job.kind,), job.waited)

    def settled(self, settled: Sequence[tuple[Ack, Job, str]]) -> None:
        """Count what the database made of the ends of claims, each with its verdict."""
        self._jobs.counts.update((job.kind, verdict) for _, job, verdict in settled)
        ends = [(job.kind, ack.ending) for ack, job, verdict in settled if ack.ending and verdict != "lease_lost"]
        self._attempts.counts.update((kind, ending.outcome.value) for kind, ending in ends)
        for kind, ending in ends:
            if ending.child_ended:
                self._kills.counts[(ending.outcome.value,)] += 1
            if ending.outcome is not Outcome.LOST:
                self._renders.observe((kind,), max(0.0, ending.finished - ending.started))
                if ending.peak_memory_bytes:
                    self._memory.observe((kind,), ending.peak_memory_bytes)

    def child_spawned(self, seconds: float) -> None:
        """Count a child that came up."""
        self._spawns.observe((), seconds)
