"""SVG documents: grown from a grammar, then, one in two, spoilt as text."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from hypothesis import strategies as st

from tests.fuzz import pictures
from tests.fuzz.case import Case
from tests.fuzz.filters import filters
from tests.fuzz.scenes import path_data
from tests.fuzz.svgvalues import IDS, colour, number, paint, small, text, transform
from tests.fuzz.text import readable_texts
from tests.fuzz.values import dumps, spoilt

NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'

Attributes = dict[str, str]

_reference = st.sampled_from(IDS).map(lambda name: f"url(#{name})")
_local = st.sampled_from(IDS).map(lambda name: f"#{name}")
_units = st.sampled_from(["objectBoundingBox", "userSpaceOnUse"])
_box = {"x": number, "y": number, "width": number, "height": number}
_dashes = st.lists(st.one_of(small, number), min_size=1, max_size=4).map(" ".join)

_LOOKS: dict[str, st.SearchStrategy[str]] = {
    "fill": paint,
    "stroke": paint,
    "stroke-width": number,
    "stroke-dasharray": _dashes,
    "stroke-dashoffset": number,
    "stroke-linejoin": st.sampled_from(["miter", "round", "bevel", "arcs", "miter-clip"]),
    "stroke-linecap": st.sampled_from(["butt", "round", "square"]),
    "stroke-miterlimit": number,
    "opacity": number,
    "filter": st.one_of(
        _reference,
        st.sampled_from(
            ["blur(5)", "blur(1e30px)", "drop-shadow(1 2 3 red)", "hue-rotate(1e30deg) invert(9)", "blur(1e4)"]
        ),
    ),
    "mask": _reference,
    "clip-path": _reference,
    "marker-start": _reference,
    "marker-mid": _reference,
    "marker": _reference,
    "transform": transform,
    "style": st.sampled_from(
        [
            *(
                "mix-blend-mode:multiply",
                "isolation:isolate",
                "fill:url(#a)",
                "filter:url(#b) url(#c)",
                "mask:url( '#a' )",
            ),
            *(
                "fill:u\\72l(http://x)",
                "fill:url(http://x/)",
                "d:path('M0 0')",
                "font:italic 9px/1 x",
                "--a:1;fill:var(--a)",
            ),
        ]
    ),
    "color": colour,
    "visibility": st.sampled_from(["hidden", "collapse", "visible"]),
    "display": st.sampled_from(["none", "inline"]),
    "vector-effect": st.just("non-scaling-stroke"),
    "paint-order": st.sampled_from(["stroke", "markers fill"]),
    "shape-rendering": st.sampled_from(["crispEdges", "geometricPrecision"]),
    "class": st.sampled_from(["a", "b", "a b"]),
}
_LETTERS: dict[str, st.SearchStrategy[str]] = {
    "x": st.lists(number, min_size=1, max_size=3).map(" ".join),
    "y": number,
    "dx": st.lists(number, min_size=1, max_size=3).map(" ".join),
    "rotate": st.lists(number, min_size=1, max_size=3).map(" ".join),
    "font-size": number,
    "font-family": st.sampled_from(["monospace", "Lato", "x", "", "'", "a,b"]),
    "font-weight": st.sampled_from(["bold", "100", "1000", "bolder"]),
    "letter-spacing": number,
    "word-spacing": number,
    "textLength": number,
    "lengthAdjust": st.sampled_from(["spacing", "spacingAndGlyphs"]),
    "text-anchor": st.sampled_from(["start", "middle", "end"]),
    "writing-mode": st.sampled_from(["tb", "rl"]),
    "direction": st.just("rtl"),
    "text-decoration": st.sampled_from(["underline", "line-through overline"]),
    "baseline-shift": st.one_of(number, st.sampled_from(["super", "sub"])),
    "xml:space": st.just("preserve"),
    "font-variant": st.just("small-caps"),
}
_points = st.lists(number, min_size=2, max_size=12).map(" ".join)
_SHAPES: dict[str, dict[str, st.SearchStrategy[str]]] = {
    "rect": {**_box, "rx": number, "ry": number},
    "circle": {"cx": number, "cy": number, "r": number},
    "ellipse": {"cx": number, "cy": number, "rx": number, "ry": number},
    "line": {"x1": number, "y1": number, "x2": number, "y2": number},
    "polyline": {"points": _points},
    "polygon": {"points": _points},
    "path": {"d": path_data(), "pathLength": number},
}
_picture = st.one_of(
    st.sampled_from(pictures.ALL),
    _local,
    st.sampled_from(["http://169.254.169.254/", "/etc/passwd", "file:///etc/passwd", "a.svg#b", "javascript:1", "#"]),
)
_GROUPS: dict[str, dict[str, st.SearchStrategy[str]]] = {
    "g": {},
    "svg": {**_box, "viewBox": st.lists(number, min_size=4, max_size=4).map(" ".join), "overflow": st.just("visible")},
    "symbol": {"viewBox": st.lists(number, min_size=4, max_size=4).map(" ".join)},
    "a": {"href": st.just("http://example.org/")},
    "switch": {"systemLanguage": st.sampled_from(["en", "de"])},
    "defs": {},
    "mask": {
        **_box,
        "maskUnits": _units,
        "maskContentUnits": _units,
        "mask-type": st.sampled_from(["alpha", "luminance"]),
    },
    "clipPath": {"clipPathUnits": _units, "clip-rule": st.just("evenodd")},
    "pattern": {
        **_box,
        "patternUnits": _units,
        "patternContentUnits": _units,
        "patternTransform": transform,
        "viewBox": st.lists(number, min_size=4, max_size=4).map(" ".join),
        "href": _local,
    },
    "marker": {
        "markerWidth": number,
        "markerHeight": number,
        "refX": number,
        "orient": st.one_of(number, st.just("auto")),
        "markerUnits": st.sampled_from(["strokeWidth", "userSpaceOnUse"]),
        "viewBox": st.lists(number, min_size=4, max_size=4).map(" ".join),
    },
}
_GRADIENTS: dict[str, dict[str, st.SearchStrategy[str]]] = {
    "linearGradient": {"x1": number, "y1": number, "x2": number, "y2": number},
    "radialGradient": {"cx": number, "cy": number, "r": number, "fx": number, "fr": number},
}
_gradient_more = {
    "gradientUnits": _units,
    "gradientTransform": transform,
    "spreadMethod": st.sampled_from(["pad", "repeat", "reflect"]),
    "href": _local,
}


def element(name: str, attributes: Attributes, inside: str = "") -> str:
    """Return an element as text."""
    told = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{told}>{inside}</{name}>" if inside else f"<{name}{told}/>"


def _some(draw: st.DrawFn, known: dict[str, st.SearchStrategy[str]], most: int) -> Attributes:
    """Return some of the attributes, rarely all."""
    names = draw(st.lists(st.sampled_from(sorted(known)), max_size=most, unique=True)) if known else []
    return {name: draw(known[name]) for name in names}


def _marked(draw: st.DrawFn, attributes: Attributes) -> Attributes:
    looks = _some(draw, _LOOKS, 3)
    return attributes | looks | ({"id": draw(st.sampled_from(IDS))} if draw(st.booleans()) else {})


def _shape(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(_SHAPES)))
    own = {key: draw(values) for key, values in _SHAPES[name].items() if key in {"d", "points", "r", "width", "height"}}
    return element(name, _marked(draw, own | _some(draw, _SHAPES[name], 3)))


def _letters(draw: st.DrawFn, depth: int) -> str:
    inside = escape(draw(text))
    if depth and draw(st.booleans()):
        inside += _span(draw, depth)
    return inside


def _span(draw: st.DrawFn, depth: int) -> str:
    name = draw(st.sampled_from(["tspan", "textPath", "tref"]))
    attributes = _marked(draw, _some(draw, _LETTERS, 3))
    if name != "tspan":
        attributes |= {
            "href": draw(_local),
            "startOffset": draw(number),
            "side": draw(st.sampled_from(["left", "right"])),
        }
    return element(name, attributes, _letters(draw, depth - 1))


def _leaf(draw: st.DrawFn) -> str:
    kind = draw(
        st.sampled_from(["shape", "shape", "shape", "text", "use", "image", "gradient", "filter", "style", "other"])
    )
    if kind == "text":
        return element("text", {"x": "5", "y": "20"} | _marked(draw, _some(draw, _LETTERS, 4)), _letters(draw, 2))
    if kind == "use":
        return element(
            "use", _marked(draw, {draw(st.sampled_from(["href", "xlink:href"])): draw(_local)} | _some(draw, _box, 3))
        )
    if kind == "image":
        more = _some(draw, {**_box, "preserveAspectRatio": st.sampled_from(["none", "xMinYMax slice"])}, 4)
        return element("image", _marked(draw, {"href": draw(_picture)} | more))
    if kind == "gradient":
        name = draw(st.sampled_from(sorted(_GRADIENTS)))
        stop = element("stop", {"offset": draw(number), "stop-color": draw(colour), "stop-opacity": draw(number)})
        return element(
            name, _some(draw, _GRADIENTS[name] | _gradient_more, 6) | {"id": draw(st.sampled_from(IDS))}, stop * 2
        )
    if kind == "filter":
        return draw(filters())
    if kind == "style":
        return element("style", {}, escape(draw(st.sampled_from(_SHEETS))))
    return draw(st.sampled_from(_OTHERS)) if kind == "other" else _shape(draw)


_SHEETS = [
    *(
        "rect { fill: url(#a); stroke: red }",
        ".a { filter: url(#b) }",
        "* { mask: url(#c) }",
        "path { marker: url(#d) }",
    ),
    *(
        "@import url(a.css);",
        "@font-face { src: url(http://x) }",
        "rect{" * 3000,
        "a" * 9000,
        "/*",
        "g > :first-child {opacity:.5}",
    ),
    *(
        "*" + " *" * 2_000 + "{fill:red}",
        "#a,#b,.a{stroke-dasharray:.001}",
        "[x='",
        "@media{@media{",
        "\\",
        "text{font-size:1e9px}",
    ),
]
_OTHERS = [
    *(
        "<!-- -->",
        "<?x y?>",
        "<script>1</script>",
        "<foreignObject><p/></foreignObject>",
        "<animate attributeName='x'/>",
    ),
    *(
        "<title>&lt;</title>",
        "<unknown/>",
        "<x:y xmlns:x='u'/>",
        "<set/>",
        "<view/>",
        "<metadata><a><b/></a></metadata>",
    ),
]


def _branch(draw: st.DrawFn, depth: int) -> str:
    if depth <= 0 or draw(st.integers(0, 2)) == 0:
        return _leaf(draw)
    name = draw(st.sampled_from(sorted(_GROUPS)))
    inside = "".join(_branch(draw, depth - 1) for _ in range(draw(st.integers(1, 3))))
    attributes = _marked(draw, _some(draw, _GROUPS[name], 5))
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


_TOKENS = [
    *(
        "<",
        ">",
        "/>",
        '"',
        "&",
        "&amp;",
        "&#0;",
        "&#x110000;",
        "&#xD800;",
        "&#60;",
        "&a;",
        "]]>",
        "<![CDATA[",
        "<!--",
        "\0",
        "\x0b",
    ),
    *(
        "url(#a)",
        "#a",
        "1e9",
        "-",
        "NaN",
        "%",
        "xmlns=''",
        "<g>",
        "</g>",
        "</svg>",
        "<svg>",
        "\ufeff",
        "\ufffe",
        "é",
        "\u202e",
    ),
    *(
        "<!DOCTYPE svg>",
        "<!DOCTYPE svg [<!ENTITY a 'b'>]>",
        "<!DOCTYPE svg SYSTEM 'file:///etc/passwd'>",
        "<?xml version='1.0'?>",
    ),
    *(
        "<?xml version='1.1' encoding='utf-7'?>",
        "<?xml encoding='x'?>",
        "<?xml version='1.0' encoding='UTF-16'?>",
        "\ud800",
    ),
]


@st.composite
def spoilt_documents(draw: st.DrawFn) -> str:
    """Return a document with a few changes to its text."""
    document = draw(documents())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(document)))
        to = draw(st.one_of(st.just(at), st.integers(at, min(len(document), at + 30))))
        document = document[:at] + draw(st.sampled_from(_TOKENS)) + document[to:]
    return document


_configs = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"width": st.integers(1, 200)}, optional={"height": st.integers(1, 200)}),
    st.fixed_dictionaries({"scale": st.sampled_from([0.001, 0.5, 3, 100, 5e-324])}),
    st.fixed_dictionaries({"width": st.just(3840)}, optional={"height": st.sampled_from([1, 200])}),
    spoilt(st.just({"width": 50, "backgroundColor": "white"}), most=2),
)


@st.composite
def strange(draw: st.DrawFn) -> Case:
    """Return a document with a configuration."""
    document: Any = draw(st.one_of(documents(), documents(), spoilt_documents()))
    spec = draw(spoilt(st.just({"svg": document}), most=1)) if draw(st.integers(0, 9)) == 0 else {"svg": document}
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
