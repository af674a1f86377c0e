"""Memory that is spread over processes, for a kind that may start some."""

from __future__ import annotations

import os
import signal

from renderer import Output
from tests.hostile.plugins import Json


def render(spec: Json, config: Json, out: Output) -> None:  # noqa: ARG001 - as the contract has it
    """Have eight processes, each below the limit, hold what is far above it together."""
    for _ in range(8):
        if os.fork() == 0:
            if spec["detached"]:
                os.setsid()
                if os.fork():
                    os._exit(0)
            kept = b"x" * (40 << 20)
            signal.pause()
            os._exit(kept[0])
    signal.pause()
