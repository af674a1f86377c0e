"""What a scene may hold: every refusal names its field, and nothing large is allocated first."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from renderer import limits
from renderer.kinds import scene as scene_kind
from renderer.kinds.scene import SceneConfig, SceneSpec
from tests.renderer.drawing import blamed, scene

BOX = {"type": "rectangle", "id": "a", "width": 5, "height": 5}
MOVE = {"target": "a", "property": "x", "to": 5, "duration": 1}


def huge_png(width: int, height: int) -> str:
    """Return a data URL whose header claims a size and which holds no more than the header."""
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x06\0\0\0"
    return "data:image/png;base64," + base64.b64encode(header).decode()


@pytest.fixture
def few() -> Iterator[None]:
    """Low limits, as an operator may set them."""
    before = limits.current()
    limits.configure(dataclasses.replace(before, scene_objects=2, scene_seconds=3.0, frame_pixels=10_000))
    yield
    limits.configure(before)


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"type": "blob"}, "type"),
        ({}, "type"),
        ({"type": ["rect"]}, "type"),
        ({**BOX, "width": -1}, "width"),
        ({**BOX, "width": float("nan")}, "width"),
        ({**BOX, "x": float("inf")}, "x"),
        ({**BOX, "x": 1e9}, "x"),
        ({**BOX, "x": True}, "x"),
        ({**BOX, "wdith": 5}, "wdith"),
        ({**BOX, "fill": "blurple"}, "fill"),
        ({**BOX, "opacity": 1.1}, "opacity"),
        ({**BOX, "id": "x" * 1000}, "id"),
        ({"type": "rectangle", "width": 5}, "height"),
        ({"type": "ellipse"}, "radius"),
        ({"type": "ellipse", "width": 5}, "height"),
        ({"type": "ellipse", "width": 5, "height": 5, "rx": 5}, "rx"),
        ({"type": "ellipse", "cx": 5, "x": 5, "r": 5}, "cx"),
        ({"type": "polygon", "points": [[0, 0], [1, 1]]}, "points"),
        ({"type": "polygon", "points": [[0, 0], [1, 1], [1, None]]}, "points[2][1]"),
        ({"type": "path", "d": "M0 0 L5"}, "d"),
        ({"type": "path", "d": "M0 0" + "h1" * 10_001}, "d"),
        ({"type": "path", "d": "M0 0" + " " * 100_001}, "d"),
        ({"type": "line"}, "x2"),
        ({"type": "line", "x2": 1, "points": [[0, 0], [1, 1]]}, "points"),
        ({"type": "line", "x2": 1, "fill": "red"}, "fill"),
        ({"type": "text", "text": ""}, "text"),
        ({"type": "text", "text": "x" * 10_001}, "text"),
        ({"type": "text", "text": "\n" * 500}, "text"),
        ({"type": "text", "text": "x", "fontSize": 0}, "fontSize"),
        ({"type": "text", "text": "x", "fontWeight": "heavy"}, "fontWeight"),
        ({"type": "text", "text": "x", "align": "middle"}, "align"),
        ({"type": "image", "src": "https://example.org/a.png"}, "src"),
        ({"type": "image", "src": "file:///etc/passwd"}, "src"),
        ({"type": "image", "src": "data:image/png;base64,AAAA"}, "src"),
        ({"type": "image", "src": huge_png(60_000, 60_000)}, "src"),
        ({"type": "image", "src": huge_png(0, 5)}, "src"),
        ({"type": "image", "src": huge_png(5, 5)}, "src"),
    ],
)
def test_a_bad_object_is_named(item: dict[str, Any], field: str) -> None:
    """With its place in the list, and no name of a model in the path."""
    assert blamed(scene_kind, scene([BOX, {**item, "id": item.get("id", "b")[:999]}])) in {
        f"objects[1].{field}",
        f"objects[1].{field}.0",
    }


@pytest.mark.parametrize(
    ("animation", "field"),
    [
        ({"target": "b"}, "target"),
        ({"property": "radii"}, "property"),
        ({"property": "fontSize"}, "property"),
        ({"property": "x", "transform": "rotate"}, "transform"),
        ({"property": None}, "property"),
        ({"property": None, "transform": "twist"}, "transform"),
        ({"to": None}, "to"),
        ({"to": "red"}, "to"),
        ({"to": [1, 2]}, "to"),
        ({"to": True}, "to"),
        ({"to": float("nan")}, "to"),
        ({"to": 1e300}, "to"),
        ({"property": "fill", "to": 5}, "to"),
        ({"property": "fill", "from": "reddish", "to": "red"}, "from"),
        ({"duration": 0}, "duration"),
        ({"duration": 5e-324}, "duration"),
        ({"to": None, "duration": None, "keyframes": [{"time": 5e-324, "value": 1}]}, "duration"),
        ({"duration": None}, "duration"),
        ({"start": -1}, "start"),
        ({"easing": "wobble"}, "easing"),
        ({"repeat": 0}, "repeat"),
        ({"repeat": "often"}, "repeat"),
        ({"keyframes": [{"time": 0, "value": 1}]}, "keyframes"),
        ({"to": None, "keyframes": []}, "keyframes"),
        ({"to": None, "keyframes": [{"value": 1}]}, "keyframes[0].time"),
        ({"to": None, "keyframes": [{"time": 2, "value": 1}]}, "keyframes[0].time"),
        ({"to": None, "keyframes": [{"time": 1, "value": 1}, {"time": 0, "value": 1}]}, "keyframes[1].time"),
        ({"to": None, "keyframes": [{"time": 1, "value": "red"}]}, "keyframes[0].value"),
        ({"to": None, "keyframes": [{"time": 1, "value": None}]}, "keyframes[0].value"),
        ({"to": None, "keyframes": [{"time": 0, "value": 1}] * 1001}, "keyframes"),
        ({"speed": 5}, "speed"),
    ],
)
def test_a_bad_animation_is_named(animation: dict[str, Any], field: str) -> None:
    """With its place in the list."""
    whole = {key: value for key, value in {**MOVE, **animation}.items() if value is not None or key not in MOVE}
    assert blamed(scene_kind, scene([BOX], MOVE, whole)) == f"animations[1].{field}"


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"width": 0}, "width"),
        ({"width": 100_000}, "width"),
        ({"width": 101}, "width"),
        ({"height": 101}, "height"),
        ({"width": 101, "format": "webm"}, "width"),
        ({"fps": 0}, "fps"),
        ({"fps": 240}, "fps"),
        ({"fps": float("inf")}, "fps"),
        ({"format": "avi"}, "format"),
        ({"quality": "best"}, "quality"),
        ({"quality": 0}, "quality"),
        ({"quality": True}, "quality"),
        ({"backgroundColor": "transparent"}, "backgroundColor"),
        ({"backgroundColor": 5}, "backgroundColor"),
        ({"codec": "av1"}, "codec"),
        ({"time": -1}, "time"),
        ({"time": 2, "format": "png"}, "config.time"),
    ],
)
def test_a_bad_configuration_is_named(config: dict[str, Any], field: str) -> None:
    """Odd sizes only where the format cannot have them."""
    assert blamed(scene_kind, scene([BOX]), config) == field


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"objects": [BOX]}, "metadata.duration"),
        ({"objects": [BOX], "duration": 0}, "duration"),
        ({"objects": [BOX], "duration": 301}, "duration"),
        ({"objects": [BOX], "metadata": {"duration": 1e9}}, "metadata.duration"),
        ({"objects": [BOX], "metadata": {"duration": 1}, "duration": 2}, "duration"),
        ({"objects": [BOX, BOX], "duration": 1}, "objects[1].id"),
        ({"objects": [BOX] * 1_000_000, "duration": 1}, "objects"),
        ({"objects": [], "animations": [MOVE] * 1_000_000, "duration": 1}, "animations"),
        ({"objects": [BOX], "animations": [MOVE] * 21, "duration": 1}, "animations[20].target"),
        ({"objects": [{"type": "path", "d": "M0 0" + " " * 90_000}] * 10, "duration": 1}, "objects"),
        ({"objects": [{"type": "polygon", "points": [[0, 0]] * 10_000}] * 6, "duration": 1}, "objects[5]"),
        ({"objects": [{"type": "image", "src": huge_png(3000, 2000)}] * 2, "duration": 1}, "objects[1].src"),
        ({"objects": {}, "duration": 1}, "objects"),
        ({"objects": [5], "duration": 1}, "objects[0]"),
        ({"layers": [], "duration": 1}, "layers"),
    ],
)
def test_a_bad_scene_is_named(spec: dict[str, Any], field: str) -> None:
    """Durations, counts, and sums over the whole scene."""
    assert blamed(scene_kind, spec) == field


@pytest.mark.in_process
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("spec", "config", "field"),
    [
        (scene([{"type": "rect", "width": 1, "height": 1}] * 3), {}, "objects"),
        (scene([BOX], metadata={"duration": 4}), {}, "metadata.duration"),
        (scene([BOX]), {"width": 200, "height": 100}, "width"),
        (scene([{"type": "image", "src": huge_png(200, 100)}]), {}, "objects[0].src"),
    ],
)
def test_the_operator_sets_the_limits(spec: dict[str, Any], config: dict[str, Any], field: str) -> None:
    """They are read when a spec is validated."""
    assert blamed(scene_kind, spec, {"width": 10, "height": 10, **config}) == field


def test_both_spellings_and_the_other_names_are_accepted() -> None:
    """snake_case, and the names that other systems use."""
    spec = SceneSpec.model_validate(
        {
            "objects": [
                {"type": "rect", "id": "r", "width": 5, "height": 5, "z": 3, "cornerRadius": 2, "color": "#f00"},
                {"type": "circle", "x": 5, "y": 5, "radius": 5, "stroke_width": 2, "zOrder": 1},
                {"type": "text", "content": "x", "font_size": 9, "font_weight": "bold"},
                {"type": "path", "path": "M0 0h5", "zIndex": 2},
                {"type": "polygon", "points": [{"x": 0, "y": 0}, {"x": 5, "y": 0}, {"x": 5, "y": 5}]},
            ],
            "animations": [{"targetId": "r", "property": "corner_radius", "to": 1, "startTime": 1, "duration": 1}],
            "metadata": {"duration": 2, "title": "free", "tags": [1, 2]},
        }
    )
    assert [item.z_index for item in spec.objects] == [3, 1, 0, 2, 0]
    assert spec.seconds == 2
    assert SceneConfig.model_validate({"background_color": "#000"}).background_color.red == 0


@pytest.mark.parametrize(
    ("fps", "rate"), [(30, (30, 1)), (29.97, (30000, 1001)), (23.976, (24000, 1001)), (12.5, (25, 2))]
)
def test_broadcast_rates_are_exact(fps: float, rate: tuple[int, int]) -> None:
    """29.97 means 30000/1001."""
    assert SceneConfig(fps=fps).rate.as_integer_ratio() == rate


def test_the_models_publish_a_json_schema() -> None:
    """Each type of object is in it, under its public names."""
    schema = SceneSpec.model_json_schema()
    assert {"Rectangle", "Ellipse", "Polygon", "Path", "Line", "Text", "Image", "Animation"} <= schema["$defs"].keys()
    assert "strokeWidth" in schema["$defs"]["Rectangle"]["properties"]
    assert SceneConfig.model_json_schema()["properties"]["backgroundColor"]
