"""A job that does nothing, to measure everything around the rendering."""

from __future__ import annotations

from typing import Any

from renderer.output import Output
from renderer.registry import render_kind


@render_kind(writes_output=False, reusable=True)
def render(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Do nothing."""
