"""Draws results: `make bench-charts`, or with a file: `make bench-charts ARGS="benchmarks/results/….json"`.

A picture for each question, bars with the floor's beside them, by the project's own renderer of SVG.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.figure import number
from renderer import Output
from renderer.kinds import svg

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
WIDTH, LEFT, BAR, ROW, HEAD, FOOT = 960, 400, 12, 40, 58, 26
PANEL = 240
FAR_APART = 50.0
"""Beyond so many times the smallest value, bars are drawn by the logarithm: else the small ones are not to be seen."""
OURS, FLOOR, INK, FAINT, PAPER = "#2563eb", "#94a3b8", "#0f172a", "#64748b", "#ffffff"
CURVES = {"enqueue": "#2563eb", "exchange": "#c2410c"}
Record = dict[str, Any]


def main() -> int:
    """Draw every question of a results file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.charts", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=results.newest(), help="the newest by default")
    parser.add_argument("--out", type=Path, default=PICTURES)
    options = parser.parse_args()
    if options.file is None:
        parser.error("there are no results to draw; run `make bench` first")
    found = json.loads(options.file.read_text())
    options.out.mkdir(parents=True, exist_ok=True)
    for question, records in found["figures"].items():
        if records:
            path = options.out / f"bench-{question.replace(' ', '-').replace(',', '')}.png"
            drawing = curves if all("rows" in record["details"] for record in records) else chart
            path.write_bytes(draw(drawing(question, records, caption(found["machine"]))))
            print(path)
    return 0


def caption(machine: Record) -> str:
    """Return the line below a chart: when, on what."""
    return (
        f"{machine['taken_at'][:10]}, {machine['cpus']} x {machine['cpu_model']}, Linux {machine['kernel']}, "
        f"{machine['postgresql'].replace('postgres (PostgreSQL)', 'PostgreSQL')}, Python {machine['python']}"
    )


def chart(question: str, records: list[Record], below: str) -> str:
    """Return a chart as SVG: a row for each figure, our bar and the floor's."""
    length, how = scale([value for record in records for value in (record["value"], record["floor"]) if value])
    height = HEAD + ROW * len(records) + FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="Lato">',
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
        _text(16, 26, question, 18, INK),
        f'<rect x="16" y="36" width="10" height="10" fill="{OURS}"/>' + _text(32, 45, "measured", 12, FAINT),
        f'<rect x="110" y="36" width="10" height="10" fill="{FLOOR}"/>' + _text(126, 45, f"floor{how}", 12, FAINT),
    ]
    for row, record in enumerate(records):
        top = HEAD + ROW * row
        parts.append(_text(LEFT - 12, top + 18, _short(record["question"]), 13, INK, "end"))
        parts.append(_bar(top + 2, length(record["value"]), OURS, f"{number(record['value'])} {record['unit']}"))
        if record["floor"]:
            parts.append(_bar(top + 4 + BAR, length(record["floor"]), FLOOR, number(record["floor"])))
    parts += [_text(16, height - 9, below, 11, FAINT), "</svg>"]
    return "".join(parts)


def curves(question: str, records: list[Record], below: str) -> str:
    """Return a chart as SVG: how many times the floor each takes, over the number of rows; the median, and dashed the p99."""
    panels = sorted({record["question"].rsplit(" ", 1)[1] for record in records}, reverse=True)
    height = HEAD + PANEL + 40 + FOOT
    top_ratio = max(2.0, *(max(record["ratio"], record["details"]["p99 ratio"]) for record in records)) * 1.05
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="Lato">',
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
        _text(
            16, 26, f"{question}: times what the same takes on an empty database (dashed: the 99th percentile)", 16, INK
        ),
    ]
    for place, (what, colour) in enumerate(CURVES.items()):
        left = 16 + 100 * place
        parts.append(
            f'<rect x="{left}" y="36" width="10" height="10" fill="{colour}"/>' + _text(left + 16, 45, what, 12, FAINT)
        )
    for number_of, panel in enumerate(panels):
        chosen = [record for record in records if record["question"].endswith(panel)]
        start = 60 + number_of * WIDTH / len(panels)
        parts.append(_panel(panel, chosen, start, WIDTH / len(panels) - 100, top_ratio))
    parts += [_text(16, height - 9, below, 11, FAINT), "</svg>"]
    return "".join(parts)


def _panel(name: str, records: list[Record], left: float, width: float, top_ratio: float) -> str:
    rows = sorted({record["details"]["rows"] for record in records})
    decades = math.log10(rows[-1] / rows[0]) or 1.0

    def across(count: float) -> float:
        return left + math.log10(count / rows[0]) / decades * width

    def down(ratio: float) -> float:
        return HEAD + PANEL * (1 - ratio / top_ratio)

    parts = [
        f'<line x1="{left}" x2="{left + width}" y1="{down(ratio):.1f}" y2="{down(ratio):.1f}" stroke="{FLOOR}" stroke-width="0.7"/>'
        + _text(left - 8, down(ratio) + 4, number(ratio), 11, FAINT, "end")
        for ratio in (0.0, 0.5, 1.0, 1.5, 2.0)
    ]
    parts += [_text(across(count), HEAD + PANEL + 18, _rounded(count), 11, FAINT, "middle") for count in rows]
    parts.append(_text(left + width / 2, HEAD + PANEL + 36, f"jobs {name}", 12, INK, "middle"))
    for what, colour in CURVES.items():
        own = sorted((r["details"]["rows"], r) for r in records if r["question"].startswith(f"{what} "))
        for of, dashes in (("ratio", ""), ("p99 ratio", ' stroke-dasharray="3 4"')):
            values = [(across(count), down(r["ratio"] if of == "ratio" else r["details"][of])) for count, r in own]
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in values)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
    return "".join(parts)


def _rounded(count: float) -> str:
    for least, unit in ((1_000_000, " M"), (1_000, " k")):
        if count >= least:
            return f"{count / least:g}{unit}"
    return f"{count:g}"


def scale(values: list[float]) -> tuple[Callable[[float], float], str]:
    """Return what makes a bar's length of a value, and how to say so where it is not in proportion."""
    room = WIDTH - LEFT - 170
    largest, smallest = max(values, default=1.0), min(values, default=1.0)
    if largest / smallest <= FAR_APART:
        return (lambda value: value / largest * room), ""
    decades = math.log10(largest / smallest) + 0.5
    return (lambda value: max(0.0, (math.log10(value / smallest) + 0.5) / decades * room) if value > 0 else 0.0), (
        ", logarithmic"
    )


def draw(text: str) -> bytes:
    """Return an SVG text as PNG, twice as large."""
    with tempfile.TemporaryFile() as file:
        out = Output(file.fileno())
        svg.render(svg.SvgSpec(svg=text), svg.SvgConfig(width=2 * WIDTH), out)
        out.flush()
        picture = os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)
        out.close()
    return picture


def _text(x: float, y: float, text: str, size: int, fill: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" text-anchor="{anchor}">{escape(text)}</text>'


def _bar(y: float, length: float, fill: str, label: str) -> str:
    bar = f'<rect x="{LEFT}" y="{y}" width="{max(1.0, length):.1f}" height="{BAR}" rx="2" fill="{fill}"/>'
    return bar + _text(LEFT + max(1.0, length) + 6, y + BAR - 2, label, 12, INK)


def _short(text: str, longest: int = 58) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


if __name__ == "__main__":
    sys.exit(main())
