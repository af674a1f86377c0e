"""What a scene looks like, by its pixels."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import numpy as np
import pytest
import skia

from renderer.kinds.colour import Colour
from renderer.kinds.scene.model import SceneSpec
from renderer.kinds.scene.paint import Painter
from tests.renderer.drawing import box, draw, ink, rgb, scene

PAPER = Colour(1.0, 1.0, 1.0, 1.0)
RED, GREEN, WHITE = (255, 0, 0), (0, 128, 0), (255, 255, 255)


def picture(width: int, height: int, kind: Any = skia.kPNG) -> str:
    """Return a data URL of a picture, red on its left half and blue on its right."""
    surface = skia.Surface(width, height)
    surface.getCanvas().clear(skia.ColorRED)
    surface.getCanvas().drawRect(skia.Rect.MakeXYWH(width / 2, 0, width, height), skia.Paint(Color=skia.ColorBLUE))
    data = bytes(surface.makeImageSnapshot().encodeToData(kind, 95))
    return "data:image/png;base64," + base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"type": "rectangle", "x": 10, "y": 20, "width": 30, "height": 40}, (10, 20, 39, 59)),
        ({"type": "ellipse", "x": 50, "y": 50, "radius": 20}, (30, 30, 69, 69)),
        ({"type": "ellipse", "cx": 50, "cy": 40, "rx": 20, "ry": 10}, (30, 30, 69, 49)),
        ({"type": "ellipse", "x": 10, "y": 20, "width": 30, "height": 40}, (10, 20, 39, 59)),
        ({"type": "polygon", "points": [[0, 0], [20, 0], [20, 30], [0, 30]], "x": 5, "y": 6}, (5, 6, 24, 35)),
        ({"type": "path", "d": "M10 10h20v20h-20z", "x": 5}, (15, 10, 34, 29)),
        ({"type": "line", "x1": 10, "y1": 50, "x2": 90, "y2": 50, "strokeWidth": 4}, (10, 48, 89, 51)),
        ({"type": "line", "points": [[10, 10], [30, 10], [30, 30]], "strokeWidth": 2}, (10, 9, 30, 29)),
        ({"type": "image", "x": 10, "y": 10, "width": 20, "src": picture(40, 20)}, (10, 10, 29, 19)),
        ({"type": "image", "src": picture(40, 20)}, (0, 0, 39, 19)),
    ],
)
def test_each_type_stands_where_it_should(item: dict[str, Any], expected: tuple[int, ...]) -> None:
    """The box around what is drawn, in pixels."""
    assert box(draw(scene([item]))) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("kind", [skia.kPNG, skia.kJPEG, skia.kWEBP])
def test_pictures_are_drawn(kind: object) -> None:
    """PNG, JPEG and WebP, the right way round."""
    pixels = draw(scene([{"type": "image", "src": picture(60, 60, kind)}]))
    assert rgb(pixels, 10, 30) == pytest.approx(RED, abs=3)
    assert rgb(pixels, 50, 30) == pytest.approx((0, 0, 255), abs=3)


def test_fill_stroke_and_none() -> None:
    """The stroke is centred on the edge; "none" leaves the inside open."""
    base = {"type": "rectangle", "x": 20, "y": 20, "width": 60, "height": 60, "stroke": "#008000", "strokeWidth": 10}
    pixels = draw(scene([{**base, "fill": "red"}]))
    assert (rgb(pixels, 50, 50), rgb(pixels, 17, 50), rgb(pixels, 23, 50)) == (RED, GREEN, GREEN)
    assert rgb(draw(scene([{**base, "fill": "none"}])), 50, 50) == WHITE


def test_opacity_is_of_the_object_as_a_whole() -> None:
    """Where the outline lies over the inside, the inside does not shine through."""
    item = {"type": "rectangle", "x": 20, "y": 20, "width": 60, "height": 60, "fill": "red", "stroke": "#008000"}
    pixels = draw(scene([{**item, "strokeWidth": 20, "opacity": 0.5}]))
    assert rgb(pixels, 15, 50) == rgb(pixels, 25, 50) == pytest.approx((127, 191, 127), abs=2)


def test_z_order_is_stable() -> None:
    """Higher is nearer; equals keep the order of the scene."""
    red = {"type": "rectangle", "width": 50, "height": 50, "fill": "red"}
    green = {**red, "fill": "#008000"}
    assert rgb(draw(scene([red, green])), 25, 25) == GREEN
    assert rgb(draw(scene([{**red, "zIndex": 1}, green])), 25, 25) == RED
    assert ink(draw(scene([{**red, "visible": False}]))) == 0


def test_rotation_and_scale_are_about_the_centre() -> None:
    """A bar turned by 90 degrees stands upright on the spot; scaled by two it grows to both sides."""
    bar = {"type": "rectangle", "x": 30, "y": 45, "width": 40, "height": 10}
    assert box(draw(scene([{**bar, "rotation": 90}]))) == pytest.approx((45, 30, 54, 69), abs=1)
    assert box(draw(scene([{**bar, "scale": 2}]))) == pytest.approx((10, 40, 89, 59), abs=1)
    assert box(draw(scene([{**bar, "scaleY": 2}]))) == pytest.approx((30, 40, 69, 59), abs=1)


def test_round_corners_and_fill_rules() -> None:
    """A radius opens the corner; an even-odd path has a hole."""
    assert rgb(draw(scene([{"type": "rect", "width": 60, "height": 60, "radius": 30}])), 3, 3) == WHITE
    ring = {"type": "path", "d": "M0 0h60v60h-60z M20 20h20v20h-20z"}
    assert rgb(draw(scene([ring])), 30, 30) != WHITE
    assert rgb(draw(scene([{**ring, "fillRule": "evenodd"}])), 30, 30) == WHITE


def text(**more: Any) -> dict[str, Any]:
    """Return a text at the middle of the picture."""
    return {"type": "text", "x": 50, "y": 50, "text": "Hill", "fontSize": 24, **more}


def test_text_is_there_without_a_font_of_the_system() -> None:
    """Its baseline is y, its left end x."""
    left, top, _, bottom = box(draw(scene([text()])))
    assert bottom == pytest.approx(49, abs=1)
    assert 28 < top < 38
    assert left == pytest.approx(52, abs=2)


def test_text_is_aligned() -> None:
    """The point is the left end, the middle or the right end."""
    left, middle, right = (box(draw(scene([text(align=align)]))) for align in ("left", "center", "right"))
    assert left[0] >= 50 > right[2]
    assert (middle[0] + middle[2]) / 2 == pytest.approx(50, abs=1.5)


def test_text_has_lines_weights_and_families() -> None:
    """Each of them shows."""
    assert ink(draw(scene([text(fontWeight="bold")]))) > ink(draw(scene([text(fontWeight=300)])))
    first, second = (box(draw(scene([text(text=words, x=5)]))) for words in ("one", "one\none"))
    assert second[3] - first[3] == pytest.approx(24 * 1.2, abs=1)
    pictures = [draw(scene([text(x=5, **more)])) for more in ({}, {"italic": True}, {"fontFamily": "monospace"})]
    assert all(not np.array_equal(one, other) for one, other in itertools.pairwise(pictures))
    assert np.array_equal(pictures[0], draw(scene([text(x=5, fontFamily="No Such Font")])))


def test_text_is_kerned() -> None:
    """A pair that overlaps is narrower than its letters apart."""
    both, one, other = (box(draw(scene([text(x=5, text=word, fontSize=40)]))) for word in ("AV", "A", "V"))
    assert both[2] - both[0] < (one[2] - one[0]) + (other[2] - other[0])


def moved(animation: dict[str, Any], time: float) -> Any:
    """Draw a bar of 20 x 10 at 40, 45 with one animation, at a moment."""
    bar = {"type": "rectangle", "id": "a", "x": 40, "y": 45, "width": 20, "height": 10, "fill": "red"}
    return draw(scene([bar], {"target": "a", "duration": 1, **animation}), time=time)


@pytest.mark.parametrize(
    ("animation", "expected"),
    [
        ({"property": "x", "to": 60}, (50, 45, 69, 54)),
        ({"property": "width", "to": 40}, (40, 45, 69, 54)),
        ({"transform": "translate", "to": [20, -20]}, (50, 35, 69, 44)),
        ({"transform": "translateY", "to": 20}, (40, 55, 59, 64)),
        ({"transform": "scale", "to": 3}, (30, 40, 69, 59)),
        ({"transform": "scaleX", "to": 3}, (30, 45, 69, 54)),
        ({"transform": "rotate", "to": 180}, (45, 40, 54, 59)),
        ({"transform": "skewX", "to": 90}, (35, 45, 64, 54)),
        ({"property": "rotation", "to": 180}, (45, 40, 54, 59)),
    ],
)
def test_animations_half_way(animation: dict[str, Any], expected: tuple[int, ...]) -> None:
    """Each property and transform, at half of its time."""
    assert box(moved(animation, 0.5)) == pytest.approx(expected, abs=1)


def test_colours_and_opacity_are_animated() -> None:
    """Half way from red to blue is purple; half way to invisible is pink."""
    assert rgb(moved({"property": "fill", "to": "#0000ff"}, 0.5), 50, 50) == pytest.approx((128, 0, 128), abs=1)
    assert rgb(moved({"property": "opacity", "to": 0}, 0.5), 50, 50) == pytest.approx((255, 127, 127), abs=1)
    assert ink(moved({"property": "opacity", "to": 0, "easing": "easeOutBack"}, 0.9)) == 0


def test_a_text_has_the_colour_of_its_moment() -> None:
    """Shaped letters are kept for as long as their paint is the same, and never longer: each frame is as drawn alone."""
    texts = [{"type": "text", "id": name, "y": 14, "text": "w", "fontSize": 20} for name in "abc"]
    fade = {"property": "fill", "from": "#000", "to": "#fff", "duration": 1, "easing": "linear"}
    spec = SceneSpec.model_validate(scene(texts, *({"target": name, **fade} for name in "abc")))
    moving = Painter(spec, 16, 16, PAPER)
    for frame in range(1000):
        alone = Painter(spec, 16, 16, PAPER)
        for painter in (moving, alone):
            painter.draw(frame / 1000)
        assert np.array_equal(moving.pixels, alone.pixels), f"frame {frame}"


def test_a_moving_object_stays_between_those_that_stand() -> None:
    """What stands above the first that moves is drawn again over it."""
    below = {"type": "rectangle", "width": 100, "height": 100, "fill": "#0000ff"}
    moving = {"type": "rectangle", "id": "m", "width": 100, "height": 100, "x": -100, "fill": "red"}
    above = {"type": "rectangle", "x": 40, "y": 40, "width": 20, "height": 20, "fill": "#008000"}
    pixels = draw(scene([below, moving, above], {"target": "m", "property": "x", "to": 0, "duration": 1}), time=0.5)
    assert [rgb(pixels, x, 50) for x in (20, 50, 80)] == [RED, GREEN, (0, 0, 255)]


def test_png_keeps_transparency() -> None:
    """Straight alpha, of the background and of an object."""
    pixels = draw(
        scene([{"type": "rectangle", "width": 50, "height": 100, "fill": "#ff000080"}]), backgroundColor="transparent"
    )
    assert pixels[50, 75].tolist() == [0, 0, 0, 0]
    assert pixels[50, 25].tolist() == [255, 0, 0, 128]


def test_the_background_is_white_unless_it_is_said() -> None:
    """The default, and a colour."""
    assert rgb(draw(scene([])), 5, 5) == WHITE
    assert rgb(draw(scene([]), backgroundColor="#ff0000"), 5, 5) == RED
