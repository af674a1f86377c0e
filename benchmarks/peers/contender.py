"""A contender on a database of its own: a peer in one of its settings, or ourselves."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from benchmarks.driver import connect, events, service, value
from benchmarks.kinds import PLUGINS
from benchmarks.peers.install import Peer
from supervisor.store.migrate import migrate
from supervisor.store.render_queue import RenderQueue
from supervisor.store.requests import RenderRequest

WARM_UP = 3
"""Single jobs before those that count: the first ones meet a worker that is still starting."""
BATCH = 1000
PATIENCE = 30.0
"""Seconds after which a worker is stopped, done or not."""


class Contender(Protocol):
    """What is measured. `url` leads to its database, directly or through the counting proxy."""

    name: str

    def install(self, url: str) -> None:
        """Make its schema."""

    def enqueue(self, url: str, jobs: int, *, alone: bool = False) -> float:
        """Enqueue so many, in bulk or one by one; return jobs a second."""

    def work(self, url: str, direct: str, jobs: int) -> tuple[int, float]:
        """Handle what is enqueued; return how many in how many seconds. `direct` is a way past the proxy."""

    def latencies(self, url: str, rounds: int) -> list[float]:
        """Return seconds from enqueue to handler, one job at a time."""

    def serving(self, url: str) -> contextlib.AbstractContextManager[None]:
        """Have it wait for jobs."""


class PeerContender:
    """A peer, by its runner."""

    def __init__(self, peer: Peer, mode: str) -> None:
        self.name = f"{peer.name} {peer.version} ({mode})"
        self._peer = peer
        self._mode = mode

    def install(self, url: str) -> None:
        """Make its schema."""
        self._run(url, "install")

    def enqueue(self, url: str, jobs: int, *, alone: bool = False) -> float:
        """Enqueue so many, without the client's start-up."""
        said = self._answer(url, "rate" if alone else "enqueue", str(jobs))
        return said["jobs"] / said["seconds"]

    def work(self, url: str, direct: str, jobs: int) -> tuple[int, float]:
        """Handle what is enqueued, without the worker's start-up of an interpreter."""
        del direct
        said = self._answer(url, "work", str(jobs), str(PATIENCE))
        return int(said["jobs"]), said["seconds"]

    def latencies(self, url: str, rounds: int) -> list[float]:
        """Have one process enqueue and another handle; both tell CLOCK_MONOTONIC."""
        found = []
        with self._talk(url, "serve") as server, self._talk(url, "client") as client:
            for _ in range(WARM_UP + rounds):
                time.sleep(0.02)
                _write(client, "\n")
                sent = int(_line(client))
                found.append((int(_line(server)) - sent) / 1e9)
        return found[WARM_UP:]

    @contextlib.contextmanager
    def serving(self, url: str) -> Iterator[None]:
        """Have it wait for jobs."""
        with self._talk(url, "serve"):
            yield

    def _answer(self, url: str, *arguments: str) -> dict[str, float]:
        said: dict[str, float] = json.loads(self._run(url, *arguments).splitlines()[-1])
        return said

    def _run(self, url: str, *arguments: str) -> str:
        command = [*self._peer.command, url, self._mode, *arguments]
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True, timeout=6 * PATIENCE
        ).stdout

    @contextlib.contextmanager
    def _talk(self, url: str, command: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            [*self._peer.command, url, self._mode, command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                if _line(process) != "ready":
                    raise RuntimeError(f"{self.name} must say that it is ready, it does not")
                yield process
            finally:
                process.kill()


class Ourselves:
    """jobsupervisor, as it is: each handler in a sandboxed process."""

    name = "jobsupervisor"

    def install(self, url: str) -> None:
        """Make the schema, with the kinds of the benchmarks."""
        migrate(url)
        with self.serving(url):
            pass

    def enqueue(self, url: str, jobs: int, *, alone: bool = False) -> float:
        """Enqueue so many, as an application in Python does."""
        with RenderQueue(url) as queue:
            queue.enqueue("noop", {})
            started = time.perf_counter()
            if alone:
                for _ in range(jobs - 1):
                    queue.enqueue("noop", {})
            else:
                for start in range(1, jobs, BATCH):
                    queue.enqueue_many([RenderRequest("noop", {})] * min(BATCH, jobs - start))
            return (jobs - 1) / (time.perf_counter() - started)

    def work(self, url: str, direct: str, jobs: int) -> tuple[int, float]:
        """Hold the queue back until the service is there, then let it go."""
        with connect(direct) as client:
            client.execute("listen render_events")
            client.execute("select pause_renders('noop')")
            with self.serving(url):
                started = time.perf_counter()
                client.execute("select resume_renders('noop')")
                events(client, jobs)
                return jobs, time.perf_counter() - started

    def latencies(self, url: str, rounds: int) -> list[float]:
        """Have the renderer tell the time of its first line."""
        found = []
        with connect(url) as client, connect(url) as waiter, self.serving(url):
            waiter.execute("listen render_events")
            for _ in range(WARM_UP + rounds):
                time.sleep(0.02)
                sent = time.monotonic_ns()
                job_id = value(client, "select enqueue_render('stamp', '{}')")
                events(waiter, 1)
                output = value(client, "select output_url from render_jobs where id = %s", job_id)
                found.append((int(Path(urlsplit(output).path).read_text()) - sent) / 1e9)
        return found[WARM_UP:]

    @contextlib.contextmanager
    def serving(self, url: str) -> Iterator[None]:
        """Have it wait for jobs."""
        with service(url, RENDER_PLUGINS=PLUGINS):
            yield


def _write(process: subprocess.Popen[str], text: str) -> None:
    if process.stdin is None:
        raise RuntimeError("a runner must have an input")
    process.stdin.write(text)
    process.stdin.flush()


def _line(process: subprocess.Popen[str]) -> str:
    if process.stdout is None or not (line := process.stdout.readline()):
        raise RuntimeError("a runner must answer, it has ended")
    return line.strip()
