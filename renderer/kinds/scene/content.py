"""The models of the objects that carry content: text and image."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AliasChoices, Field, PrivateAttr, field_validator, model_validator

from renderer.kinds.dataurl import DataUrl, image_size, parse_data_url
from renderer.kinds.models import Number, invalid_at
from renderer.kinds.scene.common import FILLED, SIZED, Filled, SceneObject
from renderer.kinds.scene.fields import MAX_IMAGE_CHARACTERS, MAX_TEXT_CHARACTERS, MAX_TEXT_LINES, Length
from renderer.limits import current


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

    own_properties: ClassVar[dict[str, str]] = {**FILLED, "fontSize": "font_size", "letterSpacing": "letter_spacing"}

    @field_validator("font_weight", mode="before")
    @classmethod
    def _weight_by_name(cls, value: Any) -> Any:
        return {"normal": 400, "bold": 700}.get(value, value) if isinstance(value, str) else value

    @field_validator("text")
    @classmethod
    def _few_lines(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("a text must not hold the character NUL: it would end there")
        if value.count("\n") >= MAX_TEXT_LINES:
            raise ValueError(f"a text has at most {MAX_TEXT_LINES} lines")
        return value


class Image(SceneObject):
    """A picture in a data URL; of width and height either alone keeps the picture's aspect."""

    type: Literal["image"]
    src: Annotated[str, Field(validation_alias=AliasChoices("src", "href"), max_length=MAX_IMAGE_CHARACTERS)]
    width: Length | None = None
    height: Length | None = None

    own_properties: ClassVar[dict[str, str]] = SIZED
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
