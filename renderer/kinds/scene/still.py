"""One moment of a scene as PNG."""

from __future__ import annotations

import skia

from renderer.kinds.scene.paint import Painter
from renderer.output import Output


def write_png(painter: Painter, time: float, out: Output) -> None:
    """Draw the moment `time` seconds and write it; transparency is kept."""
    painter.draw(time)
    image = skia.Image.fromarray(painter.pixels, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType, copy=False)
    data = image.encodeToData(skia.kPNG, 100)
    if data is None:
        raise MemoryError("no memory for the PNG encoder")
    out.content_type = "image/png"
    out.write(bytes(data))
    out.progress(1.0)
