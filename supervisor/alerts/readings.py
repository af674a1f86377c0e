"""What is looked at: a moment's figures. They come from what the supervisor knows anyway, never from a statement."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Readings:
    """One look at the supervisor. None: not known at present."""

    error_rate: float | None
    """Share of the attempts of the last five minutes that ended badly; None while there are too few to say."""
    response_seconds: float | None
    """95th percentile, from when a job was due to its end, over the last five minutes."""
    memory_mb: float | None
    """The largest resident memory of one process: a child's, or the supervisor's own."""
    queue_depth: int | None
    """Jobs that are due and wait."""
    active_jobs: int
    """Jobs that are being rendered."""
    database_problem: str | None
    """Why the database cannot be used; None while it can."""
    memory_of: str = "a process"
    """Whose memory it is: "the supervisor", "child 7"."""
