"""The models of a scene's objects: what each type holds, and which of its properties can be animated."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AliasChoices, Field, PrivateAttr, WrapValidator, field_validator, model_validator

from renderer.kinds.colour import BLACK, Paint
from renderer.kinds.dataurl import DataUrl, image_size, parse_data_url
from renderer.kinds.models import Number, StrictModel, invalid_at
from renderer.kinds.scene.fields import (
    MAX_IMAGE_CHARACTERS,
    MAX_PATH_CHARACTERS,
    MAX_POINTS,
    MAX_TEXT_CHARACTERS,
    MAX_TEXT_LINES,
    Coordinate,
    Degrees,
    Factor,
    Fraction01,
    Length,
    ObjectId,
    Point,
)
from renderer.kinds.scene.pathdata import Step, parse_path
from renderer.limits import current

_COMMON = {
    "x": "x",
    "y": "y",
    "opacity": "opacity",
    "rotation": "rotation",
    "scale": "scale",
    "scaleX": "scale_x",
    "scaleY": "scale_y",
}
_STROKED = {"stroke": "stroke", "strokeWidth": "stroke_width"}
_FILLED = {"fill": "fill", "color": "fill", **_STROKED}
_SIZED = {"width": "width", "height": "height"}

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
        return _COMMON | self.own_properties


class Stroked(SceneObject):
    """An object with an outline."""

    stroke: Paint = None
    stroke_width: Length = 1.0
    stroke_cap: Literal["butt", "round", "square"] = "butt"
    stroke_join: Literal["miter", "round", "bevel"] = "miter"


class Filled(Stroked):
    """An object with an inside."""

    fill: Annotated[Paint, Field(validation_alias=AliasChoices("fill", "color"))] = BLACK


class Rectangle(Filled):
    """A rectangle; x and y are its top left corner."""

    type: Literal["rectangle", "rect"]
    width: Length
    height: Length
    radius: Annotated[Length, Field(validation_alias=AliasChoices("radius", "cornerRadius", "rx"))] = 0.0

    own_properties: ClassVar[dict[str, str]] = {
        **_FILLED,
        **_SIZED,
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
            return _COMMON | _FILLED | _SIZED
        centred = {"x": "cx", "y": "cy", "cx": "cx", "cy": "cy", "rx": "rx", "ry": "ry", "radius": "radius"}
        return _COMMON | _FILLED | centred


class Polygon(Filled):
    """A closed shape through its points; x and y move it as a whole."""

    type: Literal["polygon"]
    points: Annotated[list[Point], Field(min_length=3, max_length=MAX_POINTS)]

    own_properties: ClassVar[dict[str, str]] = _FILLED


class Path(Filled):
    """SVG path data; x and y move it as a whole."""

    type: Literal["path"]
    d: Annotated[
        str, Field(validation_alias=AliasChoices("d", "path", "data"), min_length=1, max_length=MAX_PATH_CHARACTERS)
    ]
    fill_rule: Literal["nonzero", "evenodd"] = "nonzero"

    own_properties: ClassVar[dict[str, str]] = _FILLED
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
        return _COMMON | _STROKED | {"color": "stroke"} | ends


class Text(Filled):
    """Lines of text; y is the baseline of the first one and x its left end, middle or right end, by `align`."""

    type: Literal["text"]
    text: Annotated[
        str, Field(validation_alias=AliasChoices("text", "content"), min_length=1, max_length=MAX_TEXT_CHARACTERS)
    ]
    font_size: Annotated[Number, Field(gt=0, le=2000)] = 16.0
    font_family: Annotated[str, Field(max_length=200)] = "sans-serif"
    font_weight: Annotated[int, Field(ge=100, le=900)] = 400
    italic: bool = False
    align: Annotated[Literal["left", "center", "right"], Field(validation_alias=AliasChoices("align", "textAlign"))] = (
        "left"
    )
    line_height: Annotated[Number, Field(ge=0, le=10)] = 1.2
    letter_spacing: Annotated[Number, Field(ge=-1000, le=1000)] = 0.0

    own_properties: ClassVar[dict[str, str]] = {**_FILLED, "fontSize": "font_size", "letterSpacing": "letter_spacing"}

    @field_validator("font_weight", mode="before")
    @classmethod
    def _weight_by_name(cls, value: Any) -> Any:
        return {"normal": 400, "bold": 700}.get(value, value) if isinstance(value, str) else value

    @field_validator("text")
    @classmethod
    def _few_lines(cls, value: str) -> str:
        if value.count("\n") >= MAX_TEXT_LINES:
            raise ValueError(f"a text has at most {MAX_TEXT_LINES} lines")
        return value


class Image(SceneObject):
    """A picture in a data URL; of width and height either alone keeps the picture's aspect."""

    type: Literal["image"]
    src: Annotated[str, Field(validation_alias=AliasChoices("src", "href"), max_length=MAX_IMAGE_CHARACTERS)]
    width: Length | None = None
    height: Length | None = None

    own_properties: ClassVar[dict[str, str]] = _SIZED
    _source: DataUrl = PrivateAttr(default=DataUrl("", b""))
    _pixels: tuple[int, int] = PrivateAttr(default=(0, 0))

    @property
    def source(self) -> DataUrl:
        """Return the encoded picture."""
        return self._source

    @property
    def pixels(self) -> tuple[int, int]:
        """Return the picture's own (width, height) in pixels, as its header claims it."""
        return self._pixels

    @model_validator(mode="after")
    def _read_header(self) -> Self:
        try:
            self._source = parse_data_url(self.src)
        except ValueError as error:
            raise invalid_at(["src"], str(error)) from None
        found = image_size(self._source.data)
        if found is None or min(found) < 1:
            raise invalid_at(["src"], "not a PNG, JPEG, GIF or WebP picture")
        limit = current().frame_pixels
        if found[0] * found[1] > limit:
            size = f"{found[0]} x {found[1]}"
            raise invalid_at(["src"], f"the picture's header claims {size} pixels; at most {limit:,} are allowed")
        self._pixels = found
        if self.width is None and self.height is None:
            self.width, self.height = map(float, found)
        elif self.width is None:
            self.width = (self.height or 0.0) * found[0] / found[1]
        elif self.height is None:
            self.height = self.width * found[1] / found[0]
        return self


_TYPES: dict[str, type[SceneObject]] = {
    "rectangle": Rectangle,
    "rect": Rectangle,
    "ellipse": Ellipse,
    "circle": Ellipse,
    "polygon": Polygon,
    "path": Path,
    "line": Line,
    "polyline": Line,
    "text": Text,
    "image": Image,
}


def _by_type(value: Any, _union: Any) -> Any:
    """Validate with the one model that `type` names, so that an error's path has no name of a model in it."""
    if isinstance(value, SceneObject):
        return value
    if not isinstance(value, dict):
        raise ValueError("an object is a JSON object with a type")  # noqa: TRY004 - pydantic reports ValueError
    kind = value.get("type")
    model = _TYPES.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise invalid_at(["type"], f"{str(kind)[:40]!r} is not a type of object; write one of {', '.join(_TYPES)}")
    return model.model_validate(value)


AnyObject = Annotated[
    Rectangle | Ellipse | Polygon | Path | Line | Text | Image,
    WrapValidator(_by_type),
]
