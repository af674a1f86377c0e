"""Counters and histograms that stand on the path of each job: to count is to add to a number, the rest is made at the scrape.

The library's own take a lock and look up a label for each; a job that does nothing had seven of them, a tenth of what it cost.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]


class Tally(Collector):
    """A counter: label values → how many."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._family = (name, text, None, tuple(labels))
        self.counts: collections.Counter[Labels] = collections.Counter()

    def collect(self) -> Iterable[Metric]:
        """Yield it, for a scrape."""
        family = CounterMetricFamily(*self._family)
        for labels, count in self.counts.copy().items():
            family.add_metric(labels, count)
        yield family


class _Distribution:
    """How many values lie between two bounds, and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self, classes: int) -> None:
        self.counts = [0] * classes
        self.total = 0.0


class Distribution(Collector):
    """A histogram: label values → how many values are at most each bound, and above the last."""

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._family = (name, text, None, None, tuple(labels))
        self._bounds = tuple(bounds)
        self._names = [*map(floatToGoString, bounds), "+Inf"]
        self._of: dict[Labels, _Distribution] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """Count a value."""
        found = self._of.get(labels)
        if found is None:
            found = self._of[labels] = _Distribution(len(self._names))
        found.counts[bisect.bisect_left(self._bounds, value)] += 1
        found.total += value

    def collect(self) -> Iterable[Metric]:
        """Yield it, for a scrape."""
        family = HistogramMetricFamily(*self._family)
        for labels, found in self._of.copy().items():
            reached, buckets = 0, []
            for name, count in zip(self._names, found.counts, strict=True):
                reached += count
                buckets.append((name, reached))
            family.add_metric(labels, buckets, found.total)
        yield family
