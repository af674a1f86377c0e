"""`jobsupervisor demo`: real files from honest jobs, dead letters with their causes from hostile ones, nothing left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from supervisor.demo import JOBS
from tests.commands import command, open_home
from tests.renderer.drawing import decode


@pytest.fixture
def home() -> Iterator[Path]:
    """Provide an empty directory in which the command makes whatever it makes."""
    with open_home() as path:
        yield path


def frames(path: Path) -> list[tuple[int, int]]:
    """Return the sizes of a video's frames, all of them decoded."""
    with av.open(path) as video:
        return [(frame.width, frame.height) for frame in video.decode(video=0)]


@pytest.mark.timeout(300)
def test_the_demo(home: Path) -> None:
    """One run, end to end: exit code 0, every job in the table as it should end, every file what its name says."""
    result = command(home, "demo", "--out", "pictures")
    assert result.returncode == 0, result.stderr
    rows = {job.name: line for job in JOBS for line in result.stdout.splitlines() if line.startswith(job.name)}
    assert rows.keys() == {job.name for job in JOBS}
    for job in JOBS:
        if job.failure is None:
            assert " completed " in rows[job.name]
            assert f"pictures/{job.name}" in rows[job.name]
        else:
            assert " failed " in rows[job.name]
            assert f" {job.failure}: " in rows[job.name]
    assert {job.failure for job in JOBS} >= {"memory", "timeout", "crash"}
    assert "all 7 jobs ended as they should" in result.stderr

    out = home / "pictures"
    assert {path.name for path in out.iterdir()} == {job.name for job in JOBS if job.failure is None}
    assert frames(out / "scene.mp4") == [(1280, 720)] * 150
    assert frames(out / "scene.gif") == [(640, 360)] * 75
    for name, shape in {"scene.png": (720, 1280, 4), "badge.png": (1024, 1024, 4)}.items():
        pixels = decode((out / name).read_bytes())
        assert pixels.shape == shape
        assert len({tuple(pixel) for pixel in pixels[:: shape[0] // 50, :: shape[1] // 50].reshape(-1, 4)}) > 5
    assert [path.name for path in home.iterdir()] == ["pictures"]
