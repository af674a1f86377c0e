"""Types that the models of a scene share: bounded numbers, bounded strings."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from renderer.kinds.models import Number
from renderer.kinds.scene.easing import parse_easing

MAX_KEYFRAMES = 1_000
MAX_POINTS = 10_000
MAX_PATH_CHARACTERS = 100_000
MAX_TEXT_CHARACTERS = 10_000
MAX_TEXT_LINES = 500
MAX_IMAGE_CHARACTERS = 32 * 1024 * 1024
MAX_ANIMATIONS_PER_OBJECT = 20

# Pixels. The bound keeps every sum and product that a scene can make finite in skia's 32-bit floats.
Coordinate = Annotated[Number, Field(ge=-1e6, le=1e6)]
Length = Annotated[Number, Field(ge=0, le=1e6)]
Degrees = Annotated[Number, Field(ge=-1e6, le=1e6)]
Factor = Annotated[Number, Field(ge=-1e4, le=1e4)]
Fraction01 = Annotated[Number, Field(ge=0, le=1)]
Seconds = Annotated[Number, Field(ge=0, le=1e5)]
ObjectId = Annotated[str, Field(min_length=1, max_length=200)]


def _check_easing(name: str) -> str:
    parse_easing(name)
    return name


EasingName = Annotated[str, Field(max_length=100), AfterValidator(_check_easing)]


def _point_as_pair(value: Any) -> Any:
    return (value["x"], value["y"]) if isinstance(value, dict) and value.keys() == {"x", "y"} else value


Point = Annotated[tuple[Coordinate, Coordinate], BeforeValidator(_point_as_pair)]


def camel(name: str) -> str:
    """Return a property's public name for either spelling: `font_size` and `fontSize` are `fontSize`."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
