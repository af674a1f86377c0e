"""Object stores: `s3` and, once for each kind, `each_store`, one server for all tests; `own_s3` and `open_s3` of a test's own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.objects.servers import SERVERS, Moto, ObjectServer, OpenMoto, object_server
from tests.plugins import leaks


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ObjectServer]]:
    """Provide what returns the server of a kind, started when it is first asked for, with a prefix of the test's own."""
    running: dict[str, ObjectServer] = {}
    with contextlib.ExitStack() as stack:

        def server(kind: str) -> ObjectServer:
            if kind not in running:
                running[kind] = stack.enter_context(object_server(SERVERS[kind], tmp_path_factory.mktemp(kind)))
                leaks.KEPT.add(running[kind].pid)
            return running[kind].apart()

        yield server
        leaks.KEPT.difference_update(one.pid for one in running.values())


@pytest.fixture
def s3(kept: Callable[[str], ObjectServer]) -> ObjectServer:
    """Provide an S3 server."""
    return kept("s3")


@pytest.fixture(params=SERVERS)
def each_store(request: pytest.FixtureRequest, kept: Callable[[str], ObjectServer]) -> ObjectServer:
    """Provide a server of each kind."""
    return kept(request.param)


@pytest.fixture
def own_s3(tmp_path: Path) -> Iterator[ObjectServer]:
    """Provide an S3 server that a test may end, or fill."""
    with object_server(Moto, tmp_path) as server:
        yield server


@pytest.fixture
def open_s3(tmp_path: Path) -> Iterator[ObjectServer]:
    """Provide an S3 server that any client may use, also when it was started anew."""
    with object_server(OpenMoto, tmp_path) as server:
        yield server
