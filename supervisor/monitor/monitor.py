"""The monitor: reads the parts of the supervisor as they are now. Changes nothing, sends nothing.

What is asked often (a scrape, a health check, a page that is open) costs the loop some microseconds here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from supervisor import __version__
from supervisor.alerts.alerts import Alerts
from supervisor.child import Child
from supervisor.dispatcher import Dispatcher
from supervisor.link import Link
from supervisor.log_stream import LogStream
from supervisor.monitor.figures import Figures
from supervisor.pool import Pool
from supervisor.store.queue import QueueStore
from supervisor.store.statements import sent


@dataclass(frozen=True, slots=True)
class ChildState:
    """One child, as it is now. Memory in bytes, seconds since it got its job."""

    number: int
    pid: int
    kind: str | None
    job_id: str | None
    user_id: str | None
    seconds: float | None
    memory: int
    memory_limit: int | None
    jobs_done: int


class Monitor(Collector):
    """One supervisor, watched."""

    def __init__(
        self,
        figures: Figures,
        pool: Pool,
        dispatcher: Dispatcher,
        store: QueueStore,
        links: Iterable[Link],
        alerts: Alerts | None,
    ) -> None:
        self.figures = figures
        self.pool = pool
        self.dispatcher = dispatcher
        self.links = tuple(links)
        self.ready = False
        """Between the start and the drain."""
        self.alerts = alerts
        self._store = store
        figures.metrics.registry.register(self)

    @property
    def name(self) -> str:
        """The supervisor's name."""
        return self._store.name

    @property
    def poll_age(self) -> float | None:
        """Seconds since the queue's figures were told."""
        at = self.figures.polled_at
        return None if at is None else time.monotonic() - at

    def children(self) -> list[ChildState]:
        """Return the children, in the order of their numbers."""
        return [self._state(child) for child in sorted(self.pool.children, key=lambda child: child.number)]

    @staticmethod
    def _state(child: Child) -> ChildState:
        having = child.having
        return ChildState(
            number=child.number,
            pid=child.process.pid,
            kind=having.job.kind if having else None,
            job_id=having.job.id if having else None,
            user_id=having.job.user_id if having else None,
            seconds=having.seconds() if having else None,
            memory=child.resident_memory,
            memory_limit=having.limits.memory if having else None,
            jobs_done=child.jobs_done,
        )

    def collect(self) -> Iterable[Metric]:
        """Yield what is a state, for a scrape."""
        yield _gauge("info", "This supervisor", {(("name", self.name), ("version", __version__)): 1})
        statements = CounterMetricFamily(
            "jobsupervisor_statements", "Statements sent to the database, by named query", labels=["statement"]
        )
        for name, count in sent.copy().items():
            statements.add_metric([name], count)
        yield statements
        lines = CounterMetricFamily(
            "jobsupervisor_log_lines_dropped", "Log lines that were dropped because nobody took them"
        )
        lines.add_metric([], LogStream.dropped)
        yield lines
        yield from self._of_children()
        running, waiting, owed = self.dispatcher.counts
        yield _gauge("jobs_running", "Jobs that children of this supervisor have", {(): running})
        yield _gauge("jobs_waiting", "Jobs that were claimed and wait for a child", {(): waiting})
        yield _gauge("acks_owed", "Ends of attempts that the database has not been told", {(): owed})
        yield _gauge(
            "link_up",
            "1 while the connection's circuit is closed",
            {(("link", link.name),): int(link.up) for link in self.links},
        )
        yield _gauge(
            "kind_failed",
            "1 for a kind that cannot be rendered here",
            {
                **{(("kind", kind),): 0 for kind in self.pool.kinds},
                **{(("kind", kind),): 1 for kind in self.pool.failed_kinds},
            },
        )
        layers = {(("layer", layer),): int(state == "ok") for layer, state in self.pool.layers.items()}
        yield _gauge("sandbox_layer", "1 for a layer of the sandbox that children have", layers)
        if self.alerts is not None:
            standing = {alert.name for alert in self.alerts.active}
            alerts = {(("alert", name),): int(name in standing) for name in self.alerts.names}
            yield _gauge("alert_standing", "1 while the alert stands", alerts)
        if self.figures.polled_at is not None:
            yield from self._of_the_queue()

    def _of_children(self) -> Iterable[Metric]:
        children = self.children()
        busy = sum(child.job_id is not None for child in children)
        yield _gauge(
            "children",
            "Children that are up",
            {(("state", "busy"),): busy, (("state", "idle"),): len(children) - busy},
        )
        yield _gauge("children_wanted", "Children that there should be", {(): self.pool.wanted})
        yield _gauge(
            "child_memory_bytes",
            "Resident memory of a child",
            {(("child", str(child.number)),): child.memory for child in children},
        )

    def _of_the_queue(self) -> Iterable[Metric]:
        queue = self.figures.queue
        depth = {(("kind", kind),): count for kind, count in queue.depth.items()}
        yield _gauge("queue_depth", "Jobs of a kind that could run now; counted up to 1000", depth)
        yield _gauge("jobs_queued", "Jobs that could run now; estimated beyond 1000 of a kind", {(): queue.queued})
        oldest = {(("kind", kind),): queue.oldest.get(kind, 0.0) for kind in queue.depth}
        yield _gauge("oldest_runnable_seconds", "How long the oldest job that could run now has waited", oldest)
        yield _gauge("queue_running", "Jobs that run on all supervisors together", {(): queue.running})
        yield _gauge("dead_letters", "Dead letters; counted up to 1000", {(): queue.dead_letters})
        yield _gauge("oldest_snapshot_transactions", "Age of the oldest snapshot in use", {(): queue.horizon_age})
        yield _gauge("oldest_snapshot_seconds", "Age of the oldest snapshot's transaction", {(): queue.horizon_seconds})
        yield _gauge(
            "poll_age_seconds", "Since the database was last asked for the figures above", {(): self.poll_age or 0}
        )


def _gauge(name: str, text: str, values: Mapping[Any, float]) -> Metric:
    """Return a gauge; each value stands under its labels, ((name, value), …), all of the same names."""
    names = [label for label, _ in next(iter(values), ())]
    family = GaugeMetricFamily(f"jobsupervisor_{name}", text, labels=names)
    for labels, value in values.items():
        family.add_metric([text for _, text in labels], value)
    return family
