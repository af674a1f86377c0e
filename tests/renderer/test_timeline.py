"""The values of animated properties over time."""

from __future__ import annotations

from typing import Any

import pytest

from renderer.kinds.scene.model import SceneSpec
from renderer.kinds.scene.timeline import Timeline
from tests.renderer.drawing import scene


def timeline(*animations: dict[str, Any], **properties: Any) -> Timeline:
    """Return the timeline of one rectangle, at x = 10 unless said otherwise."""
    item = {"type": "rectangle", "id": "a", "x": 10, "width": 5, "height": 5, **properties}
    spec = SceneSpec.model_validate(scene([item], *({"target": "a", **one} for one in animations)))
    return Timeline(spec.objects[0], spec.animations)


def x_at(moves: Timeline, *times: float) -> list[float]:
    """Return x at each time."""
    return [moves.at(time).properties["x"][0] for time in times]


def test_before_during_and_after() -> None:
    """The object's own value before the start, the last value after the end."""
    moves = timeline({"property": "x", "from": 100, "to": 200, "start": 1, "duration": 2})
    assert x_at(moves, 0, 0.99, 1, 2, 3, 99) == [10, 10, 100, 150, 200, 200]


def test_without_from_it_starts_at_the_own_value() -> None:
    """`from` is optional."""
    assert x_at(timeline({"property": "x", "to": 20, "duration": 1}), 0, 0.5, 1) == [10, 15, 20]


def test_a_chain_without_from_is_continuous() -> None:
    """The second animation starts where the first one is, even half way."""
    chain = timeline({"property": "x", "to": 20, "duration": 2}, {"property": "x", "to": 0, "start": 1, "duration": 1})
    assert x_at(chain, 0.5, 1, 1.5, 2, 9) == [12.5, 15, 7.5, 0, 0]


def test_the_one_that_started_last_decides() -> None:
    """Of two at the same start, the later one in the list."""
    same = timeline({"property": "x", "to": 1, "duration": 1}, {"property": "x", "to": 2, "duration": 1})
    assert x_at(same, 1) == [2]
    swapped = timeline({"property": "x", "to": 1, "start": 1, "duration": 1}, {"property": "x", "to": 2, "duration": 1})
    assert x_at(swapped, 0.999999, 2) == pytest.approx([2, 1], abs=1e-3)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"repeat": 2}, [0, 50, 0, 50, 100, 100]),
        ({"repeat": 2, "alternate": True}, [0, 50, 100, 50, 0, 0]),
        ({"repeat": 3, "yoyo": True}, [0, 50, 100, 50, 0, 50]),
        ({"repeat": "infinite", "alternate": True}, [0, 50, 100, 50, 0, 50]),
        ({"repeat": True}, [0, 50, 0, 50, 0, 50]),
        ({}, [0, 50, 100, 100, 100, 100]),
    ],
)
def test_repeats(more: dict[str, Any], expected: list[float]) -> None:
    """Counts, endless ones, and back and forth; after an even number of alternating runs it rests at `from`."""
    moves = timeline({"property": "x", "from": 0, "to": 100, "duration": 1, **more})
    assert x_at(moves, 0, 0.5, 1, 1.5, 2, 2.5) == expected


def test_keyframes_in_seconds_and_in_shares() -> None:
    """`time` is seconds from the start of the animation, `offset` a share of its duration."""
    frames = [{"time": 0, "value": 0}, {"time": 1, "value": 100}, {"offset": 1, "value": 0, "easing": "linear"}]
    moves = timeline({"property": "x", "keyframes": frames, "start": 1, "duration": 4})
    assert x_at(moves, 0.5, 1.5, 2, 3.5, 5, 6) == [10, 50, 100, 50, 0, 0]


def test_keyframes_give_the_duration_and_the_easing_of_their_segment() -> None:
    """The last `time` is the duration; a keyframe's easing leads to the next, the animation's fills in."""
    frames = [{"time": 0.5, "value": 0, "easing": "step-end"}, {"at": 1, "value": 10}, {"time": 2, "value": 110}]
    moves = timeline({"property": "x", "keyframes": frames, "easing": "easeInQuad"})
    assert x_at(moves, 0, 0.99, 1, 1.5, 2) == [0, 0, 10, 35, 110]


def test_transforms_start_at_rest() -> None:
    """A scale without `from` starts at 1, a translation at 0; one number scales both axes."""
    moves = timeline(
        {"transform": "scale", "to": 3, "duration": 1},
        {"transform": "translate", "to": [10, 20], "duration": 1},
        {"transform": "rotate", "to": 90, "duration": 1},
    )
    assert moves.at(0.5).transforms == {"scale": (2, 2), "translate": (5, 10), "rotate": (45,)}


def test_colours_are_mixed() -> None:
    """Channel by channel."""
    moves = timeline({"property": "fill", "from": "#000000", "to": "#ffffff", "duration": 1})
    assert moves.at(0.5).properties["fill"] == (0.5, 0.5, 0.5, 1)
