"""What the benchmarks share: a database, a service on it, and ways to wait for it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from supervisor.embedded import EmbeddedServer
from supervisor.store.migrate import migrate

Connection = psycopg.Connection[Any]

STOP_SECONDS = 60.0
SIZES = {"shared_buffers": "128MB"}
"""PostgreSQL's own default; the server of `jobsupervisor demo` takes less, which no service would run on."""
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
SETTINGS = "select name, setting from pg_settings where name = any(%s)"
NOOPS = "select count(enqueue_render('noop', '{}')) from generate_series(1, %s)"
"""Enqueues so many jobs, one after the other in one transaction."""
told: dict[str, str] = {}
"""Settings of the first server that was started, as it says itself: what the figures were measured under."""


@contextlib.contextmanager
def database(**options: str) -> Iterator[EmbeddedServer]:
    """Run a server that syncs to disk as a real one does, with the schema installed."""
    with EmbeddedServer.start(options={**DURABLE, **SIZES, **options}, roles=True) as server:
        migrate(server.url())
        if not told:
            with connect(server.url()) as client:
                told.update(client.execute(SETTINGS, [[*DURABLE, "shared_buffers", "wal_sync_method"]]).fetchall())
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
                _until_ready(notify, process)
                # Of what it tells from now on nothing is read.
                notify.close()
                yield process
            finally:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_SECONDS)
                process.kill()


def _until_ready(notify: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """Wait for the word; a service that refuses to start ends without it."""
    notify.settimeout(0.5)
    while process.poll() is None:
        with contextlib.suppress(TimeoutError):
            if b"READY=1" in notify.recv(4096):
                return
    raise RuntimeError(f"the service must start, it ended with {process.returncode}; what it said stands above")


def events(connection: Connection, count: int) -> None:
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


def value(connection: Connection, statement: str, *parameters: object) -> Any:
    """Return the first column of the first row."""
    row = connection.execute(statement.encode(), parameters or None).fetchone()
    return row[0] if row else None


def connect(url: str) -> Connection:
    """Open a connection in autocommit."""
    return psycopg.connect(url, autocommit=True)


def free_port() -> int:
    """Return a port of the loopback interface that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
