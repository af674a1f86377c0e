"""Objects as drawings: each type's geometry, and how its paints are laid on a skia canvas."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import skia

from renderer.errors import InvalidSpec
from renderer.kinds.colour import Colour
from renderer.kinds.scene.common import Filled, SceneObject, Stroked
from renderer.kinds.scene.content import Image
from renderer.kinds.scene.geometry import Ellipse, Line, Path, Polygon, Rectangle
from renderer.kinds.scene.timeline import Moment

_CAPS = {"butt": skia.Paint.kButt_Cap, "round": skia.Paint.kRound_Cap, "square": skia.Paint.kSquare_Cap}
_JOINS = {"miter": skia.Paint.kMiter_Join, "round": skia.Paint.kRound_Join, "bevel": skia.Paint.kBevel_Join}
_SMOOTH = skia.SamplingOptions(skia.FilterMode.kLinear, skia.MipmapMode.kLinear)


class Drawing(Protocol):
    """How one object is drawn. All numbers are pixels in the object's own frame, before rotation and scale."""

    def bounds(self, moment: Moment) -> Any:
        """Return the skia.Rect around the geometry, without its stroke."""

    def draw(self, canvas: Any, moment: Moment, opacity: float) -> None:
        """Draw the object; `opacity` is 0 to 1."""


def fill_paint(item: Filled, moment: Moment, opacity: float) -> Any:
    """Return the paint of the inside, or None where there is nothing to paint."""
    return _paint(moment.colour(item, "fill"), opacity)


def stroke_paint(item: Stroked, moment: Moment, opacity: float) -> Any:
    """Return the paint of the outline, or None where there is nothing to paint."""
    width = moment.number(item, "stroke_width")
    paint = _paint(moment.colour(item, "stroke"), opacity) if width > 0 else None
    if paint is not None:
        paint.setStyle(skia.Paint.kStroke_Style)
        paint.setStrokeWidth(width)
        paint.setStrokeCap(_CAPS[item.stroke_cap])
        paint.setStrokeJoin(_JOINS[item.stroke_join])
    return paint


def _paint(colour: Colour | None, opacity: float) -> Any:
    if colour is None or colour.alpha * opacity <= 0:
        return None
    red, green, blue, alpha = colour
    return skia.Paint(AntiAlias=True, Color4f=skia.Color4f(red, green, blue, alpha * opacity))


def paints(item: Stroked, moment: Moment, opacity: float) -> list[Any]:
    """Return what is drawn over the geometry, from below: the inside, then the outline."""
    inside = fill_paint(item, moment, opacity) if isinstance(item, Filled) else None
    return [paint for paint in (inside, stroke_paint(item, moment, opacity)) if paint is not None]


def draw_as_one(canvas: Any, opacity: float, count: int, draw: Any) -> None:
    """Call draw(opacity); where two paints overlap they are flattened first, so that one does not show the other."""
    if count > 1 and opacity < 1:
        canvas.saveLayerAlpha(None, round(opacity * 255))
        draw(1.0)
        canvas.restore()
    else:
        draw(opacity)


class _Geometry:
    """A shape whose geometry is a skia.Path."""

    def __init__(self, item: Stroked) -> None:
        self.item = item

    def path(self, moment: Moment) -> Any:
        raise NotImplementedError

    def bounds(self, moment: Moment) -> Any:
        return self.path(moment).getBounds()

    def draw(self, canvas: Any, moment: Moment, opacity: float) -> None:
        path = self.path(moment)

        def lay(strength: float) -> None:
            for paint in paints(self.item, moment, strength):
                canvas.drawPath(path, paint)

        draw_as_one(canvas, opacity, len(paints(self.item, moment, 1.0)), lay)


class RectangleDrawing(_Geometry):
    """A rectangle, its corners rounded by `radius`."""

    item: Rectangle

    def path(self, moment: Moment) -> Any:
        """Return the outline; a size that an animation drives below zero is zero."""
        box = _box(self.item, moment)
        radius = max(0.0, moment.number(self.item, "radius"))
        return skia.Path.RRect(box, radius, radius) if radius else skia.Path.Rect(box)


