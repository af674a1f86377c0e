"""The models of a scene's animations."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, field_validator, model_validator

from renderer.kinds.colour import Colour, parse_colour
from renderer.kinds.models import Number, StrictModel, invalid_at
from renderer.kinds.scene.fields import MAX_KEYFRAMES, EasingName, Fraction01, ObjectId, Seconds, camel

Transform = Literal["translate", "translateX", "translateY", "scale", "scaleX", "scaleY", "rotate", "skewX", "skewY"]
PAIRS = frozenset({"translate", "scale"})

# A number, a pair (of a transform), or a colour's text. What it must be follows from the property.
Pair = tuple[Number, Number]
Value = float | Pair | str | None

_MAX_VALUE = 1e6

# Seconds. Runs are counted, and a scene of five minutes must not hold more of them than a float counts exactly.
MIN_DURATION = 0.001


def _bounded(value: Any) -> Any:
    """Refuse what is neither a number within bounds, nor a pair of such, nor a short string."""
    numbers = value if isinstance(value, list | tuple) else [value]
    if value is None or (isinstance(value, str) and len(value) <= 80):  # noqa: PLR2004
        return value
    if len(numbers) > 2 or not numbers:  # noqa: PLR2004 - [x, y]
        raise ValueError("a value is a number, a colour, or for a transform [x, y]")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError("a value is a number, a colour, or for a transform [x, y]")  # noqa: TRY004
        if not abs(number) <= _MAX_VALUE:
            raise ValueError("a number is finite and within ±1,000,000")
    return [float(number) for number in numbers] if isinstance(value, list | tuple) else float(value)


class Keyframe(StrictModel):
    """A value at a moment; `easing` leads from it to the next."""

    time: Annotated[Seconds | None, Field(validation_alias=AliasChoices("time", "at"))] = None
    offset: Fraction01 | None = None
    value: Value
    easing: EasingName | None = None

    _check = field_validator("value", mode="before")(_bounded)

    @model_validator(mode="after")
    def _one_moment(self) -> Self:
        if (self.time is None) == (self.offset is None):
            raise invalid_at(["time"], "give time (seconds) or offset (0 to 1), one of them")
        return self


class Animation(StrictModel):
    """How one property or one transform of one object changes over time. Times are seconds."""

    target: Annotated[ObjectId, Field(validation_alias=AliasChoices("target", "targetId", "objectId"))]
    property_: Annotated[str | None, Field(alias="property", max_length=60)] = None
    transform: Transform | None = None
    from_: Annotated[Value, Field(alias="from")] = None
    to: Value = None
    keyframes: Annotated[list[Keyframe], Field(max_length=MAX_KEYFRAMES)] | None = None
    start: Annotated[Seconds, Field(validation_alias=AliasChoices("start", "startTime", "delay", "begin"))] = 0.0
    duration: Annotated[Number, Field(ge=MIN_DURATION, le=1e5)] | None = None
    easing: EasingName = "linear"
    repeat: Annotated[int, Field(ge=1, le=1_000_000)] | None = 1
    alternate: Annotated[bool, Field(validation_alias=AliasChoices("alternate", "yoyo"))] = False

    _check = field_validator("from_", "to", mode="before")(_bounded)

    @field_validator("transform", mode="before")
    @classmethod
    def _either_spelling(cls, value: Any) -> Any:
        return camel(value) if isinstance(value, str) else value

    @field_validator("property_")
    @classmethod
    def _public_spelling(cls, value: str | None) -> str | None:
        return None if value is None else camel(value)

    @field_validator("repeat", mode="before")
    @classmethod
    def _endless(cls, value: Any) -> Any:
        """Read "infinite" and true as None, which stands for no end, and false as once."""
        if value is None:
            raise ValueError('repeat is a count from 1 or "infinite"')
        if value is False:
            return 1
        # JSON may hold a list or an object there, which no set can be asked for.
        endless = value is True or (isinstance(value, str) and value in {"infinite", "infinity"})
        return None if endless else value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.property_ is None) == (self.transform is None):
            where = "property" if self.property_ is None else "transform"
            raise invalid_at([where], "give property or transform, exactly one of them")
        if self.keyframes is None:
            self._complete_from_to()
        else:
            self._complete_keyframes(self.keyframes)
        return self

    def _complete_from_to(self) -> None:
        if self.to is None:
            raise invalid_at(["to"], "give to, or keyframes")
        if self.duration is None:
            raise invalid_at(["duration"], "an animation with to has a duration in seconds")

    def _complete_keyframes(self, keyframes: list[Keyframe]) -> None:
        if self.to is not None or self.from_ is not None:
            raise invalid_at(["keyframes"], "give either from and to or keyframes, not both")
        if not keyframes:
            raise invalid_at(["keyframes"], "an animation has at least one keyframe")
        if self.duration is None:
            last = max((frame.time or 0.0 for frame in keyframes), default=0.0)
            if last < MIN_DURATION:
                raise invalid_at(["duration"], "give a duration in seconds, or a keyframe with a time above 0")
            self.duration = last
        before = 0.0
        for index, frame in enumerate(keyframes):
            moment = self.moment(frame)
            if moment > self.duration:
                raise invalid_at(["keyframes", index, "time"], f"lies after the duration of {self.duration:g} s")
            if moment < before:
                raise invalid_at(["keyframes", index, "time"], "keyframes stand in the order of their times")
            if frame.value is None:
                raise invalid_at(["keyframes", index, "value"], "a keyframe has a value")
            before = moment

    @property
    def seconds(self) -> float:
        """Return the length of one run."""
        return self.duration or 0.0

    def moment(self, frame: Keyframe) -> float:
        """Return when a keyframe is reached, in seconds from the start of a run."""
        return frame.time if frame.time is not None else (frame.offset or 0.0) * self.seconds


def components(value: float | Pair | str, *, pair: bool, transform: str | None) -> tuple[float, ...]:
    """Return a value as numbers: one, two for `translate` and `scale`, four for a colour. Raises ValueError."""
    if isinstance(value, str):
        return parse_colour(value) if value.strip().lower() != "none" else Colour(0.0, 0.0, 0.0, 0.0)
    if isinstance(value, tuple | list):
        if not pair or len(value) != 2:  # noqa: PLR2004
            raise ValueError("a pair [x, y] is for the transforms translate and scale")
        return float(value[0]), float(value[1])
    if not pair:
        return (float(value),)
    return (float(value), float(value)) if transform == "scale" else (float(value), 0.0)
