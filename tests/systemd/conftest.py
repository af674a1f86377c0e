"""One machine and one server for the tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from supervisor.embedded import EmbeddedServer
from supervisor.store.migrate import migrate
from tests.systemd.machine import Machine, missing


@pytest.fixture(scope="package")
def url() -> Iterator[str]:
    """Provide the URL of a migrated database, over TCP: the machine shares the loopback, and no directory for a socket."""
    with EmbeddedServer.start(tcp=True, roles=True) as server:
        url = server.url(tcp=True)
        migrate(url)
        yield url


@pytest.fixture(scope="package")
def machine(tmp_path_factory: pytest.TempPathFactory, url: str) -> Iterator[Machine]:
    """Provide a machine on which the service is installed."""
    if reason := missing():
        pytest.skip(f"no systemd of its own: {reason}")
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        machine.install(url)
        yield machine
