"""The SQL files: migrations and named queries. Python holds no statement text."""

from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def _root() -> Traversable:
    """Return the folder of SQL files: inside an installed package, at the top of a checkout."""
    packaged = files("supervisor") / "sql"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "sql"


sent: Counter[str] = Counter()
"""How often this process sent each named query on the supervisor's own sessions: its economy, for all to see."""


@functools.cache
def _queries() -> dict[str, str]:
    """Return all named queries. Read at once, at the first use: later a service may have no file left that it could open."""
    found = (entry for entry in (_root() / "queries").iterdir() if entry.name.endswith(".sql"))
    return {entry.name.removesuffix(".sql"): entry.read_text(encoding="utf-8") for entry in found}


def query(name: str) -> str:
    """Return the text of the named query `sql/queries/<name>.sql`."""
    return _queries()[name]


@functools.cache
def shortened(name: str, without: tuple[str, ...]) -> str:
    """Return the text of a named query less the parts of those names: the lines from `-- {name` to `-- name}`."""
    text = query(name)
    for part in without:
        text = re.sub(rf"^ *-- \{{{part}\n.*?^ *-- {part}\}}\n", "", text, flags=re.MULTILINE | re.DOTALL)
    return text


@functools.cache
def numbered(name: str, without: tuple[str, ...] = ()) -> tuple[str, tuple[str, ...]]:
    """Return the text of a named query with $1, $2, … for its parameters, and the parameters' names in that order.

    `without` as for `shortened`.

    It is what the server reads. Made once: a driver that makes it anew for each statement spends more on a long one than
    its way to the server takes.
    """
    names: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        return f"${names.setdefault(match[1], len(names) + 1)}" if match[1] else "%"

    text = re.sub(r"%(?:\((\w+)\)s|%)", number, shortened(name, without))
    return text, tuple(names)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of `sql/migrations`, and the public names that it creates."""

    version: int
    name: str
    text: str
    functions: tuple[str, ...]
    relations: tuple[str, ...]

    @property
    def checksum(self) -> str:
        """SHA-256 of the file as it is shipped, before the public schema is filled in."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def _declared(text: str, what: str) -> tuple[str, ...]:
    """Return the names listed in the file's header lines `-- public <what>: a b c`."""
    lines: list[str] = re.findall(rf"^-- public {what}: (.+)$", text, re.MULTILINE)
    return tuple(" ".join(lines).split())


@functools.cache
def migrations() -> tuple[Migration, ...]:
    """Return all migrations, in order. Versions are consecutive from 1."""
    found = []
    for entry in sorted((_root() / "migrations").iterdir(), key=lambda e: e.name):
        if match := re.fullmatch(r"(\d{4})_(\w+)\.sql", entry.name):
            text = entry.read_text(encoding="utf-8")
            found.append(
                Migration(int(match[1]), match[2], text, _declared(text, "functions"), _declared(text, "relations"))
            )
    return tuple(found)
