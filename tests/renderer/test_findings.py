"""What fuzzing found in scenes and configurations, each made small: the field is named, or the scene is drawn."""

from __future__ import annotations

from typing import Any

import pytest

from renderer.kinds import scene as scene_kind
from renderer.kinds import svg as svg_kind
from tests.renderer.drawing import blamed, draw, ink, scene
from tests.renderer.test_scene_model import BOX, MOVE


@pytest.mark.parametrize("repeat", [[], {}, [[]], {"a": 1}, 1.5, ""])
def test_a_repeat_of_any_type_is_refused_by_name(repeat: Any) -> None:
    """A list or an object was asked for in a set, which raised TypeError."""
    assert blamed(scene_kind, scene([BOX], {**MOVE, "repeat": repeat})) == "animations[0].repeat"


@pytest.mark.parametrize("data", ["M0 0 H.", "M0 0 V .", "M 0 0 H -", "M0 0 h1e", "M.", "M0 0 A1 1 0 2 0 5 5", "M0 0A"])
def test_a_number_without_a_digit_is_refused_by_name(data: str) -> None:
    """The parser leaves None in such a segment, which raised TypeError later."""
    assert blamed(scene_kind, scene([{"type": "path", "d": data}])) == "objects[0].d"


@pytest.mark.parametrize(
    "name", ["", " ", "\0", "\u202e", "x" * 10_000, "http://example.org/", "a: b", "\U0010ffff" * 50]
)
@pytest.mark.parametrize("where", ["spec", "object", "animation", "config"])
def test_a_name_that_is_no_name_can_be_read_in_the_message(name: str, where: str) -> None:
    """An empty name left the message without a field, a long one without a message."""
    spec = scene([dict(BOX)], dict(MOVE))
    config: dict[str, Any] = {}
    {"spec": spec, "object": spec["objects"][0], "animation": spec["animations"][0], "config": config}[where][name] = 1
    path = blamed(scene_kind, spec, config)
    assert path.endswith("'")
    assert path.isascii()
    assert path.isprintable()
    assert len(path) < 90


def test_a_name_that_is_no_name_is_refused_in_an_svg_too() -> None:
    """The rule is that of all models."""
    assert blamed(svg_kind, {"svg": "<svg/>", "": 1}) == "''"


def test_many_digits_are_read_once() -> None:
    """Three numbers of an arc, with gaps that may be missing, were tried in all the ways to divide 400 digits."""
    for data in (f"M0 0 A {'9' * 400} 15 9 128 0 -39 7", f"M0 0 A{' ' * 50_000}x", f"M0 0 L{'1' * 50_000}"):
        assert blamed(scene_kind, scene([{"type": "path", "d": data}])) == "objects[0].d"


@pytest.mark.parametrize("text", ["\0a", "a\0", "\0"])
def test_a_text_with_nul_is_refused_by_name(text: str) -> None:
    """It was drawn up to there, and no further."""
    assert blamed(scene_kind, scene([{"type": "text", "text": text}])) == "objects[0].text"


@pytest.mark.parametrize(
    "text", ["שלום", "مرحبا", "\u202eabc", "a\u200bb", "漢字", "👍🏽", "e" + "\u0301" * 500, "\u2066" * 200 + "x"]
)
def test_text_in_any_script_leaves_ink(text: str) -> None:
    """Right to left, zero width, without a font for it: drawn, or drawn as boxes, never left out."""
    assert ink(draw(scene([{"type": "text", "text": text, "x": 40, "y": 60, "fontSize": 30}]))) > 20
