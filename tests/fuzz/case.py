"""A job to try, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from renderer.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Case:
    """A job: its kind, its spec and its config as JSON text. JSON that no library would write is written too."""

    kind: str
    spec: str
    config: str = "{}"
    readable: bool = False
    """Whether it shows text in plain view, so that the picture may not be blank."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How it ended. `seconds` is the processor time of the child, which other work on the machine does not change."""

    outcome: Outcome
    message: str
    seconds: float
    content_type: str
    artifact: bytes = field(repr=False)
