"""What several commands read from their arguments: JSON files, `key=value` pairs, ids, ages."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from supervisor.errors import ConfigurationError

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def read_json(source: str, what: str) -> Any:
    """Read a JSON file, or standard input for `-`. Raises ConfigurationError."""
    return parse_json(read_text(source, what), f"{what} {source}")


def read_text(source: str, what: str) -> str:
    """Read a text file, or standard input for `-`. Raises ConfigurationError."""
    try:
        return sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{what} must be a readable file: {source}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{what} must be text in UTF-8: {source}") from None


def parse_json(text: str, what: str) -> Any:
    """Parse JSON. Raises ConfigurationError that says where it breaks."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"{what} must be JSON: {error}") from None


def pairs(given: Iterable[str]) -> dict[str, Any]:
    """Turn `key=value` into a dict; a value is JSON where it can be read as that, else text."""
    found: dict[str, Any] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigurationError(f"--set must be key=value, got {pair!r}")
        try:
            found[key] = orjson.loads(value)
        except orjson.JSONDecodeError:
            found[key] = value
    return found


def job_id(text: str) -> str:
    """Return a job's id in its usual form. Raises ConfigurationError."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ConfigurationError(f"a job's id must be a UUID, got {text!r}") from None


def age(text: str) -> float:
    """Return seconds for an age such as 90s, 15min, 12h, 30d. Raises ConfigurationError."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(f"an age must be a number with s, min, h or d, as in 30d, got {text!r}")
    return float(match[1]) * _SECONDS[match[2]]
