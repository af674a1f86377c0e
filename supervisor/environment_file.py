"""Files of settings: `NAME=value`, a line each, as systemd's EnvironmentFile= takes them (systemd.exec(5)).

A process's own environment is fixed when it starts. What is to change while the service runs must therefore stand in a file
that the service reads by itself: RENDER_ENVIRONMENT_FILE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from supervisor.errors import ConfigurationError

SETTING = "RENDER_ENVIRONMENT_FILE"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNQUOTED = re.compile(r"\\(.)")
_QUOTED = re.compile(r'\\(["\\`$])')  # within double quotes a backslash stands for itself before anything else


def read(path: str) -> dict[str, str]:
    """Return the settings in a file; what is set to nothing counts as not set. Raises ConfigurationError with every mistake.

    A mistake is told by its line's number and never by its text, which may hold a secret.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{SETTING}: must be a file that can be read, {path}: {reason}") from None
    values: dict[str, str] = {}
    problems: list[str] = []
    for number, line in _lines(text):
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or not _NAME.fullmatch(name):
            problems.append(f"{path}:{number}: each line must be NAME=value, a comment or empty")
            continue
        try:
            values[name] = _unquoted(value.strip())
        except ValueError as error:
            problems.append(f"{path}:{number}: {name}: {error}")
    if problems:
        raise ConfigurationError(*problems)
    return {name: value for name, value in values.items() if value}


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that says something; one that ends in a backslash goes on in the next."""
    start, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if not parts:
            if not line.strip() or line.lstrip()[0] in "#;":
                continue
            start = number
        goes_on = line.endswith("\\") and not line.endswith("\\\\")
        parts.append(line[:-1] if goes_on else line)
        if not goes_on:
            yield start, "".join(parts)
            parts = []
    if parts:
        yield start, "".join(parts)


def _unquoted(value: str) -> str:
    """Return a value without its quotes. Raises ValueError where one is not closed."""
    quote = value[:1]
    if quote not in {'"', "'"}:
        return _UNQUOTED.sub(r"\1", value)
    if len(value) < 2 or value[-1] != quote:  # noqa: PLR2004 - one to open, one to close
        raise ValueError(f"a value that begins with {quote} must end with it")
    return value[1:-1] if quote == "'" else _QUOTED.sub(r"\1", value[1:-1])
