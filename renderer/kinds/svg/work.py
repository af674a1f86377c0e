"""Bounds for what asks for hours of work, or for gigabytes, in a line of SVG.

Each is far beyond what a drawing program writes. A document that is merely large is not refused: it runs into the time and
memory of its job. The times beside the bounds are of one such element on a picture of 600 x 400.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from renderer.kinds.svg.expand import Node, all_nodes

MAX_OCTAVES = 16  # half a second; after eight of them a colour no longer changes
MAX_KERNEL = 1024  # a second; numbers in the matrix of a feConvolveMatrix
MAX_MORPHOLOGY = 50.0  # five seconds; the cost grows with the square
MAX_TEXT_CHARACTERS = 20_000  # of one <text>, 0.3 seconds; the cost grows with the square
MAX_SPANS = 1_000  # within one <text>, 0.6 seconds; the cost grows with the square
MAX_ATTRIBUTES = 1_000  # of one element, and declarations in its style; the cost grows with the square
MAX_SELECTOR_PARTS = 32  # `a b > c` has three; each is tried against all that is above
MAX_MATCHES = 20_000_000  # selectors of the style sheets times elements: three seconds
MAX_LAYERS = 32  # elements within each other that each need a picture of their own

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_PART = re.compile(r"[^\s>+~,]+")
_LAYERED = re.compile(r"(?:^|[;\s])(?:filter|mask|clip-path|opacity|mix-blend-mode|isolation)\s*:")
_LAYERS = ("filter", "mask", "clip-path", "opacity")


def check_work(nodes: list[Node], css: str) -> None:
    """Raise ValueError, saying which bound, for a document beyond one of them."""
    for node in nodes:
        _check_filter(node)
        _check_attributes(node)
        if node.name == "text":
            _check_text(node)
    _check_layers(nodes[0])
    _check_selectors(css, len(nodes))


def _numbers(node: Node, name: str) -> list[float]:
    return [float(found) for found in _NUMBER.findall(node.attributes.get(name, ""))]


def _check_filter(node: Node) -> None:
    if node.name == "feTurbulence":
        _hold("numOctaves of feTurbulence", _numbers(node, "numOctaves"), MAX_OCTAVES)
    elif node.name == "feConvolveMatrix":
        order = _numbers(node, "order")
        _hold("the numbers in the matrix of feConvolveMatrix", [max(order) * min(order)] if order else [], MAX_KERNEL)
    elif node.name == "feMorphology":
        _hold("the radius of feMorphology", _numbers(node, "radius"), MAX_MORPHOLOGY)


def _hold(what: str, found: Iterable[float], most: float) -> None:
    for value in found:
        if value > most:
            raise ValueError(f"{what} may be {most:,.10g} at most, not {value:,.10g}")


def _check_attributes(node: Node) -> None:
    _hold(f"the attributes of one <{node.name[:40]}>", [len(node.attributes)], MAX_ATTRIBUTES)
    _hold("the declarations in one style", [node.attributes.get("style", "").count(";")], MAX_ATTRIBUTES)


def _check_text(node: Node) -> None:
    within = all_nodes(node)
    _hold("the characters of one <text>", [sum(inner.letters for inner in within)], MAX_TEXT_CHARACTERS)
    _hold("the elements in one <text>", [len(within) - 1], MAX_SPANS)


def _check_layers(root: Node) -> None:
    stack = [(root, 0)]
    while stack:
        node, above = stack.pop()
        layers = above + _is_layer(node)
        _hold("elements within each other with opacity, filter, mask or clip-path", [layers], MAX_LAYERS)
        stack += [(child, layers) for child in node.children]


def _is_layer(node: Node) -> bool:
    return (
        any(name in node.attributes for name in _LAYERS)
        or _LAYERED.search(node.attributes.get("style", "")) is not None
    )


def _check_selectors(css: str, elements: int) -> None:
    # Whatever stands before a brace, as `@media{@media{` may stand there too.
    selectors = [one for part in css.split("{")[:-1] for one in part.rpartition("}")[2].split(",")]
    for selector in selectors:
        _hold("the parts of one selector in <style>", [len(_PART.findall(selector))], MAX_SELECTOR_PARTS)
    _hold("selectors times elements", [len(selectors) * elements], MAX_MATCHES)
