"""The model of a scene as a whole, and the checks that need more than one of its parts."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from renderer.kinds.models import Number, StrictModel, invalid_at
from renderer.kinds.scene.animation import PAIRS, Animation, components
from renderer.kinds.scene.common import COLOURS, SceneObject
from renderer.kinds.scene.content import Image
from renderer.kinds.scene.fields import MAX_ANIMATIONS_PER_OBJECT
from renderer.kinds.scene.geometry import Line, Path, Polygon
from renderer.kinds.scene.objects import AnyObject
from renderer.limits import current

# Sums over a whole scene: what bounds the time to validate one and the memory to hold it.
MAX_TOTAL_POINTS = 50_000
MAX_TOTAL_PATH_CHARACTERS = 500_000
MAX_TOTAL_KEYFRAMES = 20_000


class Metadata(StrictModel):
    """What is told about a scene: its duration in seconds, and anything else, which is left alone."""

    model_config = ConfigDict(extra="allow")

    duration: Annotated[Number, Field(gt=0)] | None = None


class SceneSpec(StrictModel):
    """A scene: objects, the animations that move them, and a duration in seconds."""

    objects: list[AnyObject] = Field(default_factory=list)
    animations: list[Animation] = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=Metadata)
    duration: Annotated[Number, Field(gt=0)] | None = None

    @property
    def seconds(self) -> float:
        """Return the duration."""
        return self.duration or 0.0

    @field_validator("objects", mode="before")
    @classmethod
    def _few_objects(cls, value: Any) -> Any:
        # Counted before one object is looked at: a list of a million costs nothing.
        limit = current().scene_objects
        if isinstance(value, list) and len(value) > limit:
            raise ValueError(f"a scene has at most {limit} objects; this one has {len(value):,}")
        if isinstance(value, list) and _characters(value, ("d", "path", "data")) > MAX_TOTAL_PATH_CHARACTERS:
            raise ValueError(f"the paths of a scene have at most {MAX_TOTAL_PATH_CHARACTERS:,} characters in all")
        return value

    @field_validator("animations", mode="before")
    @classmethod
    def _few_animations(cls, value: Any) -> Any:
        limit = current().scene_objects * MAX_ANIMATIONS_PER_OBJECT
        if isinstance(value, list) and len(value) > limit:
            raise ValueError(f"a scene has at most {limit:,} animations; this one has {len(value):,}")
        if isinstance(value, list):
            keyframes = sum(len(item["keyframes"]) for item in value if _has_list(item, "keyframes"))
            if keyframes > MAX_TOTAL_KEYFRAMES:
                raise ValueError(f"a scene has at most {MAX_TOTAL_KEYFRAMES:,} keyframes; this one has {keyframes:,}")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self._check_duration()
        self._check_totals()
        objects = self._by_id()
        counts: dict[str, int] = {}
        for index, animation in enumerate(self.animations):
            target = objects.get(animation.target)
            if target is None:
                raise invalid_at(["animations", index, "target"], f"no object has the id {animation.target!r}")
            counts[animation.target] = counts.get(animation.target, 0) + 1
            if counts[animation.target] > MAX_ANIMATIONS_PER_OBJECT:
                reason = f"an object has at most {MAX_ANIMATIONS_PER_OBJECT} animations"
                raise invalid_at(["animations", index, "target"], reason)
            _check_property(index, animation, target)
            _check_values(index, animation)
        return self

    def _check_duration(self) -> None:
        stated = self.metadata.duration
        if stated is not None and self.duration is not None and stated != self.duration:
            raise invalid_at(["duration"], f"is {self.duration:g} here and {stated:g} in metadata: give it once")
        self.duration = stated if stated is not None else self.duration
        if self.duration is None:
            raise invalid_at(["metadata", "duration"], "a scene has a duration in seconds")
        limit = current().scene_seconds
        if self.duration > limit:
            where = ["metadata", "duration"] if stated is not None else ["duration"]
            raise invalid_at(where, f"a scene lasts at most {limit:g} s; this one lasts {self.duration:g} s")

    def _check_totals(self) -> None:
        points = pixels = 0
        for index, item in enumerate(self.objects):
            if isinstance(item, Polygon | Line):
                points += len(item.points or ())
            elif isinstance(item, Path):
                points += len(item.steps)
            elif isinstance(item, Image):
                pixels += item.pixels[0] * item.pixels[1]
            if points > MAX_TOTAL_POINTS:
                raise invalid_at(["objects", index], f"a scene has at most {MAX_TOTAL_POINTS:,} points in all")
            if pixels > current().frame_pixels:
                reason = f"the pictures of a scene have at most {current().frame_pixels:,} pixels in all"
                raise invalid_at(["objects", index, "src"], reason)

    def _by_id(self) -> dict[str, SceneObject]:
        found: dict[str, SceneObject] = {}
        for index, item in enumerate(self.objects):
            if item.id is None:
                continue
            if item.id in found:
                raise invalid_at(["objects", index, "id"], f"{item.id!r} is the id of an earlier object")
            found[item.id] = item
        return found


def _has_list(item: Any, key: str) -> bool:
    return isinstance(item, dict) and isinstance(item.get(key), list)


def _characters(items: list[Any], keys: tuple[str, ...]) -> int:
    values = (item.get(key) for item in items if isinstance(item, dict) for key in keys)
    return sum(len(value) for value in values if isinstance(value, str))


def _check_property(index: int, animation: Animation, target: SceneObject) -> None:
    known = target.animatable()
    if animation.property_ is not None and animation.property_ not in known:
        reason = f"{animation.property_!r} of a {target.type} cannot be animated; what can: {', '.join(known)}"
        raise invalid_at(["animations", index, "property"], reason)


def _check_values(index: int, animation: Animation) -> None:
    """Refuse a colour where a number belongs, and the other way round, naming the value."""
    colour = animation.property_ in COLOURS | {"color"}
    pair = animation.transform in PAIRS
    for where, value in _values(animation):
        if value is None:
            continue
        if isinstance(value, str) != colour:
            wanted = "a colour" if colour else "a number"
            raise invalid_at(["animations", index, *where], f"{animation.property_ or animation.transform} is {wanted}")
        try:
            components(value, pair=pair, transform=animation.transform)
        except ValueError as error:
            raise invalid_at(["animations", index, *where], str(error)) from None


def _values(animation: Animation) -> list[tuple[tuple[str | int, ...], Any]]:
    if animation.keyframes is not None:
        return [(("keyframes", index, "value"), frame.value) for index, frame in enumerate(animation.keyframes)]
    return [(("from",), animation.from_), (("to",), animation.to)]
