"""What a renderer may need beyond what every child has. A plug-in declares it; the operator allows it, or not."""

from __future__ import annotations

from dataclasses import dataclass

THREADS = 32
"""Threads and processes that any child may have, itself among them."""


@dataclass(frozen=True, slots=True)
class Needs:
    """threads: so many, with processes; subprocesses: to start programs; read: directories, as absolute paths."""

    threads: int = THREADS
    subprocesses: bool = False
    read: tuple[str, ...] = ()

    def beyond(self, allowed: Needs) -> list[str]:
        """Return the needs that are not allowed, as the setting RENDER_ALLOW_NEEDS names them."""
        return [
            *([f"threads={self.threads}"] if self.threads > allowed.threads else []),
            *(["subprocesses"] if self.subprocesses and not allowed.subprocesses else []),
            *(f"read={path}" for path in self.read if path not in allowed.read),
        ]


NONE = Needs()
