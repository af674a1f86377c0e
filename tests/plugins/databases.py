"""PostgreSQL for the tests: one embedded server per worker and major version, one fresh database per test.

    def test_one(database): ...              # URL of a migrated database of this test's own
    def test_two(pg_server): ...             # the worker's server, nothing migrated
    def test_three(each_server): ...         # once for each major version installed here
    @pytest.mark.each_server
    def test_four(database): ...             # as test_one, once for each major version

A test that stops or kills a server starts one of its own.

JOBSUPERVISOR_PG_BIN=/usr/lib/postgresql/14/bin makes that server the default one, as it does for `demo`: so all of the
tests run on any version. Programs that its package lacks are taken from another server's.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import sql

from supervisor.embedded import EmbeddedServer, find_binaries, installed_binaries
from supervisor.embedded.binaries import major_version

TEMPLATE = "migrated"
OPTIONS = {"max_wal_size": "256MB"}
MEMORY = Path("/dev/shm")
ROOM = 2 * 2**30  # bytes
DISCONNECT_SECONDS = 60.0
# A worker of autovacuum is nobody's connection, and gives way to `drop database`.
LEFT_OVER = """
select pid, application_name, state, query from pg_stat_activity where datname = %s and backend_type = 'client backend'
"""


class Servers:
    """The worker's servers, each started when first asked for and stopped at the end of the session."""

    def __init__(self) -> None:
        self.default = major_version(find_binaries())
        self._binaries: dict[int, Path] = {**dict(installed_binaries()), self.default: find_binaries()}
        self._running: dict[int, EmbeddedServer] = {}
        self._migrated: set[int] = set()

    def __getitem__(self, major: int) -> EmbeddedServer:
        if major not in self._running:
            self._running[major] = EmbeddedServer.start(
                binaries=self._binaries[major], parent=fast_directory(), options=OPTIONS, roles=True
            )
        return self._running[major]

    def running(self) -> list[EmbeddedServer]:
        """Return the servers that have been started."""
        return list(self._running.values())

    def migrated(self, major: int) -> EmbeddedServer:
        """Return a server that has the template database."""
        server = self[major]
        if major not in self._migrated:
            # Imported here: a test of the embedded server alone needs no schema.
            from supervisor.store.migrate import migrate

            create_database(server, TEMPLATE, "template1")
            migrate(server.url(TEMPLATE))
            wait_for_disconnect(server, TEMPLATE)
            self._migrated.add(major)
        return server

    def stop(self) -> None:
        """Stop them all."""
        while self._running:
            self._running.popitem()[1].stop()


def program(server: EmbeddedServer, name: str) -> Path:
    """Return a program such as psql, of the server's own package or of the newest that has it: those work with older servers."""
    for directory in (server.bin, *(directory for _, directory in installed_binaries())):
        if os.access(directory / name, os.X_OK):
            return directory / name
    pytest.skip(f"{name} is not installed beside any server")


def fast_directory() -> Path | None:
    """Return where a server's files go: a database is 300 of them, and in memory they take a tenth of the time."""
    return MEMORY if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM else None


def create_database(server: EmbeddedServer, name: str, template: str) -> None:
    """Create a database as a copy of another."""
    statement = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(statement)


def drop_database(server: EmbeddedServer, name: str, seconds: float = DISCONNECT_SECONDS) -> list[str]:
    """Drop a database whoever is in it; return a line for each connection that was left in it."""
    left = wait_for_disconnect(server, name, seconds)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
    return left


def wait_for_disconnect(server: EmbeddedServer, name: str, seconds: float = DISCONNECT_SECONDS) -> list[str]:
    """Wait until nobody is connected to a database; return a line for each connection that was left in it."""
    # A server process outlives its connection's close by a moment; it is a process, so its end can be waited for.
    with psycopg.connect(server.url(), autocommit=True) as connection:
        backends = []
        for row in connection.execute(LEFT_OVER, [name]):
            with contextlib.suppress(psutil.NoSuchProcess):  # it may end while it is looked at
                backends.append(psutil.Process(row[0]))
        psutil.wait_procs(backends, timeout=seconds)
        return [" | ".join(map(str, row)) for row in connection.execute(LEFT_OVER, [name])]


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "each_server: run with a database on each installed PostgreSQL major version")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise what asks for each server."""
    asked = "each_server" in metafunc.fixturenames or metafunc.definition.get_closest_marker("each_server")
    if asked and "postgres_major" in metafunc.fixturenames:
        found = majors()
        metafunc.parametrize("postgres_major", found, indirect=True, ids=[f"pg{major}" for major in found])


@functools.cache
def majors() -> list[int]:
    """Return the major versions that are installed; each server is asked for its own."""
    return [major for major, _ in installed_binaries()]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Provide the worker's servers; none is started before somebody needs it."""
    servers = Servers()
    try:
        yield servers
    finally:
        servers.stop()


@pytest.fixture(scope="session")
def pg_server(servers: Servers) -> EmbeddedServer:
    """Provide the worker's server of the default version."""
    return servers[servers.default]


@pytest.fixture
def postgres_major(request: pytest.FixtureRequest, servers: Servers) -> int:
    """Provide the major version that this test runs on."""
    return int(getattr(request, "param", servers.default))


@pytest.fixture
def each_server(servers: Servers, postgres_major: int) -> EmbeddedServer:
    """Provide the worker's server of each installed version in turn."""
    return servers[postgres_major]


_numbers = itertools.count(1)


@pytest.fixture
def database(servers: Servers, postgres_major: int, pytestconfig: pytest.Config) -> Iterator[str]:
    """Provide the URL of a fresh, migrated database; fail when the test leaves a connection open in it."""
    server = servers.migrated(postgres_major)
    name = f"test_{next(_numbers)}"
    create_database(server, name, TEMPLATE)
    yield server.url(name)
    if left := drop_database(server, name, pytestconfig.getoption("--leak-grace")):
        pytest.fail(
            "connections left open in the test's database (pid | application | state | query):\n" + "\n".join(left)
        )
