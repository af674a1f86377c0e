"""Do claims, enqueues, polls and HTTP answers take the same with millions queued and finished as with none?

Two databases on one server, an empty one and a full one, in turns: the floor is the empty one. The plans of the exchange
and of the poll on the full one are written beside the results.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from benchmarks.driver import Connection, alternately, connect, database, free_port, service
from benchmarks.figure import Figure, Goal, latency
from benchmarks.fill import Load, fill
from benchmarks.hand import Hand
from benchmarks.plans import explained, plans
from benchmarks.size import Size
from supervisor.embedded import EmbeddedServer
from supervisor.store.migrate import migrate

KIND = "noop"
FLAT = Goal("ratio", at_most=1.5)
TAIL = Goal("p99 ratio", at_most=1.5)
PAGES = ("/api/health", "/api/metrics", "/api/jobs")
EMPTY, FULL = "postgres", "filled"
FULL_LOADS = (
    Load("10 queued", 10),
    Load("100,000 queued", 100_000),
    Load("3,000,000 queued", 3_000_000),
    Load("5,000,000 finished", 0, 5_000_000, 1000),
    Load("100,000 queued of 10,000 tenants", 100_000, 0, 10_000),
    Load("100,000 queued, 99 % of one tenant", 100_000, 0, 100, 0.99),
)
QUICK_LOADS = (Load("20,000 queued of 1,000 tenants, 20,000 finished", 20_000, 20_000, 1000),)
TINY_LOADS = (Load("100 queued, 100 finished", 100, 100, 10),)


def measure(size: Size) -> list[Figure]:
    """Measure each load against the empty database."""
    with database() as server:
        return [
            figure
            for load in size(FULL_LOADS, QUICK_LOADS, TINY_LOADS)
            for figure in _measure(server, load, size(1000, 60, 3), size(200, 10, 2))
        ]


def _measure(server: EmbeddedServer, load: Load, rounds: int, asks: int) -> list[Figure]:
    with full_database(server):
        with connect(server.url(FULL)) as client:
            fill(client, load, KIND)
        taken = in_turns(server, rounds)
        found = dict(zip(("exchange", "poll"), _plans(server), strict=True))
        figures = [
            _figure(f"{what} with {load.name}", *both, {what: found[what]} if what in found else None)
            for what, both in taken.items()
        ]
        return figures + _pages(server, load, asks)


@contextmanager
def full_database(server: EmbeddedServer) -> Iterator[None]:
    """Provide a second database, to be filled, and drop it afterwards; the first one is empty."""
    with connect(server.url(EMPTY)) as admin:
        admin.execute("truncate jobsupervisor.job, jobsupervisor.finished_job, jobsupervisor.attempt")
        # Statistics as they are on the full one: it is its rows that are asked about.
        admin.execute("vacuum analyze")
        admin.execute(f"create database {FULL}")
        migrate(server.url(FULL))
        try:
            yield
        finally:
            admin.execute(f"drop database {FULL} with (force)")


def in_turns(server: EmbeddedServer, rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """Enqueue, exchange and poll on both in turns; return for each the seconds on the full one and on the empty one."""
    with (
        Hand(server.url(EMPTY), "empty", [KIND]) as empty_hand,
        Hand(server.url(FULL), "full", [KIND]) as full_hand,
        connect(server.url(EMPTY)) as empty_client,
        connect(server.url(FULL)) as full_client,
    ):

        def enqueue(client: Connection) -> float:
            started = time.perf_counter()
            client.execute("select enqueue_render('noop', '{}')")
            return time.perf_counter() - started

        pieces: list[Callable[[], float]] = [partial(enqueue, full_client), partial(enqueue, empty_client)]
        pieces += [full_hand.exchange, empty_hand.exchange, full_hand.poll, empty_hand.poll]
        # Past the fifth time a statement is prepared, and past the tenth its plan is chosen.
        alternately(min(rounds, 12), *pieces)
        taken = alternately(rounds, *pieces)
    return {
        name: (taken[2 * place], taken[2 * place + 1]) for place, name in enumerate(("enqueue", "exchange", "poll"))
    }


def _plans(server: EmbeddedServer) -> tuple[str, str]:
    """Return the plans of an exchange and of a poll on the full database."""
    with Hand(explained(server.url(FULL)), "explained", [KIND]) as hand:
        hand.exchange()
        exchange = plans(server, hand.exchange)
        poll = plans(server, hand.poll)
    return exchange[0] if exchange else "", poll[0] if poll else ""


def _pages(server: EmbeddedServer, load: Load, asks: int) -> list[Figure]:
    """Ask a service on each database; the jobs' kind is paused, so that the queue stays as it is."""
    ports = {name: free_port() for name in (EMPTY, FULL)}
    for name in (EMPTY, FULL):
        with connect(server.url(name)) as client:
            client.execute("select pause_renders('noop')")
    with (
        service(server.url(EMPTY), HTTP_PORT=ports[EMPTY], RENDER_SUPERVISOR_NAME="empty", RENDER_CONCURRENCY=1),
        service(server.url(FULL), HTTP_PORT=ports[FULL], RENDER_SUPERVISOR_NAME="full", RENDER_CONCURRENCY=1),
    ):
        asking = {name: http.client.HTTPConnection("127.0.0.1", ports[name], timeout=60) for name in ports}

        def ask(name: str, page: str) -> float:
            started = time.perf_counter()
            asking[name].request("GET", page)
            asking[name].getresponse().read()
            return time.perf_counter() - started

        figures = []
        for page in PAGES:
            pieces = [partial(ask, name, page) for name in (EMPTY, FULL)]
            alternately(2, *pieces)
            empty, full = alternately(asks, *pieces)
            figures.append(_figure(f"{page} with {load.name}", full, empty))
        for connection in asking.values():
            connection.close()
    with connect(server.url(EMPTY)) as client:
        # The next load is measured beside it.
        client.execute("select resume_renders('noop')")
    return figures


def against_empty(question: str, full: list[float], empty: list[float], **details: float) -> Figure:
    """Return a figure in milliseconds, with the ratio of the 99th percentiles beside it."""
    figure = latency(question, full, empty)
    tail = figure.details["p99"] / figure.details["floor p99"]
    return replace(figure, details={**figure.details, "p99 ratio": tail, **details})


def _figure(question: str, full: list[float], empty: list[float], found: dict[str, str] | None = None) -> Figure:
    return replace(against_empty(question, full, empty), goals=(FLAT, TAIL), notes={"plans": found or {}})
