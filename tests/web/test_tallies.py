"""Counters and histograms of our own: what a scrape reads of them is what the library's would tell."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from supervisor.monitor.tallies import Distribution, Tally

BOUNDS = (0.01, 0.5, 1, 60)
VALUES = (0.0, 0.01, 0.010001, 0.5, 1, 59.9, 60, 61, 1e9)


def lines(registry: CollectorRegistry) -> set[str]:
    """Return what a scrape reads, less when each was made."""
    return {line for line in generate_latest(registry).decode().splitlines() if "_created" not in line}


def test_they_read_as_the_librarys() -> None:
    """Names, help, labels, bounds and numbers."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally = Tally("made", "Things that were made", ("kind", "colour"))
    distribution = Distribution("took_seconds", "What it took", ("kind",), BOUNDS)
    bare = Distribution("bare_seconds", "Of no kind", (), BOUNDS)
    for collector in (tally, distribution, bare):
        ours.register(collector)
    counter = Counter("made", "Things that were made", ("kind", "colour"), registry=theirs)
    histogram = Histogram("took_seconds", "What it took", ("kind",), buckets=BOUNDS, registry=theirs)
    bare_histogram = Histogram("bare_seconds", "Of no kind", buckets=BOUNDS, registry=theirs)
    for value in VALUES:
        for kind in ("a", 'b"\n'):
            tally.counts[kind, "red"] += 1
            counter.labels(kind, "red").inc()
            distribution.observe((kind,), value)
            histogram.labels(kind).observe(value)
        bare.observe((), value)
        bare_histogram.observe(value)
    assert lines(ours) == lines(theirs)
