"""A scene as pictures: what stands still is drawn once, the rest at every moment."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
import skia

from renderer.kinds.colour import Colour
from renderer.kinds.memory import require
from renderer.kinds.scene.common import SceneObject
from renderer.kinds.scene.content import Image, Text
from renderer.kinds.scene.geometry import Ellipse, Line, Path, Polygon, Rectangle
from renderer.kinds.scene.model import SceneSpec
from renderer.kinds.scene.objects import AnyObject
from renderer.kinds.scene.shapes import (
    Drawing,
    EllipseDrawing,
    ImageDrawing,
    OutlineDrawing,
    RectangleDrawing,
    SegmentDrawing,
)
from renderer.kinds.scene.text import TextDrawing
from renderer.kinds.scene.timeline import STILL, Moment, Timeline

# Steeper than this a sheared object is thinner than any pixel, and the tangent runs away.
_MAX_SKEW = 89.0

_OUTLINES = 2 * 1024 * 1024


class Layer:
    """One object with its drawing and its animations."""

    def __init__(self, item: SceneObject, drawing: Drawing, timeline: Timeline) -> None:
        self.item = item
        self.drawing = drawing
        self.timeline = timeline

    def draw(self, canvas: Any, moment: Moment) -> None:
        """Draw the object as it is at a moment."""
        opacity = min(1.0, max(0.0, moment.number(self.item, "opacity")))
        if opacity <= 0:
            return
        canvas.save()
        self._place(canvas, moment)
        self.drawing.draw(canvas, moment, opacity)
        canvas.restore()

    def _place(self, canvas: Any, moment: Moment) -> None:
        """Move, then turn, shear and scale about the object's centre."""
        dx, dy = moment.transform("translate", (0.0, 0.0))
        dx += moment.transform("translateX", (0.0,))[0]
        dy += moment.transform("translateY", (0.0,))[0]
        if dx or dy:
            canvas.translate(dx, dy)
        turn = moment.number(self.item, "rotation") + moment.transform("rotate", (0.0,))[0]
        skew_x, skew_y = (_slope(moment.transform(name, (0.0,))[0]) for name in ("skewX", "skewY"))
        scale_x, scale_y = self._scale(moment)
        if (turn, skew_x, skew_y, scale_x, scale_y) == (0, 0, 0, 1, 1):
            return
        box = self.drawing.bounds(moment)
        canvas.translate(box.centerX(), box.centerY())
        canvas.rotate(math.fmod(turn, 360))
        canvas.skew(skew_x, skew_y)
        canvas.scale(scale_x, scale_y)
        canvas.translate(-box.centerX(), -box.centerY())

    def _scale(self, moment: Moment) -> tuple[float, float]:
        both = moment.number(self.item, "scale")
        pair = moment.transform("scale", (1.0, 1.0))
        return (
            both * moment.number(self.item, "scale_x") * pair[0] * moment.transform("scaleX", (1.0,))[0],
            both * moment.number(self.item, "scale_y") * pair[1] * moment.transform("scaleY", (1.0,))[0],
        )


class Painter:
    """Draws a scene into one picture, `pixels`: an array of (height, width, 4) bytes, RGBA, alpha premultiplied."""

    def __init__(self, spec: SceneSpec, width: int, height: int, background: Colour) -> None:
        self.pixels: npt.NDArray[np.uint8] = np.zeros((height, width, 4), np.uint8)
        self._surface = skia.Surface(self.pixels, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)
        self._canvas = self._surface.getCanvas()
        self._spare = _spare(spec, self.pixels.nbytes)
        layers = _layers(spec)
        split = next((index for index, layer in enumerate(layers) if not layer.timeline.still), len(layers))
        self._moving = layers[split:]
        require(self._spare)
        self._canvas.clear(skia.Color4f(*background))
        for layer in layers[:split]:
            layer.draw(self._canvas, STILL)
        self._surface.flushAndSubmit()
        self._below = self.pixels.copy()
        self._last: list[Moment] | None = None

    def draw(self, time: float) -> bool:
        """Draw the moment `time` seconds into `pixels`; False if it looks as the last one drawn did."""
        moments = [layer.timeline.at(time) for layer in self._moving]
        if moments == self._last:
            return False
        self._last = moments
        require(self._spare)
        np.copyto(self.pixels, self._below)
        for layer, moment in zip(self._moving, moments, strict=True):
            layer.draw(self._canvas, moment)
        self._surface.flushAndSubmit()
        return True


def _spare(spec: SceneSpec, frame: int) -> int:
    """Return the bytes that skia may want while it draws: a layer, smaller copies of the pictures, outlines."""
    pictures = sum(item.pixels[0] * item.pixels[1] for item in spec.objects if isinstance(item, Image))
    return frame + 2 * pictures + _OUTLINES


def _slope(degrees: float) -> float:
    return math.tan(math.radians(min(_MAX_SKEW, max(-_MAX_SKEW, degrees))))


def _layers(spec: SceneSpec) -> list[Layer]:
    """Return the visible objects from the lowest to the highest; equal heights in the order of the scene."""
    by_target = defaultdict(list)
    for animation in spec.animations:
        by_target[animation.target].append(animation)
    ordered = sorted(enumerate(spec.objects), key=lambda pair: pair[1].z_index)
    return [
        Layer(item, _drawing(item, f"objects[{index}]"), Timeline(item, by_target.get(item.id or "", ())))
        for index, item in ordered
        if item.visible
    ]


def _drawing(item: AnyObject, where: str) -> Drawing:
    match item:
        case Rectangle():
            return RectangleDrawing(item)
        case Ellipse():
            return EllipseDrawing(item)
        case Text():
            return TextDrawing(item)
        case Image():
            return ImageDrawing(item, where)
        case Line(points=None):
            return SegmentDrawing(item)
        case Polygon() | Path() | Line():
            return OutlineDrawing(item)
