"""Runs a service that listens on a port of its own, and a client of it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.service.support import PATIENCE, Queue, Service, service_and_queue

TOKEN = "a-token-of-a-test-0123"  # noqa: S105 - opens nothing
WITH_TOKEN = {"authorization": f"Bearer {TOKEN}"}
SQUARE = {"svg": '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><path d="M0 0h8v8z"/></svg>'}
Site = tuple[Service, Queue, httpx.Client]
"""A service that is ready, a client of the queue, and one of HTTP."""
DESKS = """
select pid from pg_stat_activity where application_name = 'jobsupervisor desk' and datname = current_database()
"""
"""The server is shared: by name alone the desk of a service on another database would be found."""


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def web_service(url: str, directory: Path, **settings: object) -> Iterator[Site]:
    """Yield a service that is ready, a client of the queue, and one of HTTP."""
    port = free_port()
    given = {"HTTP_HOST": "127.0.0.1", "HTTP_PORT": port, "HTTP_TOKEN": TOKEN} | settings
    with (
        service_and_queue(url, directory, **given) as (service, queue),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False) as client,
    ):
        yield service, queue, client


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    """Return the value of one line of the metrics, 0 where there is none."""
    told = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    start = f"jobsupervisor_{name}{{{told}}} " if told else f"jobsupervisor_{name} "
    lines = [line for line in client.get("/api/metrics").text.splitlines() if line.startswith(start)]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def ids(answer: httpx.Response) -> list[str]:
    """Return the ids of a page of jobs."""
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["jobs"]]
