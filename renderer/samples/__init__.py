"""Inputs that ship with the project, for the demo, the tests and a first look.

`pipeline.json` is a scene of 5 seconds, meant for 1280 x 720 at 30 frames a second; `badge.svg` an SVG of 480 x 480.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def text(name: str) -> str:
    """Return a sample as text. Raises FileNotFoundError for a name that is none of `names()`."""
    return (resources.files(__name__) / name).read_text(encoding="utf-8")


def names() -> list[str]:
    """Return the names of the samples."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name for file in files if file.name.endswith((".json", ".svg")))


def scene() -> dict[str, Any]:
    """Return the spec of the sample scene, kind `scene`."""
    found: dict[str, Any] = json.loads(text("pipeline.json"))
    return found


def svg() -> dict[str, Any]:
    """Return the spec of the sample SVG, kind `svg`."""
    return {"svg": text("badge.svg")}
