"""The models of the objects that are shapes: rectangle, ellipse, polygon, path, line."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AliasChoices, Field, PrivateAttr, model_validator

from renderer.kinds.colour import BLACK, Paint
from renderer.kinds.models import invalid_at
from renderer.kinds.scene.common import COMMON, FILLED, SIZED, STROKED, Filled, Stroked
from renderer.kinds.scene.fields import MAX_PATH_CHARACTERS, MAX_POINTS, Coordinate, Length, Point
from renderer.kinds.scene.pathdata import Step, parse_path


class Rectangle(Filled):
    """A rectangle; x and y are its top left corner."""

    type: Literal["rectangle", "rect"]
    width: Length
    height: Length
    radius: Annotated[Length, Field(validation_alias=AliasChoices("radius", "cornerRadius", "rx"))] = 0.0

    own_properties: ClassVar[dict[str, str]] = {
        **FILLED,
        **SIZED,
        "radius": "radius",
        "cornerRadius": "radius",
        "rx": "radius",
    }


class Ellipse(Filled):
    """An ellipse by its centre and radii, or by the box around it.

    With `width` and `height`, x and y are the top left corner of the box. Otherwise x and y (or cx and cy) are the
    centre, and `radius`, or rx and ry, the radii.
    """

    type: Literal["ellipse", "circle"]
    width: Length | None = None
    height: Length | None = None
    cx: Coordinate | None = None
    cy: Coordinate | None = None
    rx: Length | None = None
    ry: Length | None = None
    radius: Annotated[Length | None, Field(validation_alias=AliasChoices("radius", "r"))] = None

    @property
    def boxed(self) -> bool:
        """Say whether the box around it was given."""
        return self.width is not None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        centred = {"cx", "cy", "rx", "ry", "radius"} & self.model_fields_set
        if {"width", "height"} & self.model_fields_set:
            if centred:
                raise invalid_at([min(centred)], "give either width and height or a centre and radii, not both")
            if self.width is None or self.height is None:
                raise invalid_at(["height" if self.height is None else "width"], "a box has a width and a height")
            return self
        for centre, corner in (("cx", "x"), ("cy", "y")):
            if {centre, corner} <= self.model_fields_set:
                raise invalid_at([centre], f"{centre} and {corner} both give the centre: give one")
            if getattr(self, centre) is None:
                setattr(self, centre, getattr(self, corner))
        self.rx = next((value for value in (self.rx, self.radius, self.ry) if value is not None), None)
        self.ry = next((value for value in (self.ry, self.radius, self.rx) if value is not None), None)
        if self.rx is None:
            raise invalid_at(["radius"], "give radius, or rx and ry, or width and height")
        return self

    def animatable(self) -> dict[str, str]:
        """Return public property name → attribute, by the form in which the ellipse was given."""
        if self.boxed:
            return COMMON | FILLED | SIZED
        centred = {"x": "cx", "y": "cy", "cx": "cx", "cy": "cy", "rx": "rx", "ry": "ry", "radius": "radius"}
        return COMMON | FILLED | centred


class Polygon(Filled):
    """A closed shape through its points; x and y move it as a whole."""

    type: Literal["polygon"]
    points: Annotated[list[Point], Field(min_length=3, max_length=MAX_POINTS)]

    own_properties: ClassVar[dict[str, str]] = FILLED


class Path(Filled):
    """SVG path data; x and y move it as a whole."""

    type: Literal["path"]
    d: Annotated[
        str, Field(validation_alias=AliasChoices("d", "path", "data"), min_length=1, max_length=MAX_PATH_CHARACTERS)
    ]
    fill_rule: Literal["nonzero", "evenodd"] = "nonzero"

    own_properties: ClassVar[dict[str, str]] = FILLED
    _steps: list[Step] = PrivateAttr(default_factory=list)

    @property
    def steps(self) -> list[Step]:
        """Return the parsed path."""
        return self._steps

    @model_validator(mode="after")
    def _parse(self) -> Self:
        try:
            self._steps = parse_path(self.d)
        except ValueError as error:
            raise invalid_at(["d"], str(error)) from None
        if len(self._steps) > MAX_POINTS:
            raise invalid_at(["d"], f"a path has at most {MAX_POINTS:,} segments; this one has {len(self._steps):,}")
        return self


class Line(Stroked):
    """A line between two ends, or through `points`; x and y move it as a whole."""

    type: Literal["line", "polyline"]
    x1: Coordinate = 0.0
    y1: Coordinate = 0.0
    x2: Coordinate = 0.0
    y2: Coordinate = 0.0
    points: Annotated[list[Point], Field(min_length=2, max_length=MAX_POINTS)] | None = None
    stroke: Annotated[Paint, Field(validation_alias=AliasChoices("stroke", "color"))] = BLACK

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        ends = {"x1", "y1", "x2", "y2"} & self.model_fields_set
        if self.points is not None and ends:
            raise invalid_at(["points"], "give either points or x1, y1, x2, y2, not both")
        if self.points is None and not {"x2", "y2"} & ends:
            raise invalid_at(["x2"], "give x1, y1, x2 and y2, or points")
        return self

    def animatable(self) -> dict[str, str]:
        """Return public property name → attribute; the ends only where they were given."""
        ends = {name: name for name in ("x1", "y1", "x2", "y2")} if self.points is None else {}
        return COMMON | STROKED | {"color": "stroke"} | ends
