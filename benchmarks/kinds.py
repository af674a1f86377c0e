# ruff: noqa: ARG001 - every renderer takes the same three arguments
"""What do the children run that is measured? Tiny kinds. Imported in the child: nothing of the database."""

from __future__ import annotations

import signal
import time
from typing import Any

from renderer import Output
from renderer.registry import render_kind

PLUGINS = ",".join(f"{name}=benchmarks.kinds:{name}" for name in ("hang", "stamp", "nap"))
"""RENDER_PLUGINS for all of them."""


def hang(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Never end."""
    while True:
        signal.pause()


@render_kind(reusable=True)
def stamp(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Write down when the first line of a renderer ran, by the clock that all processes of the machine share."""
    moment = time.monotonic_ns()
    out.content_type = "text/plain"
    out.write(str(moment).encode())


@render_kind(writes_output=False, reusable=True)
def nap(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Take as long as the spec says, without a processor."""
    time.sleep(float(spec["seconds"]))
