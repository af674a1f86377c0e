# ruff: noqa: ARG001 - every renderer takes the same three arguments
"""A reusable kind whose job leaves a thread behind that never ends, as one does that was taken over by what it reads."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from renderer import Output
from renderer.registry import render_kind

KEPT: list[bytes] = []


def _burn(step: int) -> None:
    while True:
        KEPT.append(b"x" * step)
        KEPT[:-1] = []


@render_kind(reusable=True)
def linger(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Start a thread that takes a processor for itself, and be done."""
    if not any(thread.name == "left" for thread in threading.enumerate()):
        threading.Thread(target=_burn, args=(1 << 16,), name="left", daemon=True).start()
    out.content_type = "text/plain"
    out.write(b"done")


def _take_all() -> None:
    while True:
        try:
            os.dup(0)
        except OSError:
            time.sleep(0.001)


@render_kind(reusable=True)
def leak(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Write, and leave a thread that takes every number for a descriptor that is free."""
    out.content_type = "text/plain"
    out.write(b"done")
    threading.Thread(target=_take_all, daemon=True).start()
