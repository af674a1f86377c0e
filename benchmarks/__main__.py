"""Runs the benchmarks and prints a table: `make bench`, or some of them: `make bench ARGS="latency respawn"`."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import machine, results
from benchmarks.driver import told
from benchmarks.figure import Figure, number
from benchmarks.size import Size

QUESTIONS = (
    "statements", "idle", "day", "latency", "reaction", "respawn", "enqueue", "throughput", "scale", "growth",
    "snapshot", "efficiency", "disk", "memory", "cpu",
)  # fmt: skip
"""In the order in which they run: modules of this package, each with a function `measure`."""


def main(arguments: list[str] | None = None) -> int:
    """Measure what was named, or everything; print it and write it down."""
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 200)
    described = machine.description()
    found: dict[str, list[Figure]] = {}
    for name in options.names:
        started = time.perf_counter()
        found[name] = measure(name, Size(options.size))
        console.print(f"[dim]{name}: {time.perf_counter() - started:.0f} s[/dim]", highlight=False)
    described |= {"load_after": machine.load(), "settings": told}
    console.print(", ".join(f"{key} {value}" for key, value in described.items()), highlight=False)
    console.print(table(found))
    if not options.no_results:
        console.print(f"written to {results.write(described, options.size, found, options.results)}", highlight=False)
    return 0


def measure(name: str, size: Size) -> list[Figure]:
    """Ask one question. Its module is loaded only now: what one needs must not be in the way of the others."""
    figures: Figure | list[Figure] = importlib.import_module(f"benchmarks.{name}").measure(size)
    return figures if isinstance(figures, list) else [figures]


def table(found: dict[str, list[Figure]]) -> Table:
    """Return the figures as a table."""
    lines = Table("question", "measured", "floor", "ratio", "beside it", "goal", box=None, pad_edge=False)
    for figures in found.values():
        for figure in figures:
            lines.add_row(
                figure.question,
                f"{number(figure.value)} {figure.unit}",
                "-" if figure.floor is None else number(figure.floor),
                "-" if figure.ratio is None else number(figure.ratio),
                ", ".join(f"{name} {number(value)}" for name, value in figure.details.items()),
                ", ".join(f"{goal} {_word(met)}" for goal, met in figure.verdicts().items()),
            )
    return lines


def _word(met: bool | None) -> str:  # noqa: FBT001 - an answer, not a flag
    return "?" if met is None else "met" if met else "missed"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="question", help=f"of {', '.join(QUESTIONS)}; all by default")
    sizes = [size.value for size in Size]
    parser.add_argument("--size", choices=sizes, default="full", help="quick takes minutes, tiny proves that it runs")
    parser.add_argument("--results", type=Path, default=results.DIRECTORY, help="where the JSON file goes")
    parser.add_argument("--no-results", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    options.names = options.names or list(QUESTIONS)
    if unknown := [name for name in options.names if name not in QUESTIONS]:
        parser.error(f"a benchmark must be one of {', '.join(QUESTIONS)}, got {', '.join(unknown)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
