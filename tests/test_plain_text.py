"""A stranger's text does nothing to a terminal, wherever it is shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from supervisor.plain_text import escaped
from tests.commands import command, succeeds
from tests.test_dead_letters_command import DEAD, FIRST

NASTY = [
    *map(chr, range(32)),
    *map(chr, range(127, 160)),
    *"\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff",
]
ATTACK = "\x1b]0;owned\x07\x1b[31mred\x9b2J\r\u202egnp.exe\u2028[link=https://x]here[/link]"


@pytest.mark.parametrize("letter", NASTY, ids=lambda letter: f"{ord(letter):04x}")
def test_what_controls_a_terminal_is_spelled_out(letter: str) -> None:
    """C0, DEL, C1, marks of direction, separators of lines: nothing of them is left; what can be read stays."""
    told = escaped(f"a{letter}b")
    assert told.isprintable()
    assert told.startswith("a\\")
    assert told.endswith("b")


def test_what_can_be_read_stays() -> None:
    """Letters of all scripts and pictures; line breaks where they are wanted, and halves of characters never."""
    for text in ("plain", "grün ünïcode", "عربى", "日本", "🎬", "C:\\x"):
        assert escaped(text) == text
    assert escaped("a\nb\r\n", lines=True) == "a\nb\\r\n"
    assert escaped("\ud800") == "\\ud800"


LOGS = """
import structlog, sys
from supervisor import log
log.configure("debug", "console")
attack = sys.argv[1]
logger = structlog.get_logger()
logger.info("job.ended", error=attack, layers={attack: [attack]}, problem=ValueError(attack), **{attack: 1})
logger.info(attack)
try:
    password = "hunter" + "2"
    raise ValueError(attack)
except ValueError:
    logger.exception("job.failed")
print("done")
"""


def test_the_log_for_people() -> None:
    """Values, keys, events and tracebacks: each line holds what can be printed. No variable of a frame is told."""
    result = subprocess.run(
        [sys.executable, "-c", LOGS, ATTACK], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert result.stdout == "done\n"
    lines = result.stderr.split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    assert "\\x1b]0;owned" in result.stderr
    assert "hunter2" not in result.stderr


def test_commands(tmp_path: Path, database: str) -> None:
    """Lists, status and messages show a stranger's error, tenant and kind without doing what they say."""
    with psycopg.connect(database) as connection:
        connection.execute(DEAD)
        connection.execute("update jobsupervisor.dead_letter set error = %s, user_id = %s", [ATTACK, ATTACK])
    told = succeeds(tmp_path, "dead-letters", "list", DATABASE_URL=database)
    assert FIRST in told
    assert "[link=https://x]here[/link]" in told
    assert "\\x1b]0;owned" in told
    told += command(tmp_path, "dead-letters", "list", "--json", DATABASE_URL=database).stdout
    told += command(tmp_path, "dead-letters", "show", FIRST, DATABASE_URL=database).stdout
    told += command(tmp_path, "dead-letters", "show", ATTACK, DATABASE_URL=database).stderr
    told += command(tmp_path, "enqueue", ATTACK, "-", given="{}", DATABASE_URL=database).stderr
    assert [line for line in told.split("\n") if not line.isprintable()] == []
