"""A run that is a fork of the prepared process is, for all that a command can see, one of the installed script."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.commands import environment
from tests.prepared import COMMAND, PATIENCE, Fork, Running, start
from tests.service.support import ByScript, Service

Start = Callable[[list[str], Path, dict[str, str], int, int], Running]


def script(arguments: list[str], directory: Path, environment: dict[str, str], out: int, err: int) -> Running:
    """Start the installed script."""
    return subprocess.Popen(
        [COMMAND, *arguments], env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=out, stderr=err
    )


def fork(arguments: list[str], directory: Path, environment: dict[str, str], out: int, err: int) -> Running:
    """Start a fork."""
    return start(arguments, environment, directory=directory, stdout=out, stderr=err)


def told(starting: Start, home: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Return the exit code and what was written to the two streams."""
    out, err = home / "out", home / "err"
    with out.open("wb") as said, err.open("wb") as complained:
        process = starting(list(arguments), home, environment(home, **settings), said.fileno(), complained.fileno())
    return process.wait(PATIENCE), out.read_text(), err.read_text()


@pytest.mark.parametrize("arguments", [["--version"], ["run", "--help"], ["run"], ["status", "--bogus"]], ids=" ".join)
def test_it_says_the_same(tmp_path: Path, arguments: list[str]) -> None:
    """Exit code, output and errors."""
    assert told(fork, tmp_path, *arguments) == told(script, tmp_path, *arguments)


def test_it_reads_a_file_of_its_directory(tmp_path: Path) -> None:
    """As the script does, which is started there."""
    (tmp_path / "spec.json").write_text("{")
    arguments = ("enqueue", "noop", "spec.json")
    nowhere = "postgresql://u@127.0.0.1:1/d"
    said = told(fork, tmp_path, *arguments, DATABASE_URL=nowhere)
    assert said == told(script, tmp_path, *arguments, DATABASE_URL=nowhere)
    assert "SPEC spec.json must be JSON" in said[2]


def holds(service: Service) -> tuple[int, int, int, list[str], list[str]]:
    """Return what a service holds: its parent, threads, children, descriptors, and the modules in native code."""
    found = psutil.Process(service.process.pid)
    kinds = sorted(re.sub(r"\d+|log-.", "", str(entry.readlink())) for entry in Path(f"/proc/{found.pid}/fd").iterdir())
    mapped = sorted({Path(one.path).name for one in found.memory_maps() if one.path.endswith(".so")})
    return found.ppid(), found.num_threads(), len(found.children()), kinds, mapped


def test_a_service_holds_the_same(database: str, tmp_path: Path) -> None:
    """Descriptors, threads, children, libraries; the test is the parent of both."""
    with (
        Service(database, tmp_path, RENDER_SUPERVISOR_NAME="f") as one,
        ByScript(database, tmp_path, RENDER_SUPERVISOR_NAME="s") as other,
    ):
        assert isinstance(one.process, Fork)
        one.ready()
        other.ready()
        # Their children and connections come up one after the other, after that they keep what they have.
        pause, deadline = select.poll(), time.monotonic() + PATIENCE
        while (held := holds(one)) != holds(other):
            assert time.monotonic() < deadline, f"{held} is not {holds(other)}"
            pause.poll(50)
        assert held[0] == os.getpid()
        assert (one.stop(), other.stop()) == (0, 0)


def test_what_python_reads_at_its_start_is_no_forks(tmp_path: Path) -> None:
    """With a variable that changes Python, or outside of the tests, the script is started."""
    process = start(["--version"], {**environment(tmp_path), "PYTHONPATH": str(tmp_path)}, stdout=subprocess.DEVNULL)
    assert isinstance(process, subprocess.Popen)
    assert process.wait(PATIENCE) == 0
