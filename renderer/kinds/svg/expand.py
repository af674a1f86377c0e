"""How many elements an SVG document stands for once every reference has been followed.

A chain of ten groups, each using the one before it ten times, is 10,000,000,000 elements in one kilobyte. The weight
of an element is 1, plus its children's, plus that of what it refers to; each element is weighed once, in an order in
which what it needs comes first, so that the check itself is linear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_ELEMENTS = 100_000
MAX_EXPANDED_DEPTH = 400

LOCAL_URL = re.compile(r"url\(\s*(?:[\"']\s*)?#([^\"')\s]+)", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)")
_VERTICES = ("d", "points")


@dataclass(slots=True, eq=False)
class Node:
    """An element: its name without a prefix, its attributes, and what stands in it.

    `within` is how far a document in its data URL reaches, in sides of that document; `pixels` are those of the pictures there.
    `letters` counts the characters that stand in the element itself. `styled` are the ids that style sheets make it refer to,
    and `layered` says that they may give it a layer of its own.
    """

    name: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    weight: int = 0
    depth: int = 0
    within: float = 0.0
    letters: int = 0
    styled: list[str] = field(default_factory=list)
    layered: bool = False
    pixels: int = 0
    decoded: int = 0

    def references(self) -> list[str]:
        """Return the ids of what drawing this element draws too."""
        found = list(self.styled)
        for name, value in self.attributes.items():
            if name.rpartition(":")[2] == "href" and self.name in {"use", "pattern", "feImage", "textPath", "tref"}:
                found.append(value.strip().removeprefix("#"))
            elif "url(" in value.lower():
                found += LOCAL_URL.findall(value)
        return found

    def targets(self, by_id: dict[str, Node]) -> list[Node]:
        """Return the elements that drawing this one draws too."""
        return [by_id[name] for name in self.references() if name in by_id]


def check_expansion(root: Node, nodes: list[Node], by_id: dict[str, Node], *, markers_in_css: bool) -> list[Node]:
    """Raise ValueError if the document expands too far or too deep, or draws itself.

    Return the elements that are drawn, each after those within it and those that it refers to.
    """
    order = _weigh(root, by_id)
    used = markers_in_css or any("marker" in name for node in nodes for name in _names(node))
    heaviest = max((node.weight for node in nodes if node.name == "marker"), default=0)
    vertices = sum(_vertices(node) for node in nodes) if used and heaviest else 0
    # A marker is drawn at every vertex. Which shapes bear one CSS decides, so all are counted.
    expanded = root.weight + vertices * heaviest
    if expanded > MAX_ELEMENTS:
        raise ValueError(f"expands to more than {MAX_ELEMENTS:,} elements once its references are followed")
    if root.depth > MAX_EXPANDED_DEPTH:
        raise ValueError(f"its references lead more than {MAX_EXPANDED_DEPTH} levels deep")
    return order


def all_nodes(root: Node) -> list[Node]:
    """Return an element and all within it."""
    found = [root]
    for node in found:  # grows while it is read
        found.extend(node.children)
    return found


def by_ids(nodes: list[Node]) -> dict[str, Node]:
    """Return elements by their ids; of two with one id the first counts."""
    return {node.attributes["id"]: node for node in reversed(nodes) if "id" in node.attributes}


def _names(node: Node) -> list[str]:
    return [*node.attributes, node.attributes.get("style", "")]


def _vertices(node: Node) -> int:
    return sum(len(_NUMBER.findall(node.attributes.get(name, ""))) // 2 + 1 for name in _VERTICES)


def _weigh(root: Node, by_id: dict[str, Node]) -> list[Node]:
    """Give each element that is reached its weight and depth. A stack of our own: depth here costs no recursion."""
    order: list[Node] = []
    active: set[int] = set()
    stack: list[tuple[Node, list[Node] | None]] = [(root, None)]
    while stack:
        node, below = stack.pop()
        if below is not None:
            active.discard(id(node))
            node.weight = min(1 + sum(child.weight for child in below), MAX_ELEMENTS + 1)
            node.decoded = node.pixels + sum(child.decoded for child in below)
            node.depth = 1 + max((child.depth for child in below), default=0)
            order.append(node)
            continue
        if node.weight:
            continue
        if id(node) in active:
            raise ValueError(f"<{node.name}> draws itself through its references")
        active.add(id(node))
        below = node.children + node.targets(by_id)
        stack.append((node, below))
        stack.extend((child, None) for child in below)
    return order
