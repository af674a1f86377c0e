"""What the types of objects have in common, and which of it can be animated."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, Field

from renderer.kinds.colour import BLACK, Paint
from renderer.kinds.models import Number, StrictModel
from renderer.kinds.scene.fields import Coordinate, Degrees, Factor, Fraction01, Length, ObjectId

# Public property name → attribute.
COMMON = {
    "x": "x",
    "y": "y",
    "opacity": "opacity",
    "rotation": "rotation",
    "scale": "scale",
    "scaleX": "scale_x",
    "scaleY": "scale_y",
}
STROKED = {"stroke": "stroke", "strokeWidth": "stroke_width"}
FILLED = {"fill": "fill", "color": "fill", **STROKED}
SIZED = {"width": "width", "height": "height"}

COLOURS = frozenset({"fill", "stroke"})


class SceneObject(StrictModel):
    """What every object has. Lengths are pixels, y grows downward, angles are degrees clockwise."""

    type: str
    id: ObjectId | None = None
    x: Coordinate = 0.0
    y: Coordinate = 0.0
    opacity: Fraction01 = 1.0
    z_index: Annotated[Number, Field(validation_alias=AliasChoices("zIndex", "z", "zOrder"), ge=-1e6, le=1e6)] = 0.0
    rotation: Degrees = 0.0
    scale: Factor = 1.0
    scale_x: Factor = 1.0
    scale_y: Factor = 1.0
    visible: bool = True

    own_properties: ClassVar[dict[str, str]] = {}

    def animatable(self) -> dict[str, str]:
        """Return public property name → attribute of what can be animated on this object."""
        return COMMON | self.own_properties


class Stroked(SceneObject):
    """An object with an outline."""

    stroke: Paint = None
    stroke_width: Length = 1.0
    stroke_cap: Literal["butt", "round", "square"] = "butt"
    stroke_join: Literal["miter", "round", "bevel"] = "miter"


class Filled(Stroked):
    """An object with an inside."""

    fill: Annotated[Paint, Field(validation_alias=AliasChoices("fill", "color"))] = BLACK
