"""Colours, as CSS writes them."""

from __future__ import annotations

import pytest

from renderer.kinds.colour import parse_colour


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#f80", (255, 136, 0, 255)),
        ("#f808", (255, 136, 0, 136)),
        ("#FF8800", (255, 136, 0, 255)),
        ("#ff880080", (255, 136, 0, 128)),
        ("RebeccaPurple", None),
        ("tomato", (255, 99, 71, 255)),
        ("transparent", (0, 0, 0, 0)),
        ("rgb(255, 136, 0)", (255, 136, 0, 255)),
        ("rgb(255 136 0 / 50%)", (255, 136, 0, 128)),
        ("rgba(100%, 0%, 0%, 0.5)", (255, 0, 0, 128)),
        ("hsl(120, 100%, 50%)", (0, 255, 0, 255)),
        ("hsl(240deg 100% 50% / 0.5)", (0, 0, 255, 128)),
        ("hsla(-120, 100%, 50%, 1)", (0, 0, 255, 255)),
    ],
)
def test_each_way_to_write_a_colour(text: str, expected: tuple[int, ...] | None) -> None:
    """Hexadecimal, names and functions give the same four numbers."""
    wanted = expected or (102, 51, 153, 255)
    assert tuple(round(value * 255) for value in parse_colour(text)) == wanted


@pytest.mark.parametrize("text", ["", "#12", "#12345", "red;", "rgb(1,2)", "rgb(1,2,3,4,5)", "hsl(a,b,c)", "x" * 1000])
def test_what_is_no_colour_is_refused(text: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValueError, match="colour"):
        parse_colour(text)
