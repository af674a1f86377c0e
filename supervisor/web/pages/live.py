"""The live parts of the dashboard: the same for the page as it is loaded, and for the stream that follows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from supervisor.monitor.monitor import ChildState, Monitor
from supervisor.store.queue_rows import COUNTED
from supervisor.web.pages import charts
from supervisor.web.pages.lists import SharedLists
from supervisor.web.pages.templates import render

PARTS = ("state", "figures", "charts", "kinds", "children", "results", "dead_letters")
MOST_CHILDREN = 64
"""Rows of the table; those that have a job come first."""
POLL_SECONDS = 10.0
"""While somebody looks, the queue's figures are not older than that."""
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class KindRow:
    """One kind in the queue; `share` of the fullest, in percent."""

    name: str
    depth: int
    oldest: float | None
    share: float
    problem: str | None


@dataclass(frozen=True, slots=True)
class ChildRow:
    """One child, and how far its job is."""

    state: ChildState
    progress: float


class Live:
    """Renders the parts."""

    def __init__(self, monitor: Monitor, lists: SharedLists, *, writes: bool) -> None:
        self._monitor = monitor
        self._lists = lists
        self._writes = writes

    async def parts(self) -> dict[str, str]:
        """Return the parts by name, for the stream; has the queue polled where its figures are old."""
        age = self._monitor.poll_age
        if self._monitor.ready and age is not None and age > POLL_SECONDS:
            self._monitor.dispatcher.poll_now()
        return await self.page(unless_same=True)

    async def page(self, *, unless_same: bool = False) -> dict[str, str]:
        """Return the parts by name, for a page that is loaded now."""
        lists = await self._lists.get(unless_same=unless_same)
        values = self.values() | {"lists": lists, "writes": self._writes}
        return {name: render(f"parts/{name}.html", **values) for name in PARTS}

    def hour(self) -> list[charts.Minute]:
        """Return the last hour, minute by minute."""
        now = time.monotonic()
        return charts.minutes(self._monitor.figures.recent.slices(now, _HOUR), now)

    def values(self) -> dict[str, Any]:
        """Return what the parts show of the supervisor: all of it is in memory."""
        monitor, hour = self._monitor, self.hour()
        queue = monitor.figures.queue
        summary = monitor.figures.recent.summary(time.monotonic(), _HOUR)
        running, waiting, owed = monitor.dispatcher.counts
        children = self._children()
        return {
            "name": monitor.name,
            "ready": monitor.ready,
            "links": monitor.links,
            "queue": queue,
            "counted": COUNTED,
            "polled": None if monitor.poll_age is None else time.time() - monitor.poll_age,
            "summary": summary,
            "here": {"running": running, "waiting": waiting, "owed": owed},
            "charts": (charts.throughput(hour), charts.waits(hour)),
            "kinds": self._kinds(),
            "children": children[:MOST_CHILDREN],
            "more_children": max(0, len(children) - MOST_CHILDREN),
        }

    def _kinds(self) -> list[KindRow]:
        queue, failed = self._monitor.figures.queue, self._monitor.pool.failed_kinds
        names = sorted({*queue.depth, *self._monitor.pool.kinds, *failed})
        most = max(queue.depth.values(), default=0) or 1
        rows = [
            KindRow(
                name,
                queue.depth.get(name, 0),
                queue.oldest.get(name),
                queue.depth.get(name, 0) / most,
                failed.get(name),
            )
            for name in names
        ]
        return sorted(rows, key=lambda row: -row.depth)

    def _children(self) -> list[ChildRow]:
        rows = [
            ChildRow(child, self._monitor.dispatcher.progress_of(child.job_id) if child.job_id else 0.0)
            for child in self._monitor.children()
        ]
        return rows if len(rows) <= MOST_CHILDREN else sorted(rows, key=lambda row: row.state.job_id is None)
