"""`site`: a service with its defaults, started once, for the tests that ask it questions and leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.plugins import leaks
from tests.plugins.databases import TEMPLATE, Servers, create_database, drop_database
from tests.service.support import PATIENCE, Queue, Service
from tests.web.support import TOKEN, Site, free_port

NAME = "web"
UNFINISHED = "select cancel_render(id) from render_jobs where status in ('queued', 'processing')"
LEFT = "select count(*) from jobsupervisor.job"
EMPTY = """
truncate jobsupervisor.finished_job, jobsupervisor.attempt, jobsupervisor.dead_letter, jobsupervisor.departed_letter,
    jobsupervisor.idempotency
"""


@pytest.fixture(scope="session")
def kept(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str, int]]:
    """Provide a service, the URL of its database and its port."""
    server, directory, port = servers.migrated(servers.default), tmp_path_factory.mktemp(NAME), free_port()
    create_database(server, NAME, TEMPLATE)
    settings = {"HTTP_HOST": "127.0.0.1", "HTTP_PORT": port, "HTTP_TOKEN": TOKEN}
    with Service(server.url(NAME), directory, **settings) as service:
        leaks.KEPT.add(service.ready().process.pid)
        yield service, server.url(NAME), port
        leaks.KEPT.remove(service.process.pid)
        assert service.stop() == 0
        assert "Traceback" not in service.log.read_text()
    assert drop_database(server, NAME) == []


@pytest.fixture
def site(kept: tuple[Service, str, int]) -> Iterator[Site]:
    """Provide the service, a client of its queue, which is empty, and one of HTTP; empty the queue afterwards."""
    service, url, port = kept
    base = f"http://127.0.0.1:{port}"
    with Queue(url) as queue, httpx.Client(base_url=base, timeout=PATIENCE, trust_env=False) as client:
        yield service, queue, client
        queue.rows(UNFINISHED)
        queue.until_row(LEFT, lambda row: row["count"] == 0)
        queue.execute(EMPTY)
