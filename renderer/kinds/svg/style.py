"""What the style sheets of an SVG document say, put down to the elements that may be drawn so.

resvg matches selectors exactly; here the last part of each decides, by the rarest of its name, classes and ids. So an
element may be given a reference too many, and never one too few.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict

from renderer.kinds.svg.expand import LOCAL_URL, Node
from renderer.kinds.svg.work import LAYERED

MAX_GIVEN = 500_000  # references: a second
MAX_DECLARED = 5_000_000  # declarations: a second

_BRACE = re.compile(r"[{}]")
_NAMES = re.compile(r"[.#]?[\w-]+")
_INNER = re.compile(r"\[[^\[\]]*\]|\([^()]*\)")
_PARTS = re.compile(r"[\s>+~]+")
# Anything else, such as an escape, may stand for any element.
_SIMPLE = re.compile(r"[\w-]*(?:[.#][\w-]+)*")


def give_styles(nodes: list[Node], css: str) -> None:
    """Tell each element the ids that a rule for it refers to, and its layer. Raises ValueError where that is too much."""
    index = _index(nodes) if css else {}
    given = declared = 0
    for head, body in itertools.pairwise(_BRACE.split(css)):
        names, count = LOCAL_URL.findall(body), body.count(":")
        layered = LAYERED.search(body) is not None
        for selector in head.split(",") if count else ():
            matching = _matching(selector, nodes, index)
            given += len(matching) * len(names)
            declared += len(matching) * count
            if given > MAX_GIVEN:
                raise ValueError(f"its style sheets give more than {MAX_GIVEN:,} references to its elements")
            if declared > MAX_DECLARED:
                raise ValueError(f"its style sheets give more than {MAX_DECLARED:,} declarations to its elements")
            for node in matching if names or layered else ():
                node.styled += names
                node.layered |= layered


def _index(nodes: list[Node]) -> dict[str, list[Node]]:
    """Return the elements by name, `.class` and `#id`."""
    index: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        index[node.name].append(node)
        index[f"#{node.attributes.get('id', '')}"].append(node)
        for name in set(node.attributes.get("class", "").split()):
            index[f".{name}"].append(node)
    return index


def _matching(selector: str, nodes: list[Node], index: dict[str, list[Node]]) -> list[Node]:
    """Return the elements that a selector may match: those with the rarest of the names in its last part."""
    last = _PARTS.split(_INNER.sub("", selector).strip())[-1].partition(":")[0]
    if "\\" in selector or not _SIMPLE.fullmatch(last):
        return nodes
    return min((index.get(name, []) for name in _NAMES.findall(last)), key=len, default=nodes)
