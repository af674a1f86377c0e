"""Rendering to bytes, and bytes to pixels, for the tests."""

from __future__ import annotations

import json
import os
import re
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pytest
import skia
from pydantic import BaseModel, ValidationError

from renderer.errors import InvalidSpec, LimitExceeded
from renderer.kinds import scene as scene_kind
from renderer.kinds import svg as svg_kind
from renderer.outcome import Outcome
from renderer.output import Output
from renderer.registry import Declaration
from tests.fuzz.bench import Bench
from tests.fuzz.case import Case

Pixels = npt.NDArray[np.uint8]

_MOST = 16 * 1024 * 1024
"""Bytes of a spec that enqueue_render takes."""
_FIELD = re.compile(r"((?:'[^']*'|[^:'])+): (.*)", re.DOTALL)

bench: Bench | None = None
"""A real child to render with, where the tests are run with one."""


def run(module: Any, spec: Any, config: dict[str, Any] | None = None) -> tuple[bytes, str]:
    """Render as a child does: validate, draw, read back. Return the bytes and the content type."""
    if bench is not None and (texts := _as_json(spec, config)) is not None:
        return _run_in_a_child(module, *texts)
    declared: Declaration = module.render.__render_declaration__
    models: list[BaseModel] = []
    for model, value in ((declared.spec, spec), (declared.config, config or {})):
        assert model is not None
        models.append(model.model_validate(value))
    with tempfile.TemporaryFile() as file:
        out = Output(os.dup(file.fileno()))
        try:
            module.render(*models, out)
            out.flush()
        finally:
            descriptor = out.fileno()
            out.close()
            os.close(descriptor)
        file.seek(0)
        return file.read(), out.content_type


def _as_json(*values: Any) -> tuple[str, str] | None:
    """Return a spec and a config as a client sends them; None for what JSON cannot carry, and no client sends."""
    try:
        spec, config = (json.dumps(value, allow_nan=False) for value in values)
        orjson.loads(spec)
    except (ValueError, TypeError):
        return None
    return None if len(spec) > _MOST else (spec, config if config != "null" else "{}")


def _run_in_a_child(module: Any, spec: str, config: str) -> tuple[bytes, str]:
    assert bench is not None
    seen = bench.run(Case("svg" if module is svg_kind else "scene", spec, config))
    if seen.outcome is Outcome.INVALID:
        told = _FIELD.fullmatch(seen.message)
        raise InvalidSpec(told[2] if told else seen.message, field=told[1] if told else None)
    if seen.outcome is Outcome.LIMIT:
        raise LimitExceeded(seen.message)
    assert seen.outcome is Outcome.OK, seen.message
    return seen.artifact, seen.content_type


def scene(objects: list[dict[str, Any]], *animations: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a scene of one second."""
    return {"objects": objects, "animations": list(animations), "metadata": {"duration": 1}, **more}


def render_scene(spec: dict[str, Any], **config: Any) -> bytes:
    """Render a scene; 100 x 100 unless the configuration says otherwise."""
    return run(scene_kind, spec, {"width": 100, "height": 100, **config})[0]


def draw(spec: dict[str, Any], **config: Any) -> Pixels:
    """Return one moment of a scene as an array of (height, width, 4), RGBA, not premultiplied."""
    return decode(render_scene(spec, format="png", **config))


def draw_svg(text: str, **config: Any) -> Pixels:
    """Return an SVG as an array of (height, width, 4), RGBA, not premultiplied."""
    return decode(run(svg_kind, {"svg": text}, config)[0])


def decode(png: bytes) -> Pixels:
    """Return a PNG's pixels."""
    image = skia.Image.MakeFromEncoded(skia.Data.MakeWithCopy(png))
    pixels: Pixels = image.toarray(colorType=skia.kRGBA_8888_ColorType)
    return pixels


def rgb(pixels: Pixels, x: int, y: int) -> tuple[int, int, int]:
    """Return the colour at a point."""
    red, green, blue = (int(value) for value in pixels[y, x, :3])
    return red, green, blue


def ink(pixels: Pixels) -> int:
    """Count the pixels that are not white."""
    return int((pixels[..., :3] < 250).any(axis=2).sum())


def box(pixels: Pixels) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom (inclusive) of what is not white."""
    rows, columns = np.nonzero((pixels[..., :3] < 250).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


class _Path(str):
    """The path of a field. A child says `config.width` where the model of the config says `width`: both are it."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) or (bench is not None and self.removeprefix("config.") == other)

    __hash__ = str.__hash__


def blamed(module: Any, spec: Any, config: dict[str, Any] | None = None) -> str:
    """Return the path of the field that is blamed when this is rendered."""
    with pytest.raises((ValidationError, InvalidSpec)) as caught:
        run(module, spec, config)
    error: Exception = caught.value
    if isinstance(error, InvalidSpec):
        return _Path(error.field or "")
    assert isinstance(error, ValidationError)
    path = ""
    for part in error.errors()[0]["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".")
