"""Places: who takes long takes none from who cannot wait, and who does not read is cut off."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import psycopg
import pytest
from starlette.types import Receive, Scope, Send

from supervisor.settings import load
from supervisor.web import crowd
from supervisor.web.places import DASHBOARDS, DOWNLOADS, PROBES, QUESTIONS, WRITES, Sort, sort_of
from supervisor.web.server import WebServer
from tests.service.support import PATIENCE
from tests.web.support import WITH_TOKEN, free_port, web_service

SORTS = [
    ("GET", "/api/health", PROBES),
    ("HEAD", "/api/health/live", PROBES),
    ("GET", "/api/metrics", PROBES),
    ("GET", "/api/metrics/x", QUESTIONS),
    ("GET", "/api/healthy", QUESTIONS),
    ("POST", "/api/health", WRITES),
    ("POST", "/api/jobs/1/cancel", WRITES),
    ("DELETE", "/", WRITES),
    ("GET", "/events", DASHBOARDS),
    ("GET", "/api/jobs/1/artifact", DOWNLOADS),
    ("GET", "/api/jobs", QUESTIONS),
]


@pytest.mark.parametrize(("method", "path", "sort"), SORTS)
def test_each_request_is_of_one_sort(method: str, path: str, sort: Sort) -> None:
    """By method and path alone: what is counted where cannot be chosen by who asks."""
    assert sort_of({"method": method, "path": path}) == sort


def open_request(client: httpx.Client, path: str) -> socket.socket:
    """Send a request and read nothing of the answer."""
    sock = socket.socket()
    sock.settimeout(PATIENCE)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((client.base_url.host, client.base_url.port))
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return sock


def test_streams_and_slow_readers_leave_places(database: str, tmp_path: Path) -> None:
    """With every dashboard and download taken by who does not read: probes, lists and writes are answered."""
    with web_service(database, tmp_path) as (_, queue, client), contextlib.ExitStack() as stack:
        job = queue.enqueue("write", {"text": "x"})
        # More than the kernel keeps for a reader who does not read.
        os.truncate(unquote(urlsplit(queue.final(job)["output_url"]).path), 64 << 20)
        for path in ("/events", f"/api/jobs/{job}/artifact"):
            while client.head(path).status_code != 503:
                stack.enter_context(open_request(client, path))
        for path in ("/api/health", "/api/health/live", "/api/metrics", "/api/jobs", "/"):
            assert client.get(path).status_code == 200
        waiting = queue.enqueue("noop", {}, run_at="2100-01-01")
        assert client.post(f"/api/jobs/{waiting}/cancel", headers=WITH_TOKEN).json()["cancelled"] is True


def test_a_write_goes_before_the_questions_that_wait(database: str, tmp_path: Path) -> None:
    """Where every question waits for the database, a job is cancelled as soon as the one under way is given up."""
    with (
        web_service(database, tmp_path) as (_, queue, client),
        psycopg.connect(database) as other,
        contextlib.ExitStack() as stack,
    ):
        waiting = queue.enqueue("noop", {}, run_at="2100-01-01")
        other.execute("lock table jobsupervisor.dead_letter in access exclusive mode")
        while client.get("/api/openapi.json").status_code != 503:
            stack.enter_context(open_request(client, "/api/jobs?status=failed"))
        assert client.post(f"/api/jobs/{waiting}/cancel", headers=WITH_TOKEN).status_code == 200
        other.rollback()


async def _endless(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    gone = asyncio.ensure_future(receive())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while not gone.done():
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await asyncio.sleep(0)


def test_a_reader_that_stops_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes nothing for a while loses its connection, one that reads keeps it."""
    monkeypatch.setattr(crowd, "STALLED_SECONDS", 0.3)
    port = free_port()

    async def run() -> tuple[bytes, bool]:
        server = WebServer(load({"HTTP_PORT": port}))
        server.bind()
        server.start(_endless)
        readers = []
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            readers.append((reader, writer))
        (slow, one), (fast, other) = readers
        one.transport.pause_reading()  # type: ignore[attr-defined]  # of a transport that reads
        until = asyncio.get_running_loop().time() + 2
        read = b""
        while asyncio.get_running_loop().time() < until:
            read = await fast.read(1 << 16)
            assert read
        one.transport.resume_reading()  # type: ignore[attr-defined]  # as above
        ended = False
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while await slow.read(1 << 16):
                    pass
        ended = True
        for writer in (one, other):
            writer.transport.abort()
        await server.stop()
        return read, ended

    read, ended = asyncio.run(run())
    assert read
    assert ended
