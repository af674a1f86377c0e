"""What commands print for people: whole where it is piped, as wide as need be on a terminal; and the version."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

import psycopg
import pytest

import supervisor
from tests.commands import command, environment, succeeds
from tests.prepared import COMMAND
from tests.test_dead_letters_command import DEAD, FIRST, SECOND, THIRD

LONG = "over its memory: " + "a word and " * 30 + "the end"


@pytest.fixture
def dead(database: str) -> str:
    """Provide a database with three dead letters, one with a long error."""
    with psycopg.connect(database) as connection:
        connection.execute(DEAD)
        connection.execute(
            "update jobsupervisor.dead_letter set error = %s where id = %s", [f"{LONG}\nsecond line", FIRST]
        )
    return database


def on_terminal(home: Path, width: int, *arguments: str, **settings: str) -> str:
    """Run `jobsupervisor` on a terminal of a width; return what it showed, without colours."""
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        env = environment(home, TERM="dumb", NO_COLOR="1", **settings)
        del env["COLUMNS"]
        with subprocess.Popen(
            [COMMAND, *arguments], env=env, cwd=home, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE
        ):
            os.close(theirs)
            shown = b""
            while True:
                try:
                    shown += (chunk := os.read(ours, 1 << 16))
                except OSError:  # the other end is closed
                    break
                if not chunk:
                    break
    finally:
        os.close(ours)
    return shown.decode()


@pytest.mark.parametrize("columns", ["20", "80"])
def test_a_dead_letter_is_one_line_where_it_is_piped(tmp_path: Path, dead: str, columns: str) -> None:
    """However narrow the terminal was: each id whole, with all of its error, and nothing behind it."""
    listed = succeeds(tmp_path, "dead-letters", "list", DATABASE_URL=dead, COLUMNS=columns).splitlines()
    assert len(listed) == 4
    assert listed[0].split() == ["id", "kind", "failure", "attempts", "died", "error"]
    assert {line.split()[0] for line in listed[1:]} == {FIRST, SECOND, THIRD}
    (line,) = [line for line in listed if line.startswith(FIRST)]
    assert line.endswith(LONG)
    assert all(line == line.rstrip() for line in listed)


def test_an_id_is_whole_on_a_narrow_terminal(tmp_path: Path, dead: str) -> None:
    """The error is folded there; ids are not."""
    shown = on_terminal(tmp_path, 60, "dead-letters", "list", DATABASE_URL=dead)
    assert all(identity in shown for identity in (FIRST, SECOND, THIRD))
    assert LONG not in shown
    assert "the end" in " ".join(shown.split())


def test_a_check_is_one_line_where_it_is_piped(tmp_path: Path, database: str) -> None:
    """Each check of the doctor is a line that ends with what to do about it."""
    result = command(tmp_path, "doctor", DATABASE_URL=database, RENDER_SANDBOX="best-effort", COLUMNS="40")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["check", "state", "what", "was", "found", "what", "to", "do"]
    states = [line for line in lines[1:] if {"ok", "degraded", "missing"} & set(line.split())]
    assert len(states) == len(lines) - 1
    (line,) = [line for line in lines if line.startswith("kinds ")]
    assert "noop, scene, svg" in line


def test_the_state_is_not_folded(tmp_path: Path, database: str) -> None:
    """Nor is what `status` says."""
    text = succeeds(tmp_path, "status", DATABASE_URL=database, COLUMNS="20")
    assert text.splitlines() == [
        "no jobs",
        "completed: 0 in the last minute, 0 in the last hour; delayed: 0; oldest runnable: none",
        "no supervisor is running",
    ]


def test_the_version(tmp_path: Path) -> None:
    """One line, before any setting is read."""
    said = succeeds(tmp_path, "--version", DATABASE_URL="no URL")
    assert said == f"jobsupervisor {supervisor.__version__}\n"
