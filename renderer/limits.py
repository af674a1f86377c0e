"""What the operator allows a spec to ask for. Checked by each kind before it allocates anything large."""

from __future__ import annotations

from dataclasses import dataclass

MAX_WIDTH = 3840
MAX_HEIGHT = 2160
MAX_FPS = 120


@dataclass(frozen=True, slots=True)
class SpecLimits:
    """Bounds of a spec: objects of a scene, seconds of a scene, pixels of one frame."""

    scene_objects: int = 100
    scene_seconds: float = 300.0
    frame_pixels: int = 8_294_400


_current = SpecLimits()


def configure(limits: SpecLimits) -> None:
    """Set the bounds for this process; the fork server does so once, before its first child."""
    global _current  # noqa: PLW0603 - one process renders under one set of bounds
    _current = limits


def current() -> SpecLimits:
    """Return the bounds in force."""
    return _current
