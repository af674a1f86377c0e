"""The values of an object's animated properties at a moment.

Of the animations of one property, the one that started last decides; before the first has started the object's own
value stands, and after an animation has ended its last value does. An animation without `from` starts at the value
that the property has at that moment, so that a chain of them is continuous.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from renderer.kinds.colour import Colour
from renderer.kinds.scene.animation import PAIRS, Animation, components
from renderer.kinds.scene.common import SceneObject
from renderer.kinds.scene.easing import Easing, parse_easing

Values = tuple[float, ...]

_TRANSFORM_START: dict[str, Values] = {"scale": (1.0, 1.0), "scaleX": (1.0,), "scaleY": (1.0,), "translate": (0.0, 0.0)}


@dataclass(slots=True)
class Track:
    """One animation, compiled: moments of a run in seconds, the value at each, the curve that leads to the next."""

    start: float
    duration: float
    repeat: int | None
    alternate: bool
    moments: list[float]
    values: list[Values]
    easings: list[Easing]

    def at(self, time: float) -> Values:
        """Return the value at `time` seconds, which is not before the start."""
        return self._in_run(self._position(time - self.start))

    def _position(self, elapsed: float) -> float:
        """Return where in a run the animation stands, in seconds; a run that goes back counts down."""
        run = math.floor(elapsed / self.duration)
        within = elapsed - run * self.duration
        if self.repeat is not None and run >= self.repeat:
            run, within = self.repeat - 1, self.duration
        return self.duration - within if self.alternate and run % 2 else within

    def _in_run(self, position: float) -> Values:
        after = bisect.bisect_right(self.moments, position)
        if after == 0:
            return self.values[0]
        if after == len(self.moments):
            return self.values[-1]
        begin, end = self.moments[after - 1], self.moments[after]
        share = self.easings[after - 1]((position - begin) / (end - begin))
        pairs = zip(self.values[after - 1], self.values[after], strict=True)
        return tuple(start + (stop - start) * share for start, stop in pairs)


@dataclass(slots=True)
class Channel:
    """All the tracks of one property or transform, in the order in which they start."""

    name: str
    own: Values
    starts: list[float] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)

    def at(self, time: float) -> Values:
        """Return the value at `time` seconds."""
        started = bisect.bisect_right(self.starts, time)
        return self.tracks[started - 1].at(time) if started else self.own

    def add(self, animation: Animation) -> None:
        """Append the animation that starts next."""
        first = self.at(animation.start)
        self.tracks.append(_compile(animation, first))
        self.starts.append(animation.start)


def _compile(animation: Animation, first: Values) -> Track:
    pair, transform = animation.transform in PAIRS, animation.transform
    default = parse_easing(animation.easing)
    if animation.keyframes is None:
        moments, given, easings = [0.0, animation.seconds], [animation.from_, animation.to], [default, default]
    else:
        moments = [animation.moment(frame) for frame in animation.keyframes]
        given = [frame.value for frame in animation.keyframes]
        easings = [parse_easing(frame.easing) if frame.easing else default for frame in animation.keyframes]
    values = [first if value is None else components(value, pair=pair, transform=transform) for value in given]
    return Track(animation.start, animation.seconds, animation.repeat, animation.alternate, moments, values, easings)


def _own_value(item: SceneObject, attribute: str) -> Values:
    value = getattr(item, attribute)
    if isinstance(value, Colour):
        return value
    return (0.0, 0.0, 0.0, 0.0) if value is None else (float(value),)


class Timeline:
    """The animations of one object."""

    def __init__(self, item: SceneObject, animations: Iterable[Animation]) -> None:
        self.properties: dict[str, Channel] = {}
        self.transforms: dict[str, Channel] = {}
        known = item.animatable()
        # A stable sort: of two that start together the one that stands later in the scene decides.
        for animation in sorted(animations, key=lambda one: one.start):
            if animation.transform is not None:
                start = _TRANSFORM_START.get(animation.transform, (0.0,))
                channel = self.transforms.setdefault(animation.transform, Channel(animation.transform, start))
            else:
                attribute = known[animation.property_ or ""]
                own = _own_value(item, attribute)
                channel = self.properties.setdefault(attribute, Channel(attribute, own))
            channel.add(animation)

    @property
    def still(self) -> bool:
        """Say whether nothing of the object ever changes."""
        return not self.properties and not self.transforms

    def at(self, time: float) -> Moment:
        """Return what the animated properties and transforms are at `time` seconds."""
        return Moment(
            {name: channel.at(time) for name, channel in self.properties.items()},
            {name: channel.at(time) for name, channel in self.transforms.items()},
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """Animated values by attribute and by transform; what is not animated is not in it."""

    properties: dict[str, Values]
    transforms: dict[str, Values]

    def number(self, item: SceneObject, attribute: str) -> float:
        """Return a property that is a number, animated or the object's own."""
        values = self.properties.get(attribute)
        return values[0] if values is not None else float(getattr(item, attribute))

    def colour(self, item: SceneObject, attribute: str) -> Colour | None:
        """Return a fill or stroke, animated or the object's own; None is no paint."""
        values = self.properties.get(attribute)
        if values is None:
            own: Colour | None = getattr(item, attribute)
            return own
        return Colour(*(min(1.0, max(0.0, value)) for value in values))

    def transform(self, name: str, default: Sequence[float]) -> Sequence[float]:
        """Return an animated transform's numbers."""
        return self.transforms.get(name, default)


STILL = Moment({}, {})