class EllipseDrawing(_Geometry):
    """An ellipse, in either of its forms."""

    item: Ellipse

    def path(self, moment: Moment) -> Any:
        """Return the outline."""
        if self.item.boxed:
            return skia.Path.Oval(_box(self.item, moment))
        cx, cy = moment.number(self.item, "cx"), moment.number(self.item, "cy")
        both = moment.properties.get("radius")
        rx, ry = (max(0.0, both[0] if both else moment.number(self.item, name)) for name in ("rx", "ry"))
        return skia.Path.Oval(skia.Rect.MakeLTRB(cx - rx, cy - ry, cx + rx, cy + ry))


class OutlineDrawing(_Geometry):
    """A polygon, a path or a line through points: a fixed outline that x and y move."""

    def __init__(self, item: Polygon | Path | Line) -> None:
        super().__init__(item)
        self._fixed = _outline(item)

    def path(self, moment: Moment) -> Any:
        """Return the outline at its place."""
        x, y = moment.number(self.item, "x"), moment.number(self.item, "y")
        if not x and not y:
            return self._fixed
        moved = skia.Path()
        self._fixed.offset(x, y, moved)
        return moved


class SegmentDrawing(_Geometry):
    """A line between two ends."""

    item: Line

    def path(self, moment: Moment) -> Any:
        """Return the segment at its place."""
        x1, y1, x2, y2, x, y = (moment.number(self.item, name) for name in ("x1", "y1", "x2", "y2", "x", "y"))
        return skia.Path.Line(skia.Point(x1 + x, y1 + y), skia.Point(x2 + x, y2 + y))


class ImageDrawing:
    """A picture, decoded once."""

    def __init__(self, item: Image, where: str) -> None:
        self.item = item
        self._image = _decode(item, where)

    def bounds(self, moment: Moment) -> Any:
        """Return the picture's place."""
        return _box(self.item, moment)

    def draw(self, canvas: Any, moment: Moment, opacity: float) -> None:
        """Draw the picture, stretched to its place."""
        canvas.drawImageRect(self._image, self.bounds(moment), _SMOOTH, skia.Paint(Alphaf=opacity))


def _box(item: SceneObject, moment: Moment) -> Any:
    x, y = moment.number(item, "x"), moment.number(item, "y")
    width, height = (max(0.0, moment.number(item, name)) for name in ("width", "height"))
    return skia.Rect.MakeXYWH(x, y, width, height)


def _outline(item: Polygon | Path | Line) -> Any:
    if not isinstance(item, Path):
        closed = isinstance(item, Polygon)
        return skia.Path.Polygon([skia.Point(x, y) for x, y in item.points or ()], closed)
    path = skia.Path()
    add = {"M": path.moveTo, "L": path.lineTo, "Q": path.quadTo, "C": path.cubicTo, "Z": path.close}
    for verb, numbers in item.steps:
        add[verb](*numbers)
    rule = skia.PathFillType.kEvenOdd if item.fill_rule == "evenodd" else skia.PathFillType.kWinding
    path.setFillType(rule)
    return path


def _decode(item: Image, where: str) -> Any:
    """Return the first frame as a raster image. `where` is the path of the object in the spec."""
    unreadable = InvalidSpec("the picture cannot be decoded", field=f"{where}.src")
    try:
        lazy = skia.Image.MakeFromEncoded(skia.Data.MakeWithCopy(item.source.data))
    except (RuntimeError, ValueError):
        lazy = None
    # A decoder that sees another size than our reading of the header did has not been held to the limit.
    if lazy is None or lazy.width() * lazy.height() != item.pixels[0] * item.pixels[1]:
        raise unreadable
    pixels = np.zeros((lazy.height(), lazy.width(), 4), np.uint8)
    info = skia.ImageInfo.Make(
        lazy.width(), lazy.height(), skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType, skia.ColorSpace.MakeSRGB()
    )
    if not lazy.readPixels(info, pixels, lazy.width() * 4, 0, 0, skia.Image.kDisallow_CachingHint):
        raise unreadable
    return skia.Image.fromarray(pixels, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType, copy=True)
