# ruff: noqa: ARG001 - every renderer takes the same three arguments
"""What do the children run that is to be killed? A kind that never ends. Imported in the child: nothing of the database."""

from __future__ import annotations

import signal
from typing import Any

from renderer import Output


def hang(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Never end."""
    while True:
        signal.pause()
