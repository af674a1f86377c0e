"""The plain types that the parts hand to each other: a job, its token, how an attempt ended.

Those that each job has one of, and that never change, are named tuples: a frozen dataclass takes four times as long to make.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from renderer.outcome import Outcome

MEGABYTE = 1024 * 1024


class Token(NamedTuple):
    """What a claim hands out, and every later write names: which supervisor, and its how-manieth claim."""

    owner: int
    attempt: int


class Job(NamedTuple):
    """A claimed job. `spec` and `config` are the JSON texts of the database; `timeout` is in seconds."""

    id: str
    token: Token
    kind: str
    spec: str
    config: str
    timeout: float | None
    memory_mb: int | None
    user_id: str | None
    correlation_id: str | None
    waited: float = 0.0
    """Seconds from when it could run until it was claimed."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A published file."""

    url: str
    sha256: str
    size: int
    content_type: str


@dataclass(slots=True)
class Ending:
    """How an attempt ended. Times are of the monotonic clock, in seconds; memory in bytes."""

    outcome: Outcome
    error: str | None = None
    artifact: Artifact | None = None
    progress: float = 0.0
    started: float = field(default_factory=time.monotonic)
    finished: float = field(default_factory=time.monotonic)
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    exit_signal: int | None = None
    stderr_tail: str | None = None
    timeout_seconds: float | None = None
    memory_limit_bytes: int | None = None
    child_ended: bool = False
    """The attempt's child ended with it: killed by us or the kernel, or by itself."""
    alone: bool = False
    """For `lost`: the job was the only one that its supervisor had."""


class Ack(NamedTuple):
    """What the supervisor tells the database of a claim: how it ended, or (no ending) that it never started."""

    job_id: str
    token: Token
    ending: Ending | None
    text: str = ""
    """The same as the exchange reads it, where it was made beforehand: when an exchange is sent, everything waits for it."""

    @property
    def ill(self) -> bool:
        """Whether its job may be queued again by it, or go to the dead letters."""
        return self.ending is None or self.ending.outcome is not Outcome.OK
