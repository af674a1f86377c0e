"""Tables for people, and for what they pipe them into: a row is one line, and nothing in it that is copied is ever broken."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from supervisor.plain_text import escaped

_ROOM = 30
"""Columns that a terminal's free text has at the least; a narrower terminal wraps the lines by itself."""
_WIDEST = 100_000


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str | Text]], *, free: int = 0) -> None:
    """Print rows; the last `free` columns are text that may be folded, where a terminal is too narrow for it.

    Cells are text: what looks like markup in a stranger's error is none, and what would control a terminal is spelled out.
    """
    console = Console()
    width = max(console.width, _least(headers, rows, free)) if console.is_terminal else _WIDEST
    # Both, since of one alone rich believes the terminal.
    console = Console(width=width, height=console.height)
    table = table_of(headers, rows, free)
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        console.out(line.rstrip(), highlight=False)


def one_line(text: str) -> str:
    """Return a text as one line."""
    return " ".join(text.split())


def _least(headers: Sequence[str], rows: Sequence[Sequence[str | Text]], free: int) -> int:
    """Return the width below which a column that must stay whole would be cut."""
    fixed = table_of(headers[: len(headers) - free], [row[: len(headers) - free] for row in rows], 0)
    wide = Console(width=_WIDEST)
    return Measurement.get(wide, wide.options, fixed).maximum + free * (_ROOM + 2)


def table_of(headers: Sequence[str], rows: Sequence[Sequence[str | Text]], free: int = 0) -> Table:
    """Return a table of those rows; `free` as above."""
    table = Table(box=None, pad_edge=False)
    for number, header in enumerate(headers):
        table.add_column(header, no_wrap=number < len(headers) - free, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(escaped(cell)) for cell in row))
    return table
