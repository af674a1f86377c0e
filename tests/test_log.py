"""The log of a service is JSON, line by line, whoever writes to it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

# A time zone that Python's list has not: psycopg warns that it takes another.
PROGRAM = """
import logging, sys, warnings
import psycopg
import structlog
from supervisor import log

log.configure(sys.argv[2], sys.argv[3])
warnings.simplefilter("always")
with psycopg.connect(sys.argv[1]) as connection:
    connection.execute("set timezone to '<ours>-3'")
    connection.execute("select now()").fetchone()
warnings.warn("this goes away in the next release", DeprecationWarning)
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("asyncio").exception("Task exception was never retrieved")
logging.getLogger("psycopg").info("below a warning")
logging.getLogger("psycopg").warning("wrong %d", "arguments")
structlog.get_logger().error("thing.happened", value=1)
"""


def said(url: str, level: str, form: str) -> str:
    """Return what a program writes to its log."""
    command = [sys.executable, "-c", PROGRAM, url, level, form]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == ""
    return result.stderr


def lines(text: str) -> list[dict[str, Any]]:
    """Return log lines; each must be JSON."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("level", ["debug", "info", "warning"])
def test_libraries_log_in_the_same_form(database: str, level: str) -> None:
    """What psycopg, Python and asyncio warn of is JSON with a time and a level; what is less than a warning is left out."""
    *warned, last = lines(said(database, level, "json"))
    assert {line["event"] for line in warned} == {"library.warned"}
    assert [(line["logger"], line["level"]) for line in warned] == [
        ("psycopg", "warning"),
        ("py.warnings", "warning"),
        ("asyncio", "error"),
        ("psycopg", "warning"),
    ]
    messages = [line["message"] for line in warned]
    assert "unknown PostgreSQL timezone" in messages[0]
    assert "this goes away" in messages[1]
    assert "ZeroDivisionError" in warned[2]["exception"]
    assert messages[3] == "wrong %d ('arguments',)"
    assert all(line["timestamp"].endswith("Z") for line in warned)
    assert (last["event"], last["value"]) == ("thing.happened", 1)


def test_the_level_holds_for_libraries_too(database: str) -> None:
    """Where only errors are wanted, no warning of a library is told."""
    told = [(line["event"], line["level"]) for line in lines(said(database, "error", "json"))]
    assert told == [("library.warned", "error"), ("thing.happened", "error")]


def test_for_people(database: str) -> None:
    """On a console they look like every other line, with the library's name."""
    text = said(database, "info", "console")
    assert "library.warned" in text
    assert "[psycopg]" in text
    assert "unknown PostgreSQL timezone" in text
