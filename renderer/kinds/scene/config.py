"""The model of a scene's configuration: the picture's size, rate and format."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from renderer.kinds.colour import WHITE, ColourField
from renderer.kinds.models import Number, StrictModel, invalid_at
from renderer.kinds.scene.fields import Seconds
from renderer.limits import MAX_FPS, MAX_HEIGHT, MAX_WIDTH, current

# Broadcast rates that people write as decimals.
_NTSC = {23.976: 24, 29.97: 30, 47.952: 48, 59.94: 60, 119.88: 120}
_LEVELS = {"low": 30, "medium": 60, "high": 90}


class SceneConfig(StrictModel):
    """How a scene is drawn. Sizes are pixels, `time` is seconds."""

    width: Annotated[int, Field(ge=1, le=MAX_WIDTH)] = 1280
    height: Annotated[int, Field(ge=1, le=MAX_HEIGHT)] = 720
    fps: Annotated[Number, Field(ge=0.1, le=MAX_FPS)] = 30
    format: Literal["mp4", "webm", "gif", "png"] = "mp4"
    background_color: ColourField = WHITE
    quality: Literal["low", "medium", "high"] | Annotated[int, Field(ge=1, le=100)] = "medium"
    time: Seconds = 0.0

    @field_validator("quality", mode="before")
    @classmethod
    def _level_or_number(cls, value: Any) -> Any:
        # A union reports one error per member; one sentence is easier to act on.
        number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 100  # noqa: PLR2004
        if not number and not (isinstance(value, str) and value in _LEVELS):
            raise ValueError("quality is low, medium, high or a whole number from 1 to 100")
        return value

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        limit = current().frame_pixels
        if self.width * self.height > limit:
            reason = f"{self.width} x {self.height} is more than {limit:,} pixels"
            raise invalid_at(["width"], reason)
        if self.format in {"mp4", "webm"}:
            for name in ("width", "height"):
                if getattr(self, name) % 2:
                    raise invalid_at([name], f"{self.format} needs an even {name}; this is {getattr(self, name)}")
        if self.background_color.alpha < 1 and self.format != "png":
            raise invalid_at(["backgroundColor"], f"only png has transparency; give an opaque colour for {self.format}")
        return self

    @property
    def rate(self) -> Fraction:
        """Return the frames per second exactly: 29.97 is 30000/1001."""
        for decimal, whole in _NTSC.items():
            if abs(self.fps - decimal) < 0.005:  # noqa: PLR2004 - 29.97 and 29.970 03 alike
                return Fraction(whole * 1000, 1001)
        return Fraction(self.fps).limit_denominator(1000)

    @property
    def level(self) -> int:
        """Return the quality from 1 to 100."""
        return _LEVELS[self.quality] if isinstance(self.quality, str) else self.quality
