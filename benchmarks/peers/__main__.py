"""Measures the peers and us in turns: `make bench-peers`, or `make bench-peers ARGS="--rounds 1 --only pgqueuer"`.

Enqueue rates, no-op throughput, enqueue to handler, idle statements a minute, statements a job; medians and ranges over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import machine, results
from benchmarks.driver import DURABLE, SIZES, connect
from benchmarks.figure import Figure, number, percentile
from benchmarks.peers.contender import Contender, Ourselves, PeerContender
from benchmarks.peers.install import install
from benchmarks.proxy import CountingProxy, counting
from supervisor.embedded import EmbeddedServer

UNITS = {
    "no-op jobs a second": "jobs/s",
    "enqueue to handler": "ms",
    "enqueue to handler, p99": "ms",
    "idle statements a minute": "statements",
    "statements a job": "statements",
    "enqueued one by one": "jobs/s",
    "enqueued in bulk": "jobs/s",
}
Samples = dict[str, dict[str, list[float]]]


def main() -> int:
    """Install, measure in turns, print, write."""
    options = _options()
    contenders: list[Contender] = [Ourselves()]
    contenders += [PeerContender(peer, mode) for peer in install() for mode in ("default", "best")]
    contenders = [each for each in contenders if not options.only or any(name in each.name for name in options.only)]
    described = machine.description()
    samples: Samples = defaultdict(lambda: defaultdict(list))
    with (
        EmbeddedServer.start(options={**DURABLE, **SIZES}, roles=True) as server,
        counting(server.socket_directory / f".s.PGSQL.{server.port}") as proxy,
    ):
        for number_, contender in enumerate(contenders):
            _fresh(contender, f"contender{number_}", server)
        for round_ in range(options.rounds):
            for number_, contender in enumerate(contenders):
                print(f"round {round_ + 1}: {contender.name}", file=sys.stderr)
                _measure(contender, f"contender{number_}", server, proxy, options, samples)
    described |= {"load_after": machine.load(), "settings": DURABLE | SIZES}
    figures = {question: _figures(question, samples) for question in UNITS}
    _print(figures)
    if not options.no_results:
        print(f"written to {results.write(described, 'peers', figures, options.results)}")
    return 0


def _fresh(contender: Contender, database: str, server: EmbeddedServer) -> None:
    """Give it an empty database, in place of the one that it had."""
    with connect(server.url()) as admin:
        admin.execute(f"drop database if exists {database} with (force)".encode())
        admin.execute(f"create database {database}".encode())
    contender.install(server.url(database))


def _measure(
    contender: Contender,
    database: str,
    server: EmbeddedServer,
    proxy: CountingProxy,
    options: argparse.Namespace,
    samples: Samples,
) -> None:
    """Take each measure once. One that fails is told and left out: a peer's trouble is not to cost the others."""
    direct, counted = server.url(database), proxy.tcp_url(database)
    ours = samples[contender.name]
    try:
        alone = max(2, options.jobs // 5)
        ours["enqueued one by one"].append(contender.enqueue(direct, alone, alone=True))
        ours["enqueued in bulk"].append(contender.enqueue(direct, options.jobs))
        jobs, seconds = contender.work(direct, direct, alone + options.jobs)
        ours["no-op jobs a second"].append(jobs / seconds)
        if jobs < alone + options.jobs:
            # Stopped before it was done: what follows is not to wait behind the rest.
            _fresh(contender, database, server)
        latencies = contender.latencies(direct, options.latencies)
        ours["enqueue to handler"].append(percentile(latencies, 0.5) * 1000)
        ours["enqueue to handler, p99"].append(percentile(latencies, 0.99) * 1000)
        with contender.serving(counted):
            time.sleep(2)
            proxy.take()
            time.sleep(options.idle)
            ours["idle statements a minute"].append(proxy.take().statements * 60 / options.idle)
        contender.enqueue(direct, options.jobs)
        proxy.take()
        jobs, _ = contender.work(counted, direct, options.jobs)
        ours["statements a job"].append(proxy.take().statements / max(1, jobs))
        if jobs < options.jobs:
            _fresh(contender, database, server)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's program does
        print(f"{contender.name}: {type(error).__name__}: {error}", file=sys.stderr)


def _figures(question: str, samples: Samples) -> list[Figure]:
    return [
        Figure(
            name,
            statistics.median(found[question]),
            UNITS[question],
            None,
            {"lowest": min(found[question]), "highest": max(found[question])},
        )
        for name, found in samples.items()
        if found[question]
    ]


def _print(figures: dict[str, list[Figure]]) -> None:
    table = Table("contender", *figures, box=None, pad_edge=False)
    names = list(dict.fromkeys(figure.question for each in figures.values() for figure in each))
    for name in names:
        cells = []
        for each in figures.values():
            figure = next((figure for figure in each if figure.question == name), None)
            spread = figure and f"{number(figure.details['lowest'])} to {number(figure.details['highest'])}"
            cells.append(f"{number(figure.value)} ({spread})" if figure else "-")
        table.add_row(name, *cells)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=10_000, help="no-ops of one run")
    parser.add_argument("--latencies", type=int, default=200, help="single jobs of one run")
    parser.add_argument("--idle", type=float, default=60.0, help="idle seconds of one run")
    parser.add_argument("--only", action="append", help="contenders whose name has this in it; may be repeated")
    parser.add_argument("--results", type=Path, default=results.DIRECTORY, help="where the JSON file goes")
    parser.add_argument("--no-results", action="store_true", help="print only")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
