"""The file that a renderer writes to."""

from __future__ import annotations

import io
from collections.abc import Callable


class Output(io.BufferedRandom):
    """A binary file, open for reading and writing, with the type of what is written and a progress call.

    It stands on a descriptor that the supervisor opened: there is no path, and nothing else that the child writes is
    ever looked at. `content_type` is what the artifact will be served as; a renderer sets it.
    """

    content_type: str = "application/octet-stream"

    def __init__(self, fd: int, report: Callable[[float], None] | None = None) -> None:
        # closefd=False: the child loop owns the descriptor, a renderer that closes its output must not take it away.
        super().__init__(io.FileIO(fd, "r+b", closefd=False))
        self._report = report

    def progress(self, fraction: float) -> None:
        """Tell how much of the work is done, from 0 to 1. Cheap: call it once a frame."""
        if self._report is not None:
            self._report(min(1.0, max(0.0, float(fraction))))
