"""A volume that is unmounted under a running service, or before its start: no job is completed below its mount point."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderer import samples
from tests.plugins.skips import needs_root
from tests.service.support import Queue, Service


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """Provide a directory with a volume of this test's own mounted on it."""
    place = tmp_path / "artifacts"
    place.mkdir()
    if os.geteuid() != 0:
        needs_root("a volume is a mounted tmpfs")
    if (said := mount(place)).returncode != 0:
        pytest.skip(f"a volume is a mounted tmpfs, and mounting is forbidden here: {said.stderr}")
    try:
        yield place
    finally:
        while os.path.ismount(place):
            subprocess.run(["umount", "--lazy", place], check=True)


def mount(place: Path) -> subprocess.CompletedProcess[str]:
    """Mount an empty volume."""
    return subprocess.run(["mount", "-t", "tmpfs", "none", place], capture_output=True, text=True, check=False)


def test_unmounted_while_it_runs(database: str, tmp_path: Path, volume: Path) -> None:
    """The job goes back uncharged, with the reason; nothing is written below the mount point; mounted again, it goes on."""
    with Queue(database) as queue, Service(database, tmp_path) as service:
        service.ready()
        assert queue.final(queue.enqueue("svg", samples.svg()))["status"] == "completed"
        marker = (volume / ".jobsupervisor-installation").read_bytes()
        subprocess.run(["umount", "--lazy", volume], check=True)
        job = queue.enqueue("svg", samples.svg())
        queue.until_row(
            "select count(*) as n from render_attempts where error like '%was its volume unmounted%'",
            lambda row: row["n"],
        )
        assert list(volume.iterdir()) == []
        assert mount(volume).returncode == 0
        (volume / ".jobsupervisor-installation").write_bytes(marker)
        row = queue.final(job)
        assert row["status"] == "completed"
        assert service.stop() == 0


def test_unmounted_before_the_start(database: str, tmp_path: Path, volume: Path) -> None:
    """The start is refused with the way out, and writes nothing there; mounted again it starts."""
    with Service(database, tmp_path) as service:
        service.ready()
        assert service.stop() == 0
    saved = (volume / ".jobsupervisor-installation").read_bytes()
    while os.path.ismount(volume):
        subprocess.run(["umount", "--lazy", volume], check=True)
    with Service(database, tmp_path) as service:
        assert service.process.wait(60) == 1
        assert "Is its volume not mounted?" in service.log.read_text()
        assert "`jobsupervisor artifacts adopt`" in service.log.read_text()
    assert list(volume.iterdir()) == []
    assert mount(volume).returncode == 0
    (volume / ".jobsupervisor-installation").write_bytes(saved)
    with Service(database, tmp_path) as service:
        service.ready()
        assert service.stop() == 0
