"""The hermetic fonts as skia sees them. Opened at import: a sandboxed child can open no file."""

from __future__ import annotations

from typing import Any

import skia

from renderer import fonts


def _collection() -> tuple[Any, dict[str, Any]]:
    """Return a font collection that knows our faces alone, and the style of each face by its key."""
    files = skia.FontMgr.New_Custom_Empty()
    provider = skia.textlayout.TypefaceFontProvider()
    styles = {}
    for face in fonts.faces():
        # By its own key: skia matches by the weights that the files state, and Lato's thin ones state odd numbers.
        typeface = files.makeFromFile(str(face.path))
        provider.registerTypeface(typeface, face.key)
        styles[face.key] = typeface.fontStyle()
    collection = skia.textlayout.FontCollection()
    collection.setDefaultFontManager(provider, fonts.face_for(fonts.SANS, 400, italic=False).key)
    return collection, styles


_COLLECTION, _STYLES = _collection()
_UNICODE = skia.Unicodes.ICU.Make()
# Laid out without a width to wrap at; skia wants a finite one.
_NO_WRAP = 1e7


def shape_line(text: str, face: fonts.Face, size: float, spacing: float, paint: Any) -> Any:
    """Return one line of text as a skia paragraph, shaped and kerned. `size` and `spacing` are pixels."""
    style = skia.textlayout.TextStyle()
    fallback = fonts.face_for(fonts.MONO, face.weight, italic=face.italic)
    style.setFontFamilies([face.key, fallback.key])
    style.setFontStyle(_STYLES[face.key])
    style.setFontSize(size)
    style.setLetterSpacing(spacing)
    style.setForegroundPaint(paint)
    whole = skia.textlayout.ParagraphStyle()
    whole.setTextStyle(style)
    builder = skia.textlayout.ParagraphBuilder.make(whole, _COLLECTION, _UNICODE)
    builder.addText(text)
    paragraph = builder.Build()
    paragraph.layout(_NO_WRAP)
    return paragraph
