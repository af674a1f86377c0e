"""Kind `svg`: an SVG document to PNG, by resvg, with the fonts that ship and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal, Self

import resvg
from pydantic import Field, model_validator
from resvg import usvg

from renderer import fonts
from renderer.errors import InvalidSpec
from renderer.kinds.colour import TRANSPARENT, ColourField
from renderer.kinds.memory import require
from renderer.kinds.models import Number, StrictModel, invalid_at
from renderer.kinds.svg.check import FIELD, check_extent, check_svg
from renderer.limits import MAX_HEIGHT, MAX_WIDTH, current
from renderer.output import Output
from renderer.registry import render_kind

# A raster, a layer for a group with an opacity or a filter, and the PNG that is made of the raster.
_BYTES_PER_PIXEL = 3 * 4

# resvg-py reports an error by unwrapping it; what is of use is what it wraps.
_UNWRAPPED = re.compile(r"on an `Err` value: (.*)", re.DOTALL)


class SvgSpec(StrictModel):
    """An SVG document, as text."""

    svg: Annotated[str, Field(min_length=1)]


class SvgConfig(StrictModel):
    """The size of the picture in pixels, and what lies behind it.

    Without width, height and scale the document's own size is taken.
    """

    width: Annotated[int, Field(ge=1, le=MAX_WIDTH)] | None = None
    height: Annotated[int, Field(ge=1, le=MAX_HEIGHT)] | None = None
    scale: Annotated[Number, Field(gt=0, le=100)] | None = None
    background_color: ColourField = TRANSPARENT
    format: Literal["png"] = "png"

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if self.scale is not None and (self.width is not None or self.height is not None):
            raise invalid_at(["scale"], "give either scale or width and height, not both")
        return self


def _options() -> usvg.Options:
    """Return resvg's options with the hermetic fonts, and no directory to look for files in."""
    options = usvg.Options.default()
    options.font_family = fonts.SANS
    for collection in fonts.font_collections():
        options.load_font_data(collection)
    return options


# Read at import: a sandboxed child can open no file, and every child shares these 14 MB.
_OPTIONS = _options()


@render_kind(spec=SvgSpec, config=SvgConfig, reusable=True)
def render(spec: SvgSpec, config: SvgConfig, out: Output) -> None:
    """Draw an SVG document and write it to `out` as PNG."""
    extent = check_svg(spec.svg)
    tree = _parse(spec.svg)
    natural = tree.int_size()
    size = _output_size(natural, config)
    require(size[0] * size[1] * _BYTES_PER_PIXEL)
    transform = _fit(natural, size)
    check_extent(extent, transform[0])
    red, green, blue, alpha = (round(channel * 255) for channel in config.background_color)
    background = (red, green, blue, alpha) if alpha else None
    with _panics("resvg cannot draw this document"):
        data = resvg.render(tree, transform, bg_size=size, bg_color=background)
    out.content_type = "image/png"
    out.write(data)
    out.progress(1.0)


def _parse(text: str) -> usvg.Tree:
    try:
        with _panics("not an SVG that resvg can read"):
            return usvg.Tree.from_str(text, _OPTIONS)
    except RuntimeError as error:
        raise InvalidSpec(str(error), field=FIELD) from None


@contextmanager
def _panics(what: str) -> Iterator[None]:
    """Raise RuntimeError for a panic within resvg, which is a BaseException, of a type that can only be named."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        reason = _UNWRAPPED.search(str(error))
        raise RuntimeError(f"{what}: {reason[1] if reason else error}") from None


def _output_size(natural: tuple[int, int], config: SvgConfig) -> tuple[int, int]:
    """Return the picture's (width, height) in pixels, held to the limits before there is a raster of that size."""
    wide, high = natural
    if config.width is not None:
        width, height = config.width, config.height or max(1, round(high * config.width / wide))
    elif config.height is not None:
        width, height = max(1, round(wide * config.height / high)), config.height
    else:
        factor = config.scale or 1.0
        width, height = max(1, round(wide * factor)), max(1, round(high * factor))
    limit = current().frame_pixels
    if width > MAX_WIDTH or height > MAX_HEIGHT or width * height > limit:
        field = "config.scale" if config.scale else "config.width" if config.width or config.height else FIELD
        largest = f"{MAX_WIDTH} x {MAX_HEIGHT} and {limit:,} pixels"
        raise InvalidSpec(f"the picture would be {width} x {height}; at most {largest} are allowed", field=field)
    return width, height


def _fit(natural: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float, float, float]:
    """Return the transform, row by row, that centres the document in the picture as large as it fits."""
    factor = min(size[0] / natural[0], size[1] / natural[1])
    left, top = ((whole - part * factor) / 2 for whole, part in zip(size, natural, strict=True))
    return (factor, 0.0, left, 0.0, factor, top)
