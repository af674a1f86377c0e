"""The fixtures `s3`, a server of this test's own, and `each_store`, which has the test run once for each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.objects.servers import SERVERS, Moto, ObjectServer, OpenMoto, object_server


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[ObjectServer]:
    """Provide an S3 server."""
    with object_server(Moto, tmp_path) as server:
        yield server


@pytest.fixture
def open_s3(tmp_path: Path) -> Iterator[ObjectServer]:
    """Provide an S3 server that any client may use, also when it was started anew."""
    with object_server(OpenMoto, tmp_path) as server:
        yield server


@pytest.fixture(params=SERVERS)
def each_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectServer]:
    """Provide a server of each kind."""
    with object_server(SERVERS[request.param], tmp_path) as server:
        yield server
