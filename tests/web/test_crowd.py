"""When too many come at once: nobody is kept out by connections that ask nothing, and a probe is answered in any crowd."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg

from supervisor.web.crowd import MOST_CONNECTIONS
from supervisor.web.places import QUESTIONS
from tests.service.support import PATIENCE, artifact
from tests.web.support import SQUARE, web_service


@contextlib.contextmanager
def connections(client: httpx.Client, count: int) -> Iterator[list[socket.socket]]:
    """Open so many connections to the service, which ask nothing."""
    address = (client.base_url.host, client.base_url.port or 0)
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(count)]


def test_idle_connections_keep_nobody_out(database: str, tmp_path: Path) -> None:
    """However many are open: those that have been idle longest make room, and the descriptors that jobs need stay free."""
    with web_service(database, tmp_path) as (service, queue, client), connections(client, 3 * MOST_CONNECTIONS) as idle:
        for part in (b"GET /api/jobs HTTP/1.1\r\nHost:", b" localhost\r\n"):
            idle[-1].sendall(part)
        assert client.get("/api/health").status_code == 200
        assert client.get("/api/jobs").status_code == 200
        with contextlib.suppress(ConnectionResetError):
            assert idle[0].recv(1) == b""
        assert psutil.Process(service.process.pid).num_fds() < 2 * MOST_CONNECTIONS
        # The one that came last is there yet.
        idle[-1].sendall(b"\r\n")
        assert idle[-1].recv(15) == b"HTTP/1.1 200 OK"
        assert artifact(queue.final(queue.enqueue("svg", SQUARE)))


def test_too_many_requests_are_told_so_and_probes_are_answered(database: str, tmp_path: Path) -> None:
    """While every place is taken by who waits for the database, health and metrics are there; and then so is all else."""
    with (
        web_service(database, tmp_path) as (_, queue, client),
        psycopg.connect(database) as other,
        connections(client, QUESTIONS.most or 0) as waiting,
    ):
        queue.final(queue.enqueue("noop", {}))
        other.execute("lock table jobsupervisor.finished_job in access exclusive mode")
        for sock in waiting:
            sock.sendall(b"GET /api/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while (answer := client.get("/api/openapi.json")).status_code == 200:
            pass  # not all of them have been read
        assert answer.status_code == 503
        assert "ask again" in answer.json()["error"]
        assert answer.headers["retry-after"] == "1"
        for path in ("/api/health", "/api/health/live", "/api/metrics"):
            assert client.get(path).status_code == 200
        other.rollback()
        for sock in waiting:
            assert sock.recv(9) == b"HTTP/1.1 "
        assert client.get("/api/jobs").status_code == 200
