"""The checks around the tests: they find what is left behind, and a forbidden skip."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent

LEAKS = '''
import os, subprocess, sys, threading

import psycopg
import pytest

kept = []


def test_process():
    """Leave a process."""
    kept.append(subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE))


def test_orphan():
    """Leave the child of a process that ends."""
    subprocess.run(["/bin/sh", "-c", "tail -f /dev/null >/dev/null 2>&1 &"], check=True)


def test_thread():
    """Leave a thread."""
    threading.Thread(target=threading.Event().wait, name="left-thread", daemon=True).start()


def test_descriptor():
    """Leave a descriptor."""
    os.open("/dev/null", os.O_RDONLY)


def test_connection(pg_server):
    """Leave a connection."""
    kept.append(psycopg.connect(pg_server.url()))


def test_nothing(pg_server, tmp_path):
    """Leave nothing."""
    with psycopg.connect(pg_server.url()), (tmp_path / "file").open("w"):
        subprocess.run(["true"], check=True)
'''

SKIPS = '''
import pytest


def test_skipped():
    """Skip."""
    pytest.skip("nothing to test with")


@pytest.mark.skipif(True, reason="a mark")
def test_marked():
    """Skip by a mark."""


@pytest.mark.xfail
def test_expected_failure():
    """Fail as expected."""
    assert False
'''


ROOTS = '''
import os

import pytest

from tests.plugins.skips import needs_root

os.geteuid = lambda: int(os.environ["USER_NUMBER"])


def test_of_root():
    """Skip for want of root."""
    needs_root("a disk")


def test_of_a_program():
    """Skip for want of something else."""
    pytest.skip("a program that needs root: it is not installed")
'''


def run(directory: Path, *files: tuple[str, str], forbid_skips: str = "", user: int = 0) -> str:
    """Run pytest with the checks on files; return what it printed."""
    for name, text in files:
        (directory / name).write_text(text)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "JOBSUPERVISOR_"))
    }
    environment["PYTHONPATH"] = str(CHECKOUT)
    environment |= {"JOBSUPERVISOR_FAIL_ON_SKIP": forbid_skips, "USER_NUMBER": str(user)}
    options = ["--leak-grace=0.5", "-rA", "-c", os.devnull, "-p", "no:cacheprovider", "-p", "no:randomly"]
    options += [part for name in ("databases", "leaks", "skips") for part in ("-p", f"tests.plugins.{name}")]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, "."],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def test_what_is_left_behind_is_found(tmp_path: Path) -> None:
    """A process, an orphan of one, a thread, a descriptor and a connection each fail the test that left them."""
    said = run(tmp_path, ("test_leaks.py", LEAKS))
    for name in ("process", "orphan", "thread", "descriptor", "connection"):
        assert f"ERROR test_leaks.py::test_{name}" in said, said
    assert "ERROR test_leaks.py::test_nothing" not in said
    assert "tail -f /dev/null" in said
    assert "left-thread" in said
    assert "5 errors" in said


def test_a_skip_fails_where_skips_are_forbidden(tmp_path: Path) -> None:
    """A skipped test and a marked one fail with their reasons; an expected failure does not."""
    said = run(tmp_path, ("test_skips.py", SKIPS), forbid_skips="1")
    assert "no test may be skipped. This one: Skipped: nothing to test with" in said
    assert "no test may be skipped. This one: Skipped: a mark" in said
    assert "1 failed, 1 xfailed, 1 error" in said  # a mark is looked at before the test: pytest calls that an error


def test_a_skipped_module_fails_where_skips_are_forbidden(tmp_path: Path) -> None:
    """A module that skips itself, as pytest.importorskip makes it do, fails too."""
    module = 'import pytest\n\npytest.skip("no such part", allow_module_level=True)\n'
    said = run(tmp_path, ("test_module.py", module), forbid_skips="1")
    assert "no test may be skipped. This one: Skipped: no such part" in said
    assert "1 error" in said


def test_a_skip_is_a_skip_elsewhere(tmp_path: Path) -> None:
    """Without the variable nothing changes."""
    said = run(tmp_path, ("test_skips.py", SKIPS))
    assert "2 skipped, 1 xfailed" in said


def test_an_ordinary_user_may_skip_what_needs_root_and_nothing_else(tmp_path: Path) -> None:
    """With the value `but-for-root`: a skip for want of root is one, a skip for want of a program fails."""
    said = run(tmp_path, ("test_roots.py", ROOTS), forbid_skips="but-for-root", user=1000)
    assert "SKIPPED [1]" in said
    assert "needs root: a disk" in said
    assert "no test may be skipped. This one: Skipped: a program that needs root" in said
    assert "1 failed, 1 skipped" in said


@pytest.mark.parametrize(("forbid_skips", "user"), [("1", 1000), ("but-for-root", 0), ("1", 0), ("any", 1000)])
def test_nothing_needs_root_where_it_is_root(tmp_path: Path, forbid_skips: str, user: int) -> None:
    """Root may do it all; and without the value nobody leaves anything out."""
    assert "2 failed" in run(tmp_path, ("test_roots.py", ROOTS), forbid_skips=forbid_skips, user=user)
