"""Scenes: most of them valid and strange, some of them spoilt. Small pictures and short films, so that many fit an hour."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.fuzz import pictures
from tests.fuzz.case import Case
from tests.fuzz.text import readable_texts
from tests.fuzz.values import TEXTS, dumps, spoilt

EASINGS = [
    *(
        "linear",
        "ease",
        "ease-in",
        "ease_out",
        "easeInOutBack",
        "easeOutBounce",
        "easeInElastic",
        "easeInExpo",
        "easeInCirc",
    ),
    *("steps(4)", "steps(1, start)", "steps(9999)", "cubic-bezier(0,10,1,-10)", "cubic-bezier(1,0,0,1)", "wobble"),
    *("cubic-bezier(0.5,1e-300,5e-324,0.1)", "cubic-bezier(nan,0,0,0)", "steps(²)", "steps(-1)", "step-end"),
]
COLOURS = [
    *(
        "red",
        "#f80",
        "#12345678",
        "rgb(10%,20%,300)",
        "rgba(1 2 3 / 0.5)",
        "hsl(400deg,50%,50%)",
        "none",
        "transparent",
    ),
    *("currentColor", "hsl(1e400,1%,1%)", "hsl(-0.0001deg 0% 0%)", "rgb(1e9,0,0)", "#FFF", " black ", "#1234567", "İ"),
]
TRANSFORMS = ["translate", "translateX", "scale", "scaleX", "scale_y", "rotate", "skewX", "skewY"]

_plain = st.one_of(st.integers(-20, 120), st.floats(-100, 200, width=32))
coordinate = st.one_of(_plain, _plain, st.sampled_from([1e6, -1e6, 0, -0.0, 1e-300, 5e-324, 99999.5]))
length = st.one_of(
    st.integers(0, 100), st.floats(0, 100, width=32), st.sampled_from([0, 1e6, 5e-324, 1e-30, 1e-3, 65_536, 1e5])
)
factor = st.one_of(st.floats(-3, 3, width=32), st.sampled_from([0, 1, -1, 1e4, -1e4, 1e-300, 1e-4]))
colour = st.one_of(st.sampled_from(COLOURS[:8]), st.sampled_from(COLOURS), st.none())
point = st.tuples(coordinate, coordinate).map(list)
scene_text = st.one_of(st.sampled_from(TEXTS), st.text(max_size=30), st.just("Hello"))


def _number_text() -> st.SearchStrategy[str]:
    odd = st.sampled_from(["1e6", "-.5", "1e-400", "1e400", "+3", "1.2.3", "00", "9" * 400, "1e", ".", "-"])
    return st.one_of(st.integers(-50, 150).map(str), st.integers(-50, 150).map(str), st.floats(-99, 99).map(repr), odd)


@st.composite
def path_data(draw: st.DrawFn) -> str:
    """Return path data; flags and counts of numbers are sometimes wrong."""
    counts = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}
    parts = ["M", *draw(st.lists(_number_text(), min_size=2, max_size=2))]
    for command in draw(st.lists(st.sampled_from(sorted(counts)), max_size=6)):
        wanted = counts[command] * draw(st.sampled_from([1, 1, 1, 2])) + draw(st.sampled_from([0] * 12 + [1, -1]))
        numbers = draw(st.lists(_number_text(), min_size=max(0, wanted), max_size=max(0, wanted)))
        if command == "A" and len(numbers) >= 5 and draw(st.booleans()):
            numbers[3:5] = draw(st.lists(st.sampled_from("01"), min_size=2, max_size=2))
        parts += [draw(st.sampled_from([command, command.lower()])), *numbers]
    return draw(st.sampled_from([" ", ","])).join(parts)


def _maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_common = _maybe(
    x=coordinate,
    y=coordinate,
    opacity=st.one_of(st.floats(0, 1), st.sampled_from([0, 1, 0.5, 5e-324, 1e-3])),
    zIndex=st.integers(-3, 3),
    rotation=coordinate,
    scale=factor,
    scaleX=factor,
    scaleY=factor,
    visible=st.booleans(),
)
_stroke = _maybe(
    stroke=colour,
    strokeWidth=length,
    strokeCap=st.sampled_from(["butt", "round", "square"]),
    strokeJoin=st.sampled_from(["miter", "round", "bevel"]),
)
_fill = _maybe(fill=colour)
_SHAPES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "rectangle": st.fixed_dictionaries({"width": length, "height": length}, optional={"radius": length}),
    "ellipse": st.one_of(
        st.fixed_dictionaries({"rx": length, "ry": length}),
        st.fixed_dictionaries({"radius": length}),
        st.fixed_dictionaries({"width": length, "height": length}),
        _maybe(cx=coordinate, cy=coordinate, r=length),
    ),
    "polygon": st.fixed_dictionaries({"points": st.lists(point, min_size=3, max_size=6)}),
    "path": st.fixed_dictionaries({"d": path_data()}, optional={"fillRule": st.sampled_from(["evenodd", "nonzero"])}),
    "line": st.one_of(
        st.fixed_dictionaries({"x1": coordinate, "y1": coordinate, "x2": coordinate, "y2": coordinate}),
        st.fixed_dictionaries({"points": st.lists(point, min_size=2, max_size=6)}),
    ),
    "text": st.fixed_dictionaries(
        {"text": scene_text},
        optional={
            "fontSize": st.one_of(st.integers(1, 60), st.sampled_from([5e-324, 0.01, 0.5, 300, 2000])),
            "fontFamily": st.sampled_from(["sans-serif", "monospace", "Lato", "", ",,", "\0", "İ", "x" * 200]),
            "fontWeight": st.sampled_from([100, 900, 450, "bold", "heavy"]),
            "italic": st.booleans(),
            "align": st.sampled_from(["left", "center", "right"]),
            "lineHeight": st.floats(0, 10),
            "letterSpacing": st.one_of(st.floats(-5, 5), st.sampled_from([-1000, 1000, 5e-324])),
        },
    ),
    "image": st.fixed_dictionaries(
        {"src": st.sampled_from(pictures.ALL)}, optional={"width": length, "height": length}
    ),
}


@st.composite
def scene_object(draw: st.DrawFn, index: int) -> dict[str, Any]:
    """Return an object of any type, with the id `o` and its number."""
    kind = draw(st.sampled_from(sorted(_SHAPES)))
    found = {"type": kind, "id": f"o{index}", **draw(_common), **draw(_SHAPES[kind])}
    if kind != "image":
        found |= draw(_stroke)
    if kind not in {"image", "line"}:
        found |= draw(_fill)
    if {"cx", "cy"} & found.keys():
        found.pop("x", None)
        found.pop("y", None)
    return found


_moment = st.one_of(st.floats(0, 1), st.sampled_from([0, 0.001, 0.5, 1, 1e5, 5e-324]))
_value = st.one_of(coordinate, factor)


@st.composite
def animation(draw: st.DrawFn, objects: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an animation of one of the objects."""
    target = draw(st.sampled_from(objects))
    found: dict[str, Any] = {"target": target["id"], "easing": draw(st.sampled_from(EASINGS))}
    values: st.SearchStrategy[Any] = _value
    if draw(st.booleans()):
        found["transform"] = draw(st.sampled_from(TRANSFORMS))
        if found["transform"] in {"translate", "scale"}:
            values = st.one_of(_value, st.tuples(_value, _value).map(list))
    else:
        numeric = sorted({"x", "y", "opacity", "rotation", "scale"} | (target.keys() & _ANIMATED))
        found["property"] = draw(st.sampled_from([*numeric, "fill", "stroke", "strokeWidth"]))
        if found["property"] in {"fill", "stroke"}:
            values = st.sampled_from(COLOURS[:8])
    found |= draw(_maybe(start=_moment, alternate=st.booleans(), repeat=st.sampled_from([1, 2, "infinite", 1_000_000])))
    if draw(st.booleans()):
        return found | {"to": draw(values), "duration": max(0.001, draw(_moment))} | draw(_maybe(**{"from": values}))
    offsets = sorted(draw(st.lists(st.floats(0, 1), min_size=1, max_size=4)))
    frames = [{"offset": offset, "value": draw(values)} for offset in offsets]
    return found | {"keyframes": frames, "duration": max(0.001, draw(_moment))}


