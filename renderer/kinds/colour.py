"""Colours of a spec: what CSS writes, as four numbers."""

from __future__ import annotations

import colorsys
import re
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from renderer.kinds.colournames import HEX_BY_NAME

_HEX = re.compile(r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")
_FUNCTION = re.compile(r"(rgb|hsl)a?\(([^()]*)\)")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(%|deg)?")
_MAX_LENGTH = 80


class Colour(NamedTuple):
    """Red, green, blue and alpha, each from 0 to 1, not premultiplied, sRGB."""

    red: float
    green: float
    blue: float
    alpha: float


BLACK = Colour(0.0, 0.0, 0.0, 1.0)
WHITE = Colour(1.0, 1.0, 1.0, 1.0)
TRANSPARENT = Colour(0.0, 0.0, 0.0, 0.0)


def parse_colour(text: str) -> Colour:
    """Parse `#rgb[a]`, `#rrggbb[aa]`, a CSS name, `rgb()` or `hsl()`. Raises ValueError."""
    wanted = text.strip().lower()
    if len(text) > _MAX_LENGTH:
        raise ValueError("a colour is at most 80 characters")
    if wanted == "transparent":
        return TRANSPARENT
    if wanted in HEX_BY_NAME:
        return _from_hex(HEX_BY_NAME[wanted])
    if _HEX.fullmatch(wanted):
        return _from_hex(wanted[1:])
    call = _FUNCTION.fullmatch(wanted)
    if call is None:
        raise ValueError(f"{text!r} is not a colour: write #rrggbb, #rrggbbaa, a CSS name, rgb(…) or hsl(…)")
    return _from_function(call[1], call[2], text)


def _from_hex(digits: str) -> Colour:
    if len(digits) <= len("rgba"):
        digits = "".join(digit * 2 for digit in digits)
    digits = digits if len(digits) == len("rrggbbaa") else digits + "ff"
    red, green, blue, alpha = (int(digits[index : index + 2], 16) / 255 for index in range(0, len(digits), 2))
    return Colour(red, green, blue, alpha)


def _from_function(name: str, inside: str, text: str) -> Colour:
    parts = [part for part in re.split(r"[\s,/]+", inside.strip()) if part]
    if len(parts) not in {3, 4} or not all(_NUMBER.fullmatch(part) for part in parts):
        raise ValueError(f"{text!r} is not a colour: {name}() takes three numbers and, optionally, an alpha")
    alpha = _unit(parts[3], 1.0) if len(parts) == len("rgba") else 1.0
    if name == "rgb":
        red, green, blue = (_unit(part, 255.0) for part in parts[:3])
        return Colour(red, green, blue, alpha)
    hue = float(parts[0].removesuffix("deg").rstrip("%")) % 360 / 360
    saturation, lightness = (_unit(part, 100.0) for part in parts[1:3])
    return Colour(*colorsys.hls_to_rgb(hue, lightness, saturation), alpha)


def _unit(part: str, full: float) -> float:
    """Return a channel from 0 to 1: a percentage, or a number of which `full` is the whole."""
    value = float(part[:-1]) / 100 if part.endswith("%") else float(part) / full
    return min(1.0, max(0.0, value))


def _validate(value: Any) -> Colour:
    if isinstance(value, Colour):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("colour", "a colour is a string such as #ff8800")
    try:
        return parse_colour(value)
    except ValueError as error:
        raise PydanticCustomError("colour", "{reason}", {"reason": str(error)}) from None


def _none_is_null(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


ColourField = Annotated[Colour, PlainValidator(_validate), WithJsonSchema({"type": "string", "format": "color"})]

# A fill or a stroke: a colour, or the word "none" (null does as well).
Paint = Annotated[ColourField | None, BeforeValidator(_none_is_null)]
