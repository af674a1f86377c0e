"""Runs every benchmark and prints a table: `make bench`, or some of them: `make bench ARGS="latency respawn"`."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benchmarks import latency, reaction, respawn, statements, throughput
from benchmarks.driver import Figure

QUESTIONS: dict[str, Callable[[], Figure | list[Figure]]] = {
    "latency": latency.measure,
    "reaction": reaction.measure,
    "throughput": throughput.measure,
    "respawn": respawn.measure,
    "statements": statements.measure,
}


def main() -> int:
    """Measure what was named, or everything."""
    wanted = sys.argv[1:] or list(QUESTIONS)
    if unknown := [name for name in wanted if name not in QUESTIONS]:
        print(f"a benchmark must be one of {', '.join(QUESTIONS)}, got {', '.join(unknown)}", file=sys.stderr)
        return 2
    table = Table("question", "measured", "floor", "ratio", box=None, pad_edge=False)
    for name in wanted:
        found = QUESTIONS[name]()
        for figure in found if isinstance(found, list) else [found]:
            table.add_row(figure.question, figure.measured, figure.floor, figure.ratio)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
