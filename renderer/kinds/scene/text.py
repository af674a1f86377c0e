"""Text as a drawing."""

from __future__ import annotations

from typing import Any

import skia

from renderer import fonts
from renderer.kinds.scene.content import Text
from renderer.kinds.scene.shapes import draw_as_one, paints
from renderer.kinds.scene.timeline import Moment
from renderer.kinds.scene.typefaces import shape_line

_ALIGN = {"left": 0.0, "center": 0.5, "right": 1.0}
_MIN_SIZE = 0.1
_MAX_SIZE = 2000.0


class TextDrawing:
    """Lines of text, each shaped by itself; a paint is part of what skia shapes, so a changed colour shapes again."""

    def __init__(self, item: Text) -> None:
        self.item = item
        self._face = fonts.face_for(item.font_family, item.font_weight, italic=item.italic)
        self._lines = item.text.replace("\r\n", "\n").split("\n")
        self._shaped: dict[int, tuple[tuple[Any, ...], list[Any]]] = {}

    def bounds(self, moment: Moment) -> Any:
        """Return the box around all lines: from the first line's ascent to the last one's descent."""
        lines = self._shape(0, moment, skia.Paint())
        width = max((line.LongestLine for line in lines), default=0.0)
        first = lines[0]
        left = moment.number(self.item, "x") - width * _ALIGN[self.item.align]
        top = moment.number(self.item, "y") - first.AlphabeticBaseline
        height = first.Height + self._leading(moment) * (len(lines) - 1)
        return skia.Rect.MakeXYWH(left, top, width, height)

    def draw(self, canvas: Any, moment: Moment, opacity: float) -> None:
        """Draw the inside of the letters, then their outline."""

        def lay(strength: float) -> None:
            for layer, paint in enumerate(paints(self.item, moment, strength)):
                self._lay(canvas, moment, self._shape(layer + 1, moment, paint))

        draw_as_one(canvas, opacity, len(paints(self.item, moment, 1.0)), lay)

    def _lay(self, canvas: Any, moment: Moment, lines: list[Any]) -> None:
        x, y = moment.number(self.item, "x"), moment.number(self.item, "y")
        share, leading = _ALIGN[self.item.align], self._leading(moment)
        for index, line in enumerate(lines):
            line.paint(canvas, x - line.LongestLine * share, y + index * leading - line.AlphabeticBaseline)

    def _shape(self, layer: int, moment: Moment, paint: Any) -> list[Any]:
        """Return the shaped lines of one layer, anew only where the size or the paint is another."""
        size, spacing = self._size(moment), moment.number(self.item, "letter_spacing")
        # The colour itself: what its `vec` returns is a view of memory that goes with it.
        key = (size, spacing, paint.getColor4f(), paint.getStrokeWidth())
        known = self._shaped.get(layer)
        if known is None or known[0] != key:
            known = key, [shape_line(line, self._face, size, spacing, paint) for line in self._lines]
            self._shaped[layer] = known
        return known[1]

    def _size(self, moment: Moment) -> float:
        return min(_MAX_SIZE, max(_MIN_SIZE, moment.number(self.item, "font_size")))

    def _leading(self, moment: Moment) -> float:
        return self._size(moment) * self.item.line_height
