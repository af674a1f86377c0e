"""Filters of SVG, each with one to four primitives."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz import pictures
from tests.fuzz.svgvalues import IDS, colour, number, rarely, small

_pair = st.one_of(number, st.tuples(number, number).map(" ".join))
_input = st.sampled_from(["SourceGraphic", "SourceAlpha", "BackgroundImage", "FillPaint", "one", "two", "none"])
_numbers = st.lists(number, max_size=20).map(" ".join)
_count = rarely(
    st.integers(0, 8).map(str),
    st.sampled_from(["17", "100", "1000", "1e4", "1000000", "4000000000", "-1", "1.5"]),
    12,
)
_PRIMITIVES: dict[str, dict[str, st.SearchStrategy[str]]] = {
    "feGaussianBlur": {"stdDeviation": _pair, "edgeMode": st.sampled_from(["none", "wrap"])},
    "feDropShadow": {"stdDeviation": _pair, "dx": number, "dy": number, "flood-color": colour},
    "feOffset": {"dx": number, "dy": number},
    "feFlood": {"flood-color": colour, "flood-opacity": number},
    "feBlend": {"in2": _input, "mode": st.sampled_from(["multiply", "hue", "color-dodge"])},
    "feComposite": {
        "in2": _input,
        "operator": st.sampled_from(["arithmetic", "xor"]),
        "k1": number,
        "k2": number,
        "k4": number,
    },
    "feMerge": {},
    "feTile": {},
    "feColorMatrix": {"type": st.sampled_from(["matrix", "saturate", "hueRotate"]), "values": _numbers},
    "feConvolveMatrix": {
        "order": st.one_of(_count, st.tuples(_count, _count).map(" ".join)),
        "kernelMatrix": _numbers,
        "divisor": number,
        "bias": number,
        "targetX": _count,
        "edgeMode": st.sampled_from(["wrap", "none", "duplicate"]),
        "preserveAlpha": st.just("true"),
    },
    "feMorphology": {"operator": st.sampled_from(["erode", "dilate"]), "radius": _pair},
    "feTurbulence": {
        "baseFrequency": _pair,
        "numOctaves": _count,
        "seed": number,
        "stitchTiles": st.just("stitch"),
        "type": st.sampled_from(["turbulence", "fractalNoise"]),
    },
    "feDisplacementMap": {"in2": _input, "scale": number, "xChannelSelector": st.just("R")},
    "feImage": {"href": st.one_of(st.sampled_from(IDS).map(lambda name: f"#{name}"), st.sampled_from(pictures.HONEST))},
    "feDiffuseLighting": {"surfaceScale": number, "diffuseConstant": number, "lighting-color": colour},
    "feSpecularLighting": {"surfaceScale": number, "specularExponent": number, "specularConstant": number},
    "feComponentTransfer": {},
}
_INSIDE = {
    "feMerge": ['<feMergeNode in="one"/><feMergeNode/>'],
    "feDiffuseLighting": ['<feDistantLight azimuth="9"/>', '<fePointLight x="1" z="1e30"/>', "<feSpotLight/>"],
    "feSpecularLighting": ['<feSpotLight limitingConeAngle="400" specularExponent="1e30"/>', '<fePointLight z="-0"/>'],
    "feComponentTransfer": [
        '<feFuncR type="table" tableValues="0 1"/>',
        '<feFuncA type="discrete"/>',
        '<feFuncG type="gamma" exponent="-1e30" amplitude="1e38"/>',
        f'<feFuncB type="table" tableValues="{"1 " * 5000}"/>',
    ],
}
_REGION = {"x": number, "y": number, "width": number, "height": number}


def _attributes(values: dict[str, str]) -> str:
    return "".join(f' {name}="{value.replace("&", "&amp;").replace("<", "&lt;")}"' for name, value in values.items())


@st.composite
def _primitive(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(_PRIMITIVES)))
    known = {**_PRIMITIVES[name], "in": _input, "result": st.sampled_from(["one", "two"])}
    chosen = draw(st.lists(st.sampled_from(sorted(known)), max_size=6, unique=True))
    chosen += [
        key for key in ("order", "href", "radius", "stdDeviation", "numOctaves") if key in known and key not in chosen
    ]
    values = {key: draw(known[key]) for key in chosen}
    if draw(st.integers(0, 3)) == 0:
        values |= {key: draw(_REGION[key]) for key in draw(st.lists(st.sampled_from(sorted(_REGION)), unique=True))}
    inside = draw(st.sampled_from(_INSIDE[name])) if name in _INSIDE else ""
    return f"<{name}{_attributes(values)}>{inside}</{name}>"


@st.composite
def filters(draw: st.DrawFn) -> str:
    """Return a filter with an id."""
    primitives = "".join(draw(st.lists(_primitive(), min_size=1, max_size=4)))
    values = {"id": draw(st.sampled_from(IDS))}
    if draw(st.booleans()):
        values |= {key: draw(st.one_of(small, _REGION[key])) for key in sorted(_REGION)}
    if draw(st.booleans()):
        values["filterUnits"] = draw(st.sampled_from(["userSpaceOnUse", "objectBoundingBox"]))
    if draw(st.booleans()):
        values["primitiveUnits"] = draw(st.sampled_from(["userSpaceOnUse", "objectBoundingBox"]))
    return f"<filter{_attributes(values)}>{primitives}</filter>"
