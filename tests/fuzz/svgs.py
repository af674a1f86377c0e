"""SVG documents: grown from a grammar, then, one in two, spoilt as text."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from hypothesis import strategies as st

from tests.fuzz.case import Case
from tests.fuzz.filters import filters
from tests.fuzz.svgparts import (
    BOX,
    GRADIENT_MORE,
    GRADIENTS,
    GROUPS,
    LETTERS,
    LOCAL,
    LOOKS,
    OTHERS,
    PICTURE,
    SHAPES,
    SHEETS,
    TOKENS,
)
from tests.fuzz.svgvalues import IDS, colour, number, text
from tests.fuzz.text import readable_texts
from tests.fuzz.values import dumps, spoilt

NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'

Attributes = dict[str, str]


def element(name: str, attributes: Attributes, inside: str = "") -> str:
    """Return an element as text."""
    told = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{told}>{inside}</{name}>" if inside else f"<{name}{told}/>"


def _some(draw: st.DrawFn, known: dict[str, st.SearchStrategy[str]], most: int) -> Attributes:
    """Return some of the attributes, rarely all."""
    names = draw(st.lists(st.sampled_from(sorted(known)), max_size=most, unique=True)) if known else []
    return {name: draw(known[name]) for name in names}


def _marked(draw: st.DrawFn, attributes: Attributes) -> Attributes:
    looks = _some(draw, LOOKS, 3)
    return attributes | looks | ({"id": draw(st.sampled_from(IDS))} if draw(st.integers(0, 2)) == 0 else {})


def _shape(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(SHAPES)))
    own = {key: draw(values) for key, values in SHAPES[name].items() if key in {"d", "points", "r", "width", "height"}}
    return element(name, _marked(draw, own | _some(draw, SHAPES[name], 3)))


def _letters(draw: st.DrawFn, depth: int) -> str:
    inside = escape(draw(text))
    if depth and draw(st.booleans()):
        inside += _span(draw, depth)
    return inside


def _span(draw: st.DrawFn, depth: int) -> str:
    name = draw(st.sampled_from(["tspan", "textPath", "tref"]))
    attributes = _marked(draw, _some(draw, LETTERS, 3))
    if name != "tspan":
        attributes |= {
            "href": draw(LOCAL),
            "startOffset": draw(number),
            "side": draw(st.sampled_from(["left", "right"])),
        }
    return element(name, attributes, _letters(draw, depth - 1))


def _leaf(draw: st.DrawFn) -> str:
    kind = draw(
        st.sampled_from(["shape", "shape", "shape", "text", "use", "image", "gradient", "filter", "style", "other"])
    )
    if kind == "text":
        return element("text", {"x": "5", "y": "20"} | _marked(draw, _some(draw, LETTERS, 4)), _letters(draw, 2))
    if kind == "use":
        return element(
            "use", _marked(draw, {draw(st.sampled_from(["href", "xlink:href"])): draw(LOCAL)} | _some(draw, BOX, 3))
        )
    if kind == "image":
        more = _some(draw, {**BOX, "preserveAspectRatio": st.sampled_from(["none", "xMinYMax slice"])}, 4)
        return element("image", _marked(draw, {"href": draw(PICTURE)} | more))
    if kind == "gradient":
        name = draw(st.sampled_from(sorted(GRADIENTS)))
        stop = element("stop", {"offset": draw(number), "stop-color": draw(colour), "stop-opacity": draw(number)})
        return element(
            name, _some(draw, GRADIENTS[name] | GRADIENT_MORE, 6) | {"id": draw(st.sampled_from(IDS))}, stop * 2
        )
    if kind == "filter":
        return draw(filters())
    if kind == "style":
        return element("style", {}, escape(draw(st.sampled_from(SHEETS))))
    return draw(st.sampled_from(OTHERS)) if kind == "other" else _shape(draw)


def _branch(draw: st.DrawFn, depth: int) -> str:
    if depth <= 0 or draw(st.integers(0, 2)) == 0:
        return _leaf(draw)
    name = draw(st.sampled_from(sorted(GROUPS)))
    inside = "".join(_branch(draw, depth - 1) for _ in range(draw(st.integers(1, 3))))
    attributes = _marked(draw, _some(draw, GROUPS[name], 5))
    if draw(st.integers(0, 40)) == 0:
        return element(name, attributes) * 2 + f"<{name}>" * 60 + inside + f"</{name}>" * 60
    return element(name, attributes, inside)


_sizes = st.one_of(
    st.just('width="60" height="40"'),
    st.just('width="60" height="40"'),
    st.just('viewBox="0 0 60 40"'),
    st.tuples(number, number).map(lambda two: f'width="{escape(two[0])}" height="{escape(two[1])}"'),
    st.lists(number, min_size=4, max_size=4).map(
        lambda box: f'width="60" height="40" viewBox="{escape(" ".join(box))}"'
    ),
    st.lists(number, min_size=4, max_size=4).map(lambda box: f'viewBox="{escape(" ".join(box))}"'),
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Return a document."""
    inside = "".join(_branch(draw, 3) for _ in range(draw(st.integers(1, 5))))
    document = f"<svg {NAMESPACES} {draw(_sizes)}>{inside}</svg>"
    if draw(st.integers(0, 15)) == 0:
        encoded = draw(st.sampled_from([_as_base64, _as_percents]))(document)
        document = f'<svg {NAMESPACES} width="60" height="40"><image href="{encoded}" width="30" height="30"/></svg>'
    return document


