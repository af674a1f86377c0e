"""How far out an SVG document draws, in its own pixels: an upper bound.

resvg computes with 32-bit floats, and fills paths with fixed-point numbers: an edge some 10^9 pixels out makes it panic,
or abort the process. No single number says so: `scale(1000)` within itself four times over takes 1 to 10^12. So the
bound is made from the leaves up: what an element and all within it, or drawn through its references, reaches, then its
transform. Parse errors are left to resvg, which passes over an attribute that it cannot read.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from renderer.kinds.svgexpand import Node

MAX_REACH = 1e8

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_LENGTH = re.compile(rf"({_NUMBER})\s*(%|em|ex|ch|rem|mm|cm|in|pt|pc|Q)?")
_FUNCTION = re.compile(r"(\w+)\s*\(([^()]*)\)")
_DECLARATION = re.compile(r"([\w-]+)\s*:\s*([^;{}]*)")
_RELATIVE = re.compile(r"[a-df-zTS]")
_PIXELS = {"mm": 3.78, "cm": 37.8, "in": 96.0, "pt": 4 / 3, "pc": 16.0, "Q": 0.945}
_PLACES = (
    *("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "width", "height", "refX", "refY", "markerWidth"),
    *("markerHeight", "points", "startOffset", "baseline-shift", "textLength"),
)
# Of a line of text the width is the sum over its letters.
_LETTER = ("font-size", "letter-spacing", "word-spacing", "dx", "dy", "kerning")
_VIEWPORTS = frozenset({"svg", "symbol", "marker", "pattern", "view"})
_CONTENT_UNITS = ("patternContentUnits", "maskContentUnits", "clipPathUnits")


def _float(text: str) -> float:
    return abs(float(text))  # infinite where a float cannot hold it


def numbers(text: str) -> list[float]:
    """Return the numbers in a text, without their signs and units."""
    return [_float(match[1]) for match in _LENGTH.finditer(text)]


def declarations(css: str) -> list[tuple[str, str]]:
    """Return the (property, value) pairs in a style sheet or a style attribute."""
    return [(match[1].lower(), match[2]) for match in _DECLARATION.finditer(css)]


@dataclass(frozen=True, slots=True)
class Affine:
    """What a transform does at most: a point `far` from the origin is at most factor * far + shift from it after."""

    factor: float = 1.0
    shift: float = 0.0

    def then(self, outer: Affine) -> Affine:
        """Return this transform within another."""
        return Affine(self.factor * outer.factor, self.shift * outer.factor + outer.shift)


def affine(text: str) -> Affine:
    """Return the bound of a transform list."""
    whole = Affine()
    for name, inside in reversed(_FUNCTION.findall(text)):
        whole = whole.then(_function(name.lower(), [float(match[1]) for match in _LENGTH.finditer(inside)]))
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
    return Affine()


@dataclass
class Reach:
    """The measure of one document. `css` is its style sheets, `letters` its characters of text."""

    by_id: dict[str, Node]
    css: str
    letters: int
    known: dict[int, float] = field(default_factory=dict)
    viewport: float = 100.0
    thickness: float = 1.0
    letter: float = 16.0
    everywhere: Affine = field(default_factory=Affine)

    def of(self, root: Node, nodes: list[Node]) -> float:
        """Return how far the document reaches, in the pixels of the root."""
        sheet = [pair for pair in declarations(self.css) if pair[0] in _SHEET]
        pairs = sheet + [pair for node in nodes for pair in _properties(node)]
        sizes = [value for name, text in pairs if name in {"width", "height"} for value in self._lengths(text)]
        self.viewport = max([100.0, *sizes])
        self.thickness = max([1.0, *self._all(pairs, "stroke-width")]) * max(
            [4.0, *self._all(pairs, "stroke-miterlimit")]
        )
        self.letter = sum(max([0.0, *self._all(pairs, name)]) for name in _LETTER) + 16.0
        transforms = [affine(text) for name, text in sheet if name == "transform"]
        factor = max([1.0, *(found.factor for found in transforms)])
        self.everywhere = Affine(factor, max([0.0, *(found.shift for found in transforms)]))
        return self._measure(root)

    def _all(self, pairs: list[tuple[str, str]], wanted: str) -> list[float]:
        return [value for name, text in pairs if name == wanted for value in self._lengths(text)]

    def _lengths(self, text: str) -> list[float]:
        """Return lengths in pixels; one that is relative to a font's size counts in sixteens."""
        found = []
        for match in _LENGTH.finditer(text):
            unit = match[2] or ""
            scale = (
                self.viewport / 100
                if unit == "%"
                else 16.0
                if unit in {"em", "ex", "ch", "rem"}
                else _PIXELS.get(unit, 1.0)
            )
            found.append(_float(match[1]) * scale)
        return found

    def _measure(self, node: Node) -> float:
        """Return the reach of an element in its parent's pixels; each is measured once.

        The depth is bounded before: `check_expansion` has held it to 400 levels.
        """
        if id(node) not in self.known:
            own = dict(_properties(node))
            far = self._far(node, own)
            for child in node.children:
                far = max(far, self._measure(child))
            far = max([far, *(self._through(node, far, target) for target in node.targets(self.by_id))])
            far = far * self._zoom(node, own) + self._corner(own)
            moved = affine(own.get("transform", "")).then(affine(own.get("patterntransform", ""))).then(self.everywhere)
            self.known[id(node)] = far * moved.factor + moved.shift
        return self.known[id(node)]

    def _far(self, node: Node, own: dict[str, str]) -> float:
        """Return how far the element's own geometry reaches."""
        found = [value for name in _PLACES for value in self._lengths(own.get(name.lower(), ""))]
        data = own.get("d", "")
        steps = numbers(data)
        found.append(2 * sum(steps) if _RELATIVE.search(data) else 2 * max(steps, default=0.0))
        if node.name == "text":
            found.append(self.letter * self.letters)
        return max(found) * 2 + self.thickness

    def _through(self, node: Node, far: float, target: Node) -> float:
        """Return the reach of what an element draws by reference."""
        reach = self._measure(target)
        if target.name == "marker":
            return reach * self.thickness + far
        boxed = any(target.attributes.get(name) == "objectBoundingBox" for name in _CONTENT_UNITS)
        return reach * max(1.0, far) + far if boxed else reach + (far if node.name == "use" else 0.0)

    def _zoom(self, node: Node, own: dict[str, str]) -> float:
        """Return by how much a view box enlarges what is within it."""
        box = numbers(own.get("viewbox", ""))
        if node.name not in _VIEWPORTS or len(box) != 4 or not min(box[2:]):  # noqa: PLR2004 - x, y, width, height
            return 1.0
        sides = [
            value
            for name in ("width", "height", "markerwidth", "markerheight")
            for value in self._lengths(own.get(name, ""))
        ]
        return max(1.0, max(sides, default=self.viewport) / min(box[2:]))

    def _corner(self, own: dict[str, str]) -> float:
        return sum(max(self._lengths(own.get(name, "")), default=0.0) for name in ("x", "y"))


_SHEET = frozenset({"transform", "stroke-width", "stroke-miterlimit", *_LETTER})


def _properties(node: Node) -> list[tuple[str, str]]:
    """Return an element's attributes and the declarations in its style, by names in lower case, without prefixes."""
    own = [(name.rpartition(":")[2].lower(), value) for name, value in node.attributes.items()]
    return own + declarations(node.attributes.get("style", ""))
