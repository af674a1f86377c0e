"""What is rendered: icons of Font Awesome where the package `fontawesomefree` is installed, else the sample; a short video."""

from __future__ import annotations

import importlib.util
import itertools
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

SAMPLES = files("renderer.samples")


@dataclass(frozen=True, slots=True)
class Work:
    """One render, as enqueue_render is told of it."""

    kind: str
    spec: dict[str, Any]
    config: dict[str, Any]


def icons(count: int, width: int = 256) -> list[Work]:
    """Return so many icons; the same come again when there are not as many."""
    found = _icon_files()
    texts = [path.read_text() for path in found] or [(SAMPLES / "badge.svg").read_text()]
    return [Work("svg", {"svg": text}, {"width": width}) for text in itertools.islice(itertools.cycle(texts), count)]


def videos(count: int, width: int, height: int, fps: int) -> list[Work]:
    """Return the sample scene so many times, as MP4."""
    scene = json.loads((SAMPLES / "pipeline.json").read_text())
    return [Work("scene", scene, {"width": width, "height": height, "fps": fps, "format": "mp4"})] * count


def _icon_files() -> list[Path]:
    spec = importlib.util.find_spec("fontawesomefree")
    return sorted(
        path
        for location in (spec.submodule_search_locations or () if spec else ())
        for path in Path(location).rglob("*.svg")
    )
