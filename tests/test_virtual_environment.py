"""The script behind `make`'s virtual environment: which Python it takes, and what it says where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci/virtual-environment"
NOBODY = 65534


def make(directory: Path | str, *python: str | Path, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    """Run the script."""
    return subprocess.run([SCRIPT, directory, *python], env={"PATH": path}, capture_output=True, text=True, check=False)


def named(directory: Path, name: str, text: str) -> Path:
    """Write a program."""
    program = directory / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


def test_the_python_that_is_named_is_taken(tmp_path: Path) -> None:
    """And not the newest on the machine."""
    log = tmp_path / "log"
    named(tmp_path, "python3.13", f"echo newest >>{log}")
    chosen = named(tmp_path, "chosen", f'echo "$@" >>{log}; [ "$1" = -m ] || exec {sys.executable} "$@"')
    done = make(tmp_path / "venv", chosen, path=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    said = log.read_text()
    assert said.splitlines()[-1] == f"-m venv --clear {tmp_path / 'venv'}"
    assert "newest" not in said


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("echo Python 3.10.1; exit 1", "PYTHON=/PLACE/python is none that runs: Python 3.10.1"),
        ("echo not installed >&2; exit 127", "PYTHON=/PLACE/python is none that runs: not installed"),
        (
            "case $2 in *version_info*print*|*print*) echo python3.11-venv;; *ensurepip*) exit 1;; esac",
            "apt-get install python3.11-venv",
        ),
    ],
)
def test_a_python_that_will_not_do_is_named(tmp_path: Path, program: str, complaint: str) -> None:
    """Too old, a shim of nothing, one without ensurepip: the message has the way out, and no other is taken instead."""
    done = make(tmp_path / "venv", named(tmp_path, "python", program))
    assert done.returncode == 1
    assert complaint.replace("/PLACE", str(tmp_path)) in done.stderr
    assert not (tmp_path / "venv").exists()


def test_anothers_environment_is_left_alone() -> None:
    """An ordinary user in a tree where root worked is told whose it is, in two lines and no traceback."""
    done = subprocess.run(
        ["/bin/sh", "-s", "--", "/usr"],
        input=SCRIPT.read_text(),
        user=NOBODY if os.geteuid() == 0 else None,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "/usr is not yours but root's" in done.stderr
    assert "git clone" in done.stderr
    assert done.stderr.count("\n") == 2
