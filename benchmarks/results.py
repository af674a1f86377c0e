"""Writes what was measured: a dated JSON file, and plans beside it as text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure

DIRECTORY = Path(__file__).parent / "results"


def write(machine: dict[str, Any], size: str, found: dict[str, list[Figure]], directory: Path = DIRECTORY) -> Path:
    """Write the figures of a run; return the file."""
    directory.mkdir(parents=True, exist_ok=True)
    stem = f"{datetime.now(UTC):%Y-%m-%d}-{size}-{'-'.join(found) if len(found) <= 2 else 'all'}"  # noqa: PLR2004 - a name to read
    path = _free(directory, stem)
    figures = {name: [figure.record() for figure in each] for name, each in found.items()}
    path.write_text(
        json.dumps({"machine": machine, "size": size, "figures": figures}, indent=1, ensure_ascii=False) + "\n"
    )
    plans = [
        f"-- {figure.question}: {title}\n\n{plan}\n"
        for each in found.values()
        for figure in each
        for title, plan in figure.notes.get("plans", {}).items()
    ]
    if plans:
        path.with_suffix(".plans.txt").write_text("\n".join(plans))
    return path


def newest(directory: Path = DIRECTORY) -> Path | None:
    """Return the newest results, or None."""
    return max(directory.glob("*.json"), key=lambda path: (path.name[:10], path.stat().st_mtime), default=None)


def _free(directory: Path, stem: str) -> Path:
    """Return a name that is not taken: a second run of the day must not overwrite the first."""
    path, number = directory / f"{stem}.json", 2
    while path.exists():
        path, number = directory / f"{stem}-{number}.json", number + 1
    return path
