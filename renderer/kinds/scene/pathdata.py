"""SVG path data, checked strictly, as a short list of steps."""

from __future__ import annotations

import math
import re
from typing import Any

import svgelements

# svgelements skips what it cannot read, and a typing error would become a path that is silently shorter.
_ALPHABET = re.compile(r"[\sMmLlHhVvCcSsQqTtAaZz0-9.,eE+-]*")
_START = re.compile(r"\s*[Mm]")
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
    try:
        segments = list(svgelements.Path(data))
    except (ValueError, IndexError, TypeError, AttributeError, ZeroDivisionError, OverflowError):
        raise ValueError("not SVG path data: a command has too few numbers or a number is malformed") from None
    steps = [step for segment in segments for step in _steps(segment)]
    if not all(math.isfinite(value) and abs(value) <= _MAX_COORDINATE for _, values in steps for value in values):
        raise ValueError("SVG path data has a coordinate beyond ±1,000,000")
    return steps


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
