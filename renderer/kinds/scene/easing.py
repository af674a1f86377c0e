"""Easing curves: how far an animation is, as a function of how much of its time has passed."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable

Easing = Callable[[float], float]

_CALL = re.compile(r"(cubicbezier|steps)\(([^()]*)\)")
_NEWTON_ROUNDS = 8
_BISECTIONS = 30


def parse_easing(text: str) -> Easing:
    """Return the curve that `text` names; from 0 to 1, f(0) = 0 and f(1) = 1. Raises ValueError."""
    name = re.sub(r"[-_\s]", "", text.lower()) if "(" not in text else text.lower().replace("cubic-", "cubic")
    if name in _CURVES:
        return _CURVES[name]
    call = _CALL.fullmatch(name.replace(" ", ""))
    if call is None:
        raise ValueError(
            f"{text!r} is not an easing: write linear, ease, easeInOutQuad, easeOutBounce, …, steps(4) "
            "or cubic-bezier(0.4, 0, 0.2, 1)"
        )
    arguments = call[2].split(",")
    return _parse_steps(arguments) if call[1] == "steps" else _parse_bezier(arguments)


def _parse_steps(arguments: list[str]) -> Easing:
    position = arguments[1] if len(arguments) == 2 else "end"  # noqa: PLR2004 - steps(count, position)
    count = int(arguments[0]) if arguments[0].isdecimal() and len(arguments[0]) < 5 else 0  # noqa: PLR2004
    if count < 1 or len(arguments) > 2 or position not in {"start", "end", "jump-start", "jump-end"}:  # noqa: PLR2004
        raise ValueError("steps takes a count from 1 to 9999 and, optionally, start or end")
    return steps(count, at_start=position.endswith("start"))


def _parse_bezier(arguments: list[str]) -> Easing:
    try:
        x1, y1, x2, y2 = (float(argument) for argument in arguments)
    except ValueError:
        raise ValueError("cubic-bezier takes four numbers") from None
    if not (0 <= x1 <= 1 and 0 <= x2 <= 1 and abs(y1) <= 10 and abs(y2) <= 10):  # noqa: PLR2004
        raise ValueError("cubic-bezier takes x1 and x2 from 0 to 1 and y1 and y2 from -10 to 10")
    return cubic_bezier(x1, y1, x2, y2)


def steps(count: int, *, at_start: bool) -> Easing:
    """Return a stair of `count` equal steps, which rises at the start or at the end of each."""

    def stair(x: float) -> float:
        risen = math.floor(x * count) + (1 if at_start else 0)
        return min(1.0, risen / count)

    return stair


def cubic_bezier(x1: float, y1: float, x2: float, y2: float) -> Easing:
    """Return the CSS curve through (0, 0) and (1, 1) with the two given control points."""

    def axis(a: float, b: float, s: float) -> float:
        return ((1 - 3 * b + 3 * a) * s + (3 * b - 6 * a)) * s * s + 3 * a * s

    def slope(s: float) -> float:
        return 3 * (1 - 3 * x2 + 3 * x1) * s * s + 2 * (3 * x2 - 6 * x1) * s + 3 * x1

    def curve(x: float) -> float:
        if x <= 0 or x >= 1:
            return min(1.0, max(0.0, x))
        s = x
        for _ in range(_NEWTON_ROUNDS):
            steepness = slope(s)
            if steepness < 1e-6:  # noqa: PLR2004 - too flat for Newton, bisect
                break
            s -= (axis(x1, x2, s) - x) / steepness
        if not 0 <= s <= 1 or abs(axis(x1, x2, s) - x) > 1e-6:  # noqa: PLR2004
            s = _bisect(lambda middle: axis(x1, x2, middle) < x)
        return axis(y1, y2, s)

    return curve


def _bisect(below: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


def _power(exponent: int) -> Easing:
    return lambda x: math.pow(x, exponent)


def _back(x: float) -> float:
    return (2.70158 * x - 1.70158) * x * x


def _elastic(x: float) -> float:
    if x <= 0 or x >= 1:
        return x
    return -math.pow(2, 10 * x - 10) * math.sin((x * 10 - 10.75) * 2 * math.pi / 3)


def _bounce(x: float) -> float:
    """Bounce in: the mirror image of a ball that falls and comes to rest."""
    y = 1 - x
    for start, centre, floor in ((0, 0, 0), (1, 1.5, 0.75), (2, 2.25, 0.9375), (2.5, 2.625, 0.984375)):
        if start / 2.75 <= y:
            offset, lift = (y - centre / 2.75), floor
    return 1 - (7.5625 * offset * offset + lift)


# Each family as it eases in; easing out is its mirror image and in-out is one half of each.
_FAMILIES: dict[str, Easing] = {
    "sine": lambda x: 1 - math.cos(x * math.pi / 2),
    "quad": _power(2),
    "cubic": _power(3),
    "quart": _power(4),
    "quint": _power(5),
    "expo": lambda x: 0.0 if x <= 0 else math.pow(2, 10 * x - 10),
    "circ": lambda x: 1 - math.sqrt(max(0.0, 1 - x * x)),
    "back": _back,
    "elastic": _elastic,
    "bounce": _bounce,
}


def _mirrored(ease_in: Easing, x: float) -> float:
    return 1 - ease_in(1 - x)


def _halves(ease_in: Easing, x: float) -> float:
    return ease_in(2 * x) / 2 if x < 0.5 else 1 - ease_in(2 - 2 * x) / 2  # noqa: PLR2004 - the half


def _named_curves() -> dict[str, Easing]:
    curves: dict[str, Easing] = {
        "linear": float,
        "ease": cubic_bezier(0.25, 0.1, 0.25, 1),
        "easein": cubic_bezier(0.42, 0, 1, 1),
        "easeout": cubic_bezier(0, 0, 0.58, 1),
        "easeinout": cubic_bezier(0.42, 0, 0.58, 1),
        "stepstart": steps(1, at_start=True),
        "stepend": steps(1, at_start=False),
    }
    for family, ease_in in _FAMILIES.items():
        curves[f"easein{family}"] = ease_in
        curves[f"easeout{family}"] = functools.partial(_mirrored, ease_in)
        curves[f"easeinout{family}"] = functools.partial(_halves, ease_in)
    return curves


_CURVES = _named_curves()
