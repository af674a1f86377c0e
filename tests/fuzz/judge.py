"""What is wrong with how a case ended, or nothing."""

from __future__ import annotations

import io
import re

import av
import numpy as np
import orjson
import skia

from renderer.kinds.scene import SceneConfig, SceneSpec
from renderer.outcome import Outcome
from tests.fuzz.case import Case, Seen
from tests.renderer.drawing import Pixels

QUICK = 2.0
"""Seconds of processor time within which a refusal comes."""

# A path as a person would write it, then what is wrong with the value there.
_NAMES_A_FIELD = re.compile(r"[\w.\[\]]*('.{0,80}'|\w|\]): .")
_NOTHING = re.compile(r"^\s*(?!\{)", re.DOTALL)


def wrong(case: Case, seen: Seen) -> str | None:
    """Say in a few words what is wrong, the same words for the same fault as far as that can be told."""
    if seen.outcome is Outcome.OK:
        return _wrong_artifact(case, seen)
    if seen.outcome is not Outcome.INVALID:
        return f"{seen.outcome}: {shape(seen.message)}"
    if seen.seconds > QUICK:
        return f"refused, but slowly: {shape(seen.message)}"
    if not _NAMES_A_FIELD.match(seen.message) and not _is_no_object(case):
        return f"refused without a field: {shape(seen.message)}"
    return None


def shape(message: str) -> str:
    """Return a message without what differs from case to case."""
    return re.sub(r"0x[0-9a-f]+|\d+", "#", message.splitlines()[0] if message else "")[:120]


def _is_no_object(case: Case) -> bool:
    """Whether the spec is not even a JSON object: the queue does not take it, and there is no field to name."""
    return _NOTHING.match(case.spec) is not None


def _wrong_artifact(case: Case, seen: Seen) -> str | None:
    if not seen.artifact:
        return "ok, but nothing was written"
    try:
        frames = _frames(seen)
    except Exception as error:  # noqa: BLE001 - whatever the reader of the format raises
        return f"ok, but the artifact cannot be decoded: {type(error).__name__}"
    if case.kind == "scene":
        return _wrong_scene(case, seen, frames)
    return "ok, but the text is not there" if case.readable and not _ink(frames[0]) else _wrong_size(case, frames)


def _frames(seen: Seen) -> list[Pixels]:
    """Return the frames of the artifact, decoded."""
    if seen.content_type == "image/png":
        image = skia.Image.MakeFromEncoded(skia.Data.MakeWithCopy(seen.artifact))
        return [image.toarray(colorType=skia.kRGBA_8888_ColorType)]
    container = {"video/mp4": "mp4", "video/webm": "webm", "image/gif": "gif"}[seen.content_type]
    with av.open(io.BytesIO(seen.artifact), "r", format=container) as opened:
        return [np.asarray(frame.to_ndarray(format="rgba"), np.uint8) for frame in opened.decode(video=0)]


def _ink(frame: Pixels) -> bool:
    """Whether anything was drawn on the background, which is white or transparent."""
    return bool(((frame[..., :3] < 245).any(axis=2) & (frame[..., 3] > 0)).any())


def _wrong_scene(case: Case, seen: Seen, frames: list[Pixels]) -> str | None:
    config = SceneConfig.model_validate(orjson.loads(case.config))
    sizes = {frame.shape[:2] for frame in frames}
    if sizes != {(config.height, config.width)}:
        return f"ok, but the frames of the {config.format} have another size"
    if not seen.content_type.endswith(config.format):
        return "ok, but the content type is another"
    if config.format in {"mp4", "webm"}:
        # Only numbers that every reader of JSON reads alike get this far.
        wanted = max(1, round(SceneSpec.model_validate(orjson.loads(case.spec)).seconds * config.rate))
        if len(frames) != wanted:
            return f"ok, but the {config.format} has {'fewer' if len(frames) < wanted else 'more'} frames"
    return "ok, but the text is not there" if case.readable and not _ink(frames[0]) else None


def _wrong_size(case: Case, frames: list[Pixels]) -> str | None:
    """Compare a picture of an SVG with the width and height that were asked for."""
    config = orjson.loads(case.config)
    asked = config.get("height"), config.get("width")
    for side, wanted in zip(frames[0].shape[:2], asked, strict=True):
        if wanted is not None and side != int(wanted):
            return "ok, but the picture has another size"
    return None
