"""What the benchmarks share: a database, a service on it, and figures in a table."""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from supervisor.embedded import EmbeddedServer
from supervisor.store.migrate import migrate


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: a question, what was measured, and the floor beside it."""

    question: str
    measured: str
    floor: str
    ratio: str


@contextlib.contextmanager
def database(**options: str) -> Iterator[EmbeddedServer]:
    """Run a server that syncs to disk as a real one does, with the schema installed."""
    durable = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
    with EmbeddedServer.start(options={**durable, **options}) as server:
        migrate(server.url())
        yield server


@contextlib.contextmanager
def service(url: str, **settings: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run `jobsupervisor run` and wait until it is ready."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        address = str(Path(directory) / "notify")
        notify.bind(address)
        environment = {
            **os.environ,
            "DATABASE_URL": url,
            "NOTIFY_SOCKET": address,
            "RENDER_ARTIFACTS_URL": f"file://{directory}/artifacts",
            "RENDER_LOG_LEVEL": "error",
            "HTTP_PORT": "0",
            **{name: str(value) for name, value in settings.items()},
        }
        command = [str(Path(sys.executable).parent / "jobsupervisor"), "run"]
        with subprocess.Popen(command, env=environment) as process:
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
                yield process
            finally:
                process.terminate()


def events(connection: psycopg.Connection[tuple[object, ...]], count: int) -> None:
    """Wait for so many final statuses."""
    left = count
    while left > 0:
        left -= sum(1 for _ in connection.notifies(stop_after=left))


def alternately(rounds: int, *work: Callable[[], float]) -> list[list[float]]:
    """Run each piece of work in turn, so many rounds, so that a slow moment of the machine meets all of them."""
    results: list[list[float]] = [[] for _ in work]
    for _ in range(rounds):
        for result, piece in zip(results, work, strict=True):
            result.append(piece())
    return results


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the values lies."""
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]
