"""How far out the data of an SVG path leads: an upper bound, in the path's own units.

The sum of all its numbers would be one. But a drawing of a million small relative steps stays where it is, and there are
many such. So the steps are followed, to where the bound could matter.
"""

from __future__ import annotations

import re

from renderer.kinds.numbers import ARC_AND_GAP, NUMBER

NEAR = 10_000.0
"""A path whose numbers sum to less is not followed: no transform that a drawing program writes takes it too far."""

_NUMBER = re.compile(NUMBER)
_COMMAND = re.compile(r"([A-DF-Za-df-z])([^A-DF-Za-df-z]*)")
# An arc with a radius no larger than this is drawn as a line.
_LINE = 1e-5
_ARITY = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2}


def path_reach(data: str) -> float:
    """Return how far from the origin a point of the path, or a control point of it, can lie."""
    whole = sum(map(abs, _numbers(data)))
    # A flat arc that must grow to span its end points grows by as much as it is flat.
    if whole < NEAR and "a" not in data.lower():
        return 2 * whole
    pen = _Pen()
    for command, inside in _COMMAND.findall(data):
        pen.draw(command, inside)
    return pen.far


class _Pen:
    """Where a path has come to, and what of that is not known.

    `slack` is how far the true point may be from (`x`, `y`), and `bend` how far from it the control point that S and T
    reflect: a chain of them can swing further out with each step, though no number in it grows.
    """

    def __init__(self) -> None:
        self.x = self.y = self.slack = self.bend = self.far = 0.0
        self.start = (0.0, 0.0, 0.0)

    def draw(self, command: str, inside: str) -> None:
        """Follow one command and all its repetitions."""
        upper = command.upper()
        if upper == "Z":
            self.x, self.y, self.slack = self.start
        elif upper == "A":
            self._arcs(inside, absolute=command == "A")
        elif upper in "HV":
            self._straight(upper, _numbers(inside), absolute=command in "HV")
        elif upper in _ARITY:
            self._points(upper, _numbers(inside), absolute=command == upper)
        if upper in "ZAHV":
            self.bend = 0.0
        self.far = max(self.far, abs(self.x) + abs(self.y) + self.slack)

    def _arcs(self, inside: str, *, absolute: bool) -> None:
        end = 0
        while found := ARC_AND_GAP.match(inside, end):
            end = found.end()
            first, second, x, y = (float(found[index]) for index in (1, 2, 4, 5))
            before = self.x, self.y, self.slack
            self.x, self.y, self.slack = (x, y, 0.0) if absolute else (self.x + x, self.y + y, self.slack)
            chord = abs(self.x - before[0]) + abs(self.y - before[1]) + before[2]
            large, small = max(abs(first), abs(second)), min(abs(first), abs(second))
            # The smaller arc stays near its chord, whatever its radii: drawing programs write nearly straight ones.
            bulge = chord * large / small if small > _LINE else 0.0
            bulge = max(bulge, 2 * large if found[3] == "1" else 0.0)
            self.far = max(self.far, abs(self.x) + abs(self.y) + self.slack + chord + bulge)
        # What is no arc ends the path; how much of the rest is drawn is not known.
        rest = sum(map(abs, _numbers(inside[end:])))
        self.slack += rest
        self.far = max(self.far, abs(self.x) + abs(self.y) + self.slack + 2 * rest)

    def _straight(self, axis: str, given: list[float], *, absolute: bool) -> None:
        for value in given:
            if axis == "H":
                self.x = value if absolute else self.x + value
            else:
                self.y = value if absolute else self.y + value
            self.far = max(self.far, abs(self.x) + abs(self.y) + self.slack)

    def _points(self, upper: str, given: list[float], *, absolute: bool) -> None:
        arity = _ARITY[upper]
        # A few numbers too many are a mistake; what is drawn of it is within them.
        for first in range(0, len(given), arity):
            step = given[first : first + arity]
            step += [0.0] * (arity - len(step))
            before = self.x, self.y
            left, top, slack = (0.0, 0.0, 0.0) if absolute else (self.x, self.y, self.slack)
            points = [(left + x, top + y) for x, y in zip(step[::2], step[1::2], strict=True)]
            if upper in "ST":
                self.far = max(self.far, abs(self.x) + abs(self.y) + self.slack + self.bend)
            self.far = max(self.far, max(abs(x) + abs(y) for x, y in points) + slack)
            self.x, self.y = points[-1]
            self._bent(upper, points, before, slack)
            self.slack = slack
            if upper == "M" and not first:
                self.start = self.x, self.y, slack

    def _bent(self, upper: str, points: list[tuple[float, float]], before: tuple[float, float], slack: float) -> None:
        if upper == "T":
            self.bend += abs(self.x - before[0]) + abs(self.y - before[1]) + self.slack + slack
            self.far = max(self.far, abs(self.x) + abs(self.y) + slack + self.bend)
        elif upper in "CSQ":
            self.bend = abs(self.x - points[-2][0]) + abs(self.y - points[-2][1])
        else:
            self.bend = 0.0


def _numbers(text: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(text)]
