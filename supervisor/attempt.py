"""One attempt at a job, from when a child is given it until it is over: its limits, what is said in it, what is seen of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from supervisor import usage
from supervisor.child_process import ExitStatus
from supervisor.classify import Kill, Observation
from supervisor.memory import MemorySample
from supervisor.model import Job

_MESSAGES, _MESSAGES_PER_SECOND = 100, 20
"""How many messages an attempt may bring: an honest child says ten things a second. A flood would slow the loop for all."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one attempt: wall clock and processor time in seconds, memory and output in bytes."""

    timeout: float
    cpu: float
    memory: int
    output: int


@dataclass(slots=True, eq=False)
class Attempt:
    """A job that a child has, or has next.

    `on_end` is called once: with what was seen when the attempt is over, or with None when it never began, since the child
    is gone or has to go; then nobody is charged.
    """

    job: Job
    limits: Limits
    output: int | None
    """The descriptor that the child writes to; None for a kind that writes nothing."""
    on_end: Callable[[Attempt, Observation | None], None]
    since: float | None = None
    """When its turn came, of the monotonic clock; None while the child has another before it."""
    progress: float = 0.0
    """What the child told of it, from 0 to 1."""
    withdrawn: bool = False
    """It was taken back while the child had another before it. The child does it all the same, and it counts for nothing."""
    sample: MemorySample | None = None
    took: float = 0.0
    """Seconds that the child was at it, once it is over."""
    _messages: int = 0

    def seconds(self) -> float:
        """Seconds since its turn came."""
        return 0.0 if self.since is None else time.monotonic() - self.since

    def breach(self, message: dict[str, Any]) -> str | None:
        """Take a message of the child that has this attempt; return the rule that it breaks, if any."""
        self._messages += 1
        if self._messages > _MESSAGES and self._messages > _MESSAGES + _MESSAGES_PER_SECOND * self.seconds():
            return f"a child may say {_MESSAGES_PER_SECOND} things a second, and {_MESSAGES} at once"
        if message.get("id") != self.job.id or message.get("attempt") != self.job.token.attempt:
            return "a message must be about the job that the child has"
        kind = message.get("type")
        if kind == "progress":
            if usage.fraction(message.get("progress")) is None:
                return "progress must be from 0 to 1"
        elif kind != "done":
            return f"a message must be progress or done, got {str(kind)[:50]!r}"
        return None

    def observe(
        self,
        reply: dict[str, Any] | None,
        kill: Kill | None,
        status: ExitStatus | None,
        *,
        cpu_before: float,
        first: bool,
        stderr_tail: str,
        out_of_memory: bool,
    ) -> Observation:
        """Return what was seen of it, now that it is over.

        `cpu_before` is what its child had used until then, in seconds; `first` says that it was the child's first job.
        """
        assert self.sample is not None  # noqa: S101 - its turn has come
        self.took = self.seconds()
        if status is not None and first:
            # The kernel's own count of its life, which was this job: what came and went between two looks is in it.
            self.sample.last = max(self.sample.last, status.peak_memory_bytes or 0)
        return Observation(
            reply=reply,
            kill=kill if reply is None else None,
            status=status,
            stderr_tail=stderr_tail,
            starved=self.sample.starved,
            out_of_memory=out_of_memory,
            cpu_seconds=usage.cpu_seconds(reply, status, cpu_before, self.took),
            peak_memory_bytes=usage.peak_memory(reply, status, self.sample),
        )
