"""SVG path data, checked strictly, as a short list of steps."""

from __future__ import annotations

import math
import re
from typing import Any

import svgelements

from renderer.kinds.numbers import ARC_AND_GAP, NUMBER_AND_GAP

# svgelements skips what it cannot read, and a typing error would become a path that is silently shorter.
_ALPHABET = re.compile(r"[\sMmLlHhVvCcSsQqTtAaZz0-9.,eE+-]*")
_START = re.compile(r"\s*[Mm]")
_COMMAND = re.compile(r"([A-DF-Za-df-z])([^A-DF-Za-df-z]*)")
_ARITY = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}
_MAX_COORDINATE = 1e6

# ("M" | "L", x, y), ("Q", x1, y1, x, y), ("C", x1, y1, x2, y2, x, y) or ("Z",), in pixels, absolute.
Step = tuple[str, tuple[float, ...]]


def parse_path(data: str) -> list[Step]:
    """Return the steps of SVG path data; arcs become cubic curves. Raises ValueError with what is wrong."""
    unexpected = _ALPHABET.match(data)
    end = unexpected.end() if unexpected else 0
    if end != len(data):
        raise ValueError(f"not SVG path data: {data[end]!r} at character {end}")
    if not _START.match(data):
        raise ValueError("SVG path data starts with M or m")
    _check_numbers(data)
    try:
        # A number without a digit is None in a segment, and shows only when the segment is read.
        steps = [step for segment in svgelements.Path(data) for step in _steps(segment)]
    except (ValueError, IndexError, TypeError, AttributeError, ZeroDivisionError, OverflowError):
        raise ValueError("not SVG path data: a command has too few numbers or a number is malformed") from None
    if not all(math.isfinite(value) and abs(value) <= _MAX_COORDINATE for _, values in steps for value in values):
        raise ValueError("SVG path data has a coordinate beyond ±1,000,000")
    return steps


def _check_numbers(data: str) -> None:
    """Raise ValueError unless each command has the numbers that it takes."""
    for command, inside in _COMMAND.findall(data):
        arity, pattern = _ARITY[command.upper()], ARC_AND_GAP if command in "Aa" else NUMBER_AND_GAP
        numbers = end = 0
        while found := pattern.match(inside, end):
            numbers, end = numbers + (arity if pattern is ARC_AND_GAP else 1), found.end()
        if inside[end:].strip():
            raise ValueError(f"not SVG path data: malformed after {command}: {inside[end:].strip()[:20]!r}")
        if numbers % arity if arity and numbers else numbers != arity:
            wanted = f"{command} takes {arity} at a time, and {numbers} follow it"
            raise ValueError(f"not SVG path data: too few numbers or too many: {wanted}")


def _steps(segment: Any) -> list[Step]:
    """Return the steps of one segment of svgelements."""
    if isinstance(segment, svgelements.Move):
        return [("M", _flat(segment.end))]
    if isinstance(segment, svgelements.Close):
        return [("Z", ())]
    if isinstance(segment, svgelements.Line):
        return [("L", _flat(segment.end))]
    if isinstance(segment, svgelements.QuadraticBezier):
        return [("Q", _flat(segment.control, segment.end))]
    if isinstance(segment, svgelements.CubicBezier):
        return [("C", _flat(segment.control1, segment.control2, segment.end))]
    curves = list(segment.as_cubic_curves())
    if not curves:  # an arc without a radius is a line
        return [("L", _flat(segment.end))]
    return [("C", _flat(curve.control1, curve.control2, curve.end)) for curve in curves]


def _flat(*points: Any) -> tuple[float, ...]:
    return tuple(float(value) for point in points for value in (point.x, point.y))
