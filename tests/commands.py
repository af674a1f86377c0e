"""Runs the installed command as a user does, with nothing in its environment but what the test says."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.prepared import COMMAND, start


@contextlib.contextmanager
def open_home() -> Iterator[Path]:
    """Yield a directory that every user may enter, so that whatever a command makes for itself is made in it."""
    path = Path(tempfile.mkdtemp(prefix="js-test-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Return an environment with a home and a temporary directory of the test's own."""
    base = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "COLUMNS": "200", "HTTP_PORT": "0"}
    return base | settings


def command(
    home: Path, *arguments: str | Path, given: str | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run `jobsupervisor` to its end; no run of it may end in a traceback."""
    with contextlib.ExitStack() as stack:
        asked, said, complained = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        asked.write((given or "").encode())
        asked.seek(0)
        process = start(
            arguments,
            environment(home, **settings),
            directory=home,
            stdin=subprocess.DEVNULL if given is None else asked.fileno(),
            stdout=said.fileno(),
            stderr=complained.fileno(),
        )
        code = process.wait()
        said.seek(0)
        complained.seek(0)
        words = [str(word) for word in arguments]
        result = subprocess.CompletedProcess(words, code, said.read().decode(), complained.read().decode())
    assert "Traceback" not in result.stderr, result.stderr
    return result


def succeeds(home: Path, *arguments: str | Path, given: str | None = None, **settings: str) -> str:
    """Run `jobsupervisor`, which must exit with 0; return what it printed."""
    result = command(home, *arguments, given=given, **settings)
    assert result.returncode == 0, result.stderr
    return result.stdout


@contextlib.contextmanager
def waiting(home: Path, database: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `enqueue --wait` of a job that nobody takes; yield the command, and the job's id once it is told."""
    with subprocess.Popen(
        # Whoever runs the tests in the background has a shell that ignores Ctrl-C for them.
        ["env", "--default-signal=INT", COMMAND, "enqueue", "noop", "-", "--wait"],
        env=environment(home, DATABASE_URL=database),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("{}")
        process.stdin.close()
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def fails(code: int, home: Path, *arguments: str | Path, given: str | None = None, **settings: str) -> str:
    """Run `jobsupervisor`, which must exit with `code` and without output; return what it said on standard error."""
    result = command(home, *arguments, given=given, **settings)
    assert (result.returncode, result.stdout) == (code, ""), result.stderr
    return result.stderr


def rows_of(url: str, statement: str = "select * from render_jobs") -> list[dict[str, Any]]:
    """Return the rows of a statement."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(statement.encode()).fetchall()
