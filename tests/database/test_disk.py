"""The server's disk fills up, for real: acks wait, the supervisor stays, and one line tells."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.database.support import changes, event, migrated_server, wait_until
from tests.plugins.skips import needs_root
from tests.service.support import Queue, Service, artifact

LAST_STATEMENT = "select query_start from pg_stat_activity where application_name = 'jobsupervisor main work'"
SIZE = "160m"  # a fresh server takes about 70 MB of it


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Provide a small file system of this test's own."""
    place = Path("/mnt") if os.access("/mnt", os.W_OK) else tmp_path_factory.mktemp("disk")
    place = place / f"jobsupervisor-test-{os.getpid()}"
    if os.geteuid() != 0:
        needs_root("a disk that can be filled is a mounted tmpfs")
    place.mkdir()
    try:
        said = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0711", "none", place],
            capture_output=True,
            text=True,
            check=False,
        )
        if said.returncode != 0:
            pytest.skip(f"a disk that can be filled is a mounted tmpfs, and mounting is forbidden here: {said.stderr}")
        try:
            yield place
        finally:
            subprocess.run(["umount", place], check=True)
    finally:
        place.rmdir()


def fill(directory: Path) -> Path:
    """Write a file until the disk is full; return it."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        block = bytes(1 << 16)
        try:
            while file.write(block) == len(block):
                pass
        except OSError:
            return ballast
    return ballast


def test_a_full_disk_is_waited_out(small_disk: Path, tmp_path: Path) -> None:
    """An ack that has no room on the server's disk waits; with room again it is sent, and the job has one attempt."""
    with (
        # The log of transactions is there in full before the disk is: what fails is a table, not the whole server.
        migrated_server({"min_wal_size": "32MB", "max_wal_size": "32MB"}, parent=small_disk) as server,
        Service(server.url(), tmp_path) as service,
        Queue(server.url()) as queue,
        psycopg.connect(server.url(), autocommit=True) as operator,
    ):
        service.ready()
        # A table with no page yet needs a new one for its first row.
        operator.execute("create table full_disk (text text)")
        gates = [tmp_path / "one", tmp_path / "two"]
        jobs = [queue.enqueue("gate", {"gate": str(gate)}) for gate in gates]
        for job in jobs:
            queue.running(job)
        ballast = fill(small_disk)
        with pytest.raises(psycopg.errors.DiskFull):
            operator.execute("insert into full_disk select repeat(md5(n::text), 100) from generate_series(1, 100) n")
        for gate in gates:
            gate.touch()
        trouble = event(service, "database.troubled", connection="work")
        assert "No space left on device" in trouble["problem"]
        # It tries again and again, as its session shows, and says nothing of it. (Before version 15 the server counts
        # failed transactions in a file, for which there is no room.)
        starts = list[object]()

        def tried_again() -> bool:
            starts.append(queue.rows(LAST_STATEMENT)[0]["query_start"])
            return len(set(starts)) > 2

        wait_until(tried_again, service.log.read_text)
        assert changes(service) == [("troubled", "work")]
        ballast.unlink()
        for job in jobs:
            assert artifact(queue.final(job)) == b"passed the gate"
            assert queue.outcomes(job) == ["ok"]
        event(service, "database.recovered", connection="work")
        assert changes(service) == [("troubled", "work"), ("recovered", "work")]
        assert service.stop() == 0
