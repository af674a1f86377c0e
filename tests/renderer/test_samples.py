"""The samples that ship are good inputs, and show what they are meant to show."""

from __future__ import annotations

from renderer import samples
from renderer.kinds import svg as svg_kind
from renderer.kinds.scene import SceneSpec
from tests.renderer.drawing import decode, draw, rgb, run


def test_the_names_are_the_files() -> None:
    """Nothing else is offered."""
    assert samples.names() == ["badge.svg", "pipeline.json"]


def test_the_scene_moves_many_objects_for_five_seconds() -> None:
    """At least twenty objects move, and there is text."""
    spec = SceneSpec.model_validate(samples.scene())
    assert spec.seconds == 5
    assert len({animation.target for animation in spec.animations}) >= 20
    assert any(item.type == "text" for item in spec.objects)
    first, last = (draw(samples.scene(), width=1280, height=720, time=time) for time in (0.0, 5.0))
    assert rgb(first, 960, 290) != rgb(last, 960, 290) == (244, 114, 182)


def test_the_svg_is_drawn_with_its_text() -> None:
    """White letters on the badge."""
    pixels = decode(run(svg_kind, samples.svg())[0])
    assert pixels.shape == (480, 480, 4)
    assert int((pixels[345:385, 100:380, :3] > 250).all(axis=2).sum()) > 1500
