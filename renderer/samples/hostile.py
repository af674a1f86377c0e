# ruff: noqa: ARG001 - every renderer takes the same three arguments
"""Jobs that misbehave, for `jobsupervisor demo` and the tests: what users' renders do on a bad day."""

from __future__ import annotations

import os
import signal
from typing import Any

from renderer.output import Output


def eat_memory(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Take memory until there is none."""
    kept = []
    while True:
        kept.append(bytearray(8 * 1024 * 1024))
        out.progress(min(0.9, len(kept) / 100))


def loop_for_ever(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Compute and never end."""
    while True:
        pass


def crash_hard(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Die as native code does that follows a null pointer."""
    os.kill(os.getpid(), signal.SIGSEGV)
