"""What SVG documents are made of: the attributes of each element with their values, style sheets, broken bits of text."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz import pictures
from tests.fuzz.scenes import path_data
from tests.fuzz.svgvalues import IDS, colour, number, paint, rarely, small, transform

_reference = st.sampled_from(IDS).map(lambda name: f"url(#{name})")
LOCAL = st.sampled_from(IDS).map(lambda name: f"#{name}")
_units = st.sampled_from(["objectBoundingBox", "userSpaceOnUse"])
BOX = {"x": number, "y": number, "width": number, "height": number}
_dashes = st.lists(st.one_of(small, number), min_size=1, max_size=4).map(" ".join)

LOOKS: dict[str, st.SearchStrategy[str]] = {
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
                "fill:context-fill",
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
LETTERS: dict[str, st.SearchStrategy[str]] = {
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
SHAPES: dict[str, dict[str, st.SearchStrategy[str]]] = {
    "rect": {**BOX, "rx": number, "ry": number},
    "circle": {"cx": number, "cy": number, "r": number},
    "ellipse": {"cx": number, "cy": number, "rx": number, "ry": number},
    "line": {"x1": number, "y1": number, "x2": number, "y2": number},
    "polyline": {"points": _points},
    "polygon": {"points": _points},
    "path": {"d": path_data(), "pathLength": number},
}
PICTURE = rarely(
    st.one_of(st.sampled_from(pictures.HONEST), LOCAL),
    st.sampled_from(
        [
            *pictures.LYING,
            *["http://169.254.169.254/", "/etc/passwd", "file:///etc/passwd", "a.svg#b", "javascript:1", "#"],
        ]
    ),
    6,
)
GROUPS: dict[str, dict[str, st.SearchStrategy[str]]] = {
    "g": {},
    "svg": {**BOX, "viewBox": st.lists(number, min_size=4, max_size=4).map(" ".join), "overflow": st.just("visible")},
    "symbol": {"viewBox": st.lists(number, min_size=4, max_size=4).map(" ".join)},
    "a": {"href": st.just("http://example.org/")},
    "switch": {"systemLanguage": st.sampled_from(["en", "de"])},
    "defs": {},
    "mask": {
        **BOX,
        "maskUnits": _units,
        "maskContentUnits": _units,
        "mask-type": st.sampled_from(["alpha", "luminance"]),
    },
    "clipPath": {"clipPathUnits": _units, "clip-rule": st.just("evenodd")},
    "pattern": {
        **BOX,
        "patternUnits": _units,
        "patternContentUnits": _units,
        "patternTransform": transform,
        "viewBox": st.lists(number, min_size=4, max_size=4).map(" ".join),
        "href": LOCAL,
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
GRADIENTS: dict[str, dict[str, st.SearchStrategy[str]]] = {
    "linearGradient": {"x1": number, "y1": number, "x2": number, "y2": number},
    "radialGradient": {"cx": number, "cy": number, "r": number, "fx": number, "fr": number},
}
GRADIENT_MORE = {
    "gradientUnits": _units,
    "gradientTransform": transform,
    "spreadMethod": st.sampled_from(["pad", "repeat", "reflect"]),
    "href": LOCAL,
}


SHEETS = [
    "text { letter-spacing: 2px }",
    "g g, rect.a { opacity: .5 }",
    "#a { stroke-width: 3; transform: rotate(5deg) }",
] * 5 + [
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
OTHERS = [
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


TOKENS = [
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