_ANIMATED = {"width", "height", "radius", "cx", "cy", "rx", "ry", "x1", "y1", "x2", "y2", "fontSize", "letterSpacing"}


@st.composite
def scenes(draw: st.DrawFn) -> dict[str, Any]:
    """Return a scene that is valid, or nearly so."""
    objects = [draw(scene_object(index)) for index in range(draw(st.integers(1, 4)))]
    animations = draw(st.lists(animation(objects), max_size=3))
    return {"objects": objects, "animations": animations, "metadata": {"duration": draw(_durations)}}


_durations = st.sampled_from([0.1, 0.3, 1, 0.001, 1e-9, 5e-324])
_side = st.one_of(st.integers(1, 40).map(lambda half: 2 * half), st.sampled_from([1, 2, 3, 17, 130]))
_configs = st.fixed_dictionaries(
    {"width": _side, "height": _side, "format": st.sampled_from(["png", "png", "gif", "mp4", "webm"])},
    optional={
        "fps": st.sampled_from([0.1, 1, 10, 29.97, 12.34567, 0.1000001, 60, 120]),
        "quality": st.sampled_from(["low", "high", 1, 19, 100]),
        "backgroundColor": st.sampled_from(COLOURS[:6]),
        "time": st.sampled_from([0, 0.05, 0.1, 1]),
    },
)


@st.composite
def strange(draw: st.DrawFn) -> Case:
    """Return a scene with a configuration, one in two spoilt somewhere."""
    spec: st.SearchStrategy[Any] = scenes()
    config: st.SearchStrategy[Any] = _configs
    if draw(st.booleans()):
        spec, config = spoilt(spec), spoilt(config, most=1)
    config_value = draw(config)
    return Case("scene", dumps(draw(spec)), dumps(config_value))


@st.composite
def readable(draw: st.DrawFn) -> Case:
    """Return a scene that shows one text, black on white, in plain view."""
    shown = {
        "type": "text",
        "text": draw(readable_texts),
        "x": 60,
        "y": 60,
        "fontSize": draw(st.integers(12, 40)),
        "fontFamily": draw(st.sampled_from(["sans-serif", "monospace"])),
        "fontWeight": draw(st.sampled_from([100, 400, 900])),
        "italic": draw(st.booleans()),
        "align": draw(st.sampled_from(["left", "center", "right"])),
    }
    config = {"width": 120, "height": 120, "format": "png"}
    return Case("scene", dumps({"objects": [shown], "duration": 1}), dumps(config), readable=True)


cases = st.one_of(strange(), strange(), strange(), readable())
