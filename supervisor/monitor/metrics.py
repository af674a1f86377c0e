"""Metrics of events, for Prometheus: names, help, and where each is counted. What is a state is read at the scrape.

Names are stable: dashboards and alert rules stand on them (docs/metrics.md lists all).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from renderer.outcome import Outcome
from supervisor.model import Ending, Job

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
_SPAWN_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_BYTES = tuple(2.0**n for n in range(25, 34))  # 32 MB to 8 GB


@dataclass(frozen=True, slots=True)
class _OfKind:
    """What is counted of one kind; `jobs` by verdict, `attempts` by outcome."""

    claims: Counter
    waits: Histogram
    renders: Histogram
    memory: Histogram
    jobs: Callable[[str], Counter]
    attempts: Callable[[str], Counter]


class Metrics:
    """The counters and histograms of one supervisor."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._kinds: dict[str, _OfKind] = {}
        ProcessCollector(registry=registry)
        self._attempts = Counter(
            "jobsupervisor_attempts",
            "Attempts that ended, by kind and outcome; cancelled and uncharged ones too",
            ("kind", "outcome"),
            registry=registry,
        )
        self._jobs = Counter(
            "jobsupervisor_jobs",
            "What became of claims: completed, failed (dead letter), cancelled, queued (again), given_back, lease_lost",
            ("kind", "verdict"),
            registry=registry,
        )
        self._claims = Counter(
            "jobsupervisor_claims", "Jobs that this supervisor claimed", ("kind",), registry=registry
        )
        self._waits = Histogram(
            "jobsupervisor_queue_wait_seconds",
            "From when a job could run to its claim",
            ("kind",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._renders = Histogram(
            "jobsupervisor_render_seconds",
            "From when a child had a job to its end, of all outcomes",
            ("kind",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._memory = Histogram(
            "jobsupervisor_peak_memory_bytes",
            "Largest resident memory of an attempt's child",
            ("kind",),
            buckets=_BYTES,
            registry=registry,
        )
        self._kills = Counter(
            "jobsupervisor_child_kills",
            "Children that ended while they had a job, by the outcome that follows",
            ("cause",),
            registry=registry,
        )
        self._spawns = Histogram(
            "jobsupervisor_spawn_seconds",
            "From the order for a child until it stands in its sandbox",
            buckets=_SPAWN_SECONDS,
            registry=registry,
        )

    def claimed(self, job: Job) -> None:
        """Count a claim."""
        of = self._of(job.kind)
        of.claims.inc()
        of.waits.observe(job.waited)

    def settled(self, job: Job, verdict: str, ending: Ending | None) -> None:
        """Count what the database made of the end of a claim."""
        of = self._of(job.kind)
        of.jobs(verdict).inc()
        if ending is None or verdict == "lease_lost":
            return
        of.attempts(ending.outcome.value).inc()
        if ending.child_ended:
            self._kills.labels(ending.outcome.value).inc()
        if ending.outcome is not Outcome.LOST:
            of.renders.observe(max(0.0, ending.finished - ending.started))
            if ending.peak_memory_bytes:
                of.memory.observe(ending.peak_memory_bytes)

    def _of(self, kind: str) -> _OfKind:
        """Return what is counted of a kind: to look each up by its labels costs more than to count."""
        found = self._kinds.get(kind)
        if found is None:
            found = self._kinds[kind] = _OfKind(
                self._claims.labels(kind),
                self._waits.labels(kind),
                self._renders.labels(kind),
                self._memory.labels(kind),
                functools.cache(functools.partial(self._jobs.labels, kind)),
                functools.cache(functools.partial(self._attempts.labels, kind)),
            )
        return found

    def child_spawned(self, seconds: float) -> None:
        """Count a child that came up."""
        self._spawns.observe(seconds)