def _as_base64(document: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(document.encode(errors="replace")).decode()


def _as_percents(document: str) -> str:
    return "data:image/svg+xml," + quote(document.encode(errors="replace"))


@st.composite
def spoilt_documents(draw: st.DrawFn) -> str:
    """Return a document with a few changes to its text."""
    document = draw(documents())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(document)))
        to = draw(st.one_of(st.just(at), st.integers(at, min(len(document), at + 30))))
        document = document[:at] + draw(st.sampled_from(TOKENS)) + document[to:]
    return document


_configs: st.SearchStrategy[Any] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"width": st.integers(1, 200)}, optional={"height": st.integers(1, 200)}),
    st.fixed_dictionaries({"scale": st.sampled_from([0.001, 0.5, 3, 100, 5e-324])}),
    st.fixed_dictionaries({"width": st.just(3840)}, optional={"height": st.sampled_from([1, 200])}),
    spoilt(st.just({"width": 50, "backgroundColor": "white"}), most=2),
)


@st.composite
def strange(draw: st.DrawFn) -> Case:
    """Return a document with a configuration."""
    document: Any = draw(st.one_of(documents(), documents(), documents(), documents(), spoilt_documents()))
    spec = draw(spoilt(st.just({"svg": document}), most=1)) if draw(st.integers(0, 15)) == 7 else {"svg": document}
    return Case("svg", dumps(spec), dumps(draw(_configs)))


@st.composite
def readable(draw: st.DrawFn) -> Case:
    """Return a document that shows one text, black on nothing, in plain view."""
    attributes = {"x": "60", "y": "60", "font-size": str(draw(st.integers(12, 40)))}
    attributes |= {"text-anchor": draw(st.sampled_from(["start", "middle", "end"]))}
    attributes |= {"font-family": draw(st.sampled_from(["sans-serif", "serif", "monospace", "Arial", "x"]))}
    attributes |= {"font-weight": draw(st.sampled_from(["100", "400", "bold"]))}
    letters = "".join(letter for letter in draw(readable_texts) if letter.isprintable() or letter > "\x9f")
    shown = element("text", attributes, escape(letters + "x"))
    return Case("svg", dumps({"svg": f'<svg {NAMESPACES} width="120" height="120">{shown}</svg>'}), "{}", readable=True)


cases = st.one_of(strange(), strange(), strange(), strange(), readable())
