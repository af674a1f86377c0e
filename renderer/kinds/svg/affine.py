"""How far an SVG transform can take a point: an upper bound."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from renderer.kinds.numbers import NUMBER

_NUMBER = re.compile(NUMBER)
_FUNCTION = re.compile(r"\b(\w+)\s*\(([^()]*)\)")


@dataclass(frozen=True, slots=True)
class Affine:
    """What a transform does at most: a point `far` from the origin is at most factor * far + shift from it after."""

    factor: float = 1.0
    shift: float = 0.0

    def then(self, outer: Affine) -> Affine:
        """Return this transform within another."""
        return Affine(self.factor * outer.factor, self.shift * outer.factor + outer.shift)


_STILL = Affine()


def affine(text: str) -> Affine:
    """Return the bound of a transform list."""
    whole = _STILL
    for name, inside in reversed(_FUNCTION.findall(text)):
        whole = whole.then(_function(name.lower(), [float(number) for number in _NUMBER.findall(inside)]))
    return whole


def _function(name: str, given: list[float]) -> Affine:
    if name.startswith("translate"):
        return Affine(1.0, sum(map(abs, given)))
    if name.startswith("scale") and given:
        return Affine(max(map(abs, given)))
    if name.startswith("skew") and given:
        return Affine(1 + abs(math.tan(math.radians(given[0]))) if math.isfinite(given[0]) else 1.0)
    if name == "rotate":
        return Affine(1.0, 2 * sum(map(abs, given[1:3])))
    if name == "matrix" and len(given) == 6:  # noqa: PLR2004 - a, b, c, d, e, f
        a, b, c, d, e, f = given
        # The larger singular value of the 2 x 2 part.
        factor = (math.hypot(a + d, b - c) + math.hypot(a - d, b + c)) / 2
        return Affine(factor, abs(e) + abs(f))
    return _STILL
