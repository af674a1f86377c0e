"""How far out an SVG document draws, in its own pixels: an upper bound.

resvg computes with 32-bit floats, and fills paths with fixed-point numbers: an edge some 10^9 pixels out makes it panic,
or abort the process. No single number says so: `scale(1000)` within itself four times over takes 1 to 10^12. So the
bound is made from the leaves up: what an element and all within it, or drawn through its references, reaches, then its
transform. Parse errors are left to resvg, which passes over an attribute that it cannot read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from renderer.kinds.numbers import NUMBER
from renderer.kinds.svg.affine import Affine, affine
from renderer.kinds.svg.expand import Node, all_nodes
from renderer.kinds.svg.outline import path_reach

MAX_REACH = 4e8  # the nearest that aborts is a triangle with corners at 7e8

_LENGTH = re.compile(rf"({NUMBER})\s*(%|em|ex|ch|rem|mm|cm|in|pt|pc|Q)?")
_DECLARATION = re.compile(r"(?<![\w-])([\w-]+)\s*:\s*([^;{}]*)")
_PIXELS = {"mm": 3.78, "cm": 37.8, "in": 96.0, "pt": 4 / 3, "pc": 16.0, "Q": 0.945}
_PIXELS |= dict.fromkeys(("em", "ex", "ch", "rem"), 16.0)
_PLACES = frozenset(
    {
        *("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "width", "height", "refx", "refy"),
        *("markerwidth", "markerheight", "points", "startoffset", "baseline-shift", "textlength"),
    }
)
# Of a line of text the width is the sum over its letters.
_LETTER = ("font-size", "letter-spacing", "word-spacing", "dx", "dy", "kerning")
# What style sheets can set of all this.
_SHEET = frozenset({"transform", "stroke-width", "stroke-miterlimit", *_LETTER})
_VIEWPORTS = frozenset({"svg", "symbol", "marker", "pattern", "view"})
_CONTENT_UNITS = ("patternContentUnits", "maskContentUnits", "clipPathUnits")
_MAX_HEIRS = 20
_NOTHING = Node("", {})


@dataclass(frozen=True, slots=True)
class Extent:
    """What a document takes: how far out it draws, in pixels, and the largest tile of a pattern, in square pixels."""

    reach: float
    tile: float


def _float(text: str) -> float:
    return abs(float(text))  # infinite where a float cannot hold it


def numbers(text: str) -> list[float]:
    """Return the numbers in a text, without their signs and units."""
    return [_float(match[1]) for match in _LENGTH.finditer(text)]


def declarations(css: str) -> list[tuple[str, str]]:
    """Return the (property, value) pairs in a style sheet or a style attribute."""
    return [(match[1].lower(), match[2]) for match in _DECLARATION.finditer(css)]


def _share(text: str) -> float:
    """Return the share of a box that a number or a percentage stands for."""
    found = _LENGTH.search(text)
    return 0.0 if found is None else _float(found[1]) / (100.0 if found[2] == "%" else 1.0)


def smallest_side(root: Node) -> float:
    """Return the smaller side of a document, as far as it says so."""
    own = dict(_properties(root))
    sides = [numbers(own.get(name, ""))[:1] for name in ("width", "height")] + [numbers(own.get("viewbox", ""))[2:4]]
    return min([value for side in sides for value in side if value], default=100.0)


@dataclass
class Reach:
    """The measure of one document. `css` is its style sheets."""

    by_id: dict[str, Node]
    css: str
    known: dict[int, float] = field(default_factory=dict)
    tiles: dict[int, float] = field(default_factory=dict)
    viewport: float = 100.0
    thickness: float = 1.0
    letter: float = 16.0
    everywhere: Affine = field(default_factory=Affine)
    units: dict[str, float] = field(default_factory=lambda: {**_PIXELS, "%": 1.0})

    def of(self, order: list[Node]) -> Extent:
        """Return the extent of the document, in the pixels of the root.

        `order` is that of `check_expansion`: the root is the last.
        """
        self._scales(order)
        for node in order:
            self._measure(node)
        return Extent(self.known[id(order[-1])], self.tiles[id(order[-1])])

    def _scales(self, nodes: list[Node]) -> None:
        """Find what holds for the document as a whole: its longest lengths, and the transforms of its style sheets."""
        sheet = [pair for pair in declarations(self.css) if pair[0] in _SHEET]
        found: dict[str, list[str]] = defaultdict(list)
        for name, text in sheet:
            found[name].append(text)
        for node in nodes:
            for name, text in _properties(node):
                found[name].append(text)
        boxes = [value for text in found["viewbox"] for value in numbers(text)[2:4]]
        self.viewport = max([100.0, *self._all(found["width"]), *self._all(found["height"]), *boxes])
        self.units = {**_PIXELS, "%": self.viewport / 100}
        thickest, sharpest = self._all(found["stroke-width"]), self._all(found["stroke-miterlimit"])
        self.thickness = max([1.0, *thickest]) * max([4.0, *sharpest])
        self.letter = sum(max([0.0, *self._all(found[name])]) for name in _LETTER) + 16.0
        transforms = [affine(text) for name, text in sheet if name == "transform"]
        factor = max([1.0, *(moved.factor for moved in transforms)])
        self.everywhere = Affine(factor, max([0.0, *(moved.shift for moved in transforms)]))

    def _all(self, texts: list[str]) -> list[float]:
        return [value for text in texts for value in self._lengths(text)]

    def _lengths(self, text: str) -> list[float]:
        """Return lengths in pixels; one that is relative to a font's size counts in sixteens."""
        return [_float(match[1]) * self.units.get(match[2], 1.0) for match in _LENGTH.finditer(text)]

    def _measure(self, node: Node) -> None:
        """Find the reach of an element, and its largest tile, in its parent's pixels."""
        own = dict(_properties(node))
        targets = node.targets(self.by_id)
        if node.name == "use" and not any(target.name in _VIEWPORTS for target in targets):
            # A size is of no account there; drawing programs write one all the same.
            own = {name: value for name, value in own.items() if name not in {"width", "height"}}
        far = max([self._far(node, own), *(self.known[id(child)] for child in node.children)])
        tile = max([0.0, *(self._tile(target, far) for target in targets)])
        tile = max([tile, *(self.tiles[id(below)] for below in [*node.children, *targets])])
        far = max([far, *(self._through(node, far, target) for target in targets)])
        moved = affine(own.get("transform", "")).then(affine(own.get("patterntransform", ""))).then(self.everywhere)
        zoom = self._zoom(node, own)
        self.known[id(node)] = (far * zoom + self._corner(own)) * moved.factor + moved.shift
        self.tiles[id(node)] = tile * (zoom * moved.factor) * (zoom * moved.factor)

    def _far(self, node: Node, own: dict[str, str]) -> float:
        """Return how far the element's own geometry reaches."""
        found = [value for name, text in own.items() if name in _PLACES for value in self._lengths(text)]
        found.append(path_reach(own.get("d", "")))
        if node.name == "text":
            found.append(self.letter * sum(inner.letters for inner in all_nodes(node)))
        if node.within:
            found.append(node.within * max([self.viewport, *found]))
        return max(found) * 2 + self.thickness

    def _through(self, node: Node, far: float, target: Node) -> float:
        """Return the reach of what an element draws by reference."""
        reach = self.known[id(target)]
        if target.name == "marker":
            return reach * self.thickness + far
        boxed = any(target.attributes.get(name) == "objectBoundingBox" for name in _CONTENT_UNITS)
        return reach * max(1.0, far) + far if boxed else reach + (far if node.name == "use" else 0.0)

    def _tile(self, target: Node, far: float) -> float:
        """Return the area of a pattern's tile, in the pixels of an element that reaches so far."""
        own: dict[str, str] = {}
        enlarged, pattern = 1.0, target
        for _ in range(_MAX_HEIRS):
            if pattern.name != "pattern":
                break
            properties = dict(_properties(pattern))
            own = properties | own
            enlarged = max(enlarged, affine(properties.get("patterntransform", "")).factor)
            # What one does not say, it inherits.
            pattern = next((heir for heir in pattern.targets(self.by_id) if heir.name == "pattern"), _NOTHING)
        boxed = own.get("patternunits") != "userSpaceOnUse"
        area = enlarged * enlarged
        for name in ("width", "height"):
            area *= _share(own.get(name, "")) * far / 2 if boxed else max(self._lengths(own.get(name, "")), default=0.0)
        return area

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


def _properties(node: Node) -> list[tuple[str, str]]:
    """Return an element's attributes and the declarations in its style, by names in lower case, without prefixes."""
    own = [(name.rpartition(":")[2].lower(), value) for name, value in node.attributes.items()]
    return own + declarations(node.attributes.get("style", ""))
