"""How an attempt can end: a closed set, shared with the database (the enum `outcome` of the schema)."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What became of an attempt. The message beside it is for people, this is for programs."""

    OK = "ok"
    INVALID = "invalid"
    RENDER_ERROR = "render_error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    LIMIT = "limit"
    CRASH = "crash"
    VIOLATION = "violation"
    PROTOCOL = "protocol"
    BAD_OUTPUT = "bad_output"
    CANCELLED = "cancelled"
    LOST = "lost"
    INTERNAL = "internal"


OFFENCES = frozenset(
    {Outcome.TIMEOUT, Outcome.MEMORY, Outcome.LIMIT, Outcome.CRASH, Outcome.VIOLATION, Outcome.PROTOCOL}
)
"""Outcomes that killed or tripped a child: they count as an attempt and toward the offence limit."""

UNCHARGED = frozenset({Outcome.CANCELLED, Outcome.LOST, Outcome.INTERNAL})
"""Outcomes that are not the job's doing: they do not count as an attempt."""

CHILD_MAY_SAY = frozenset(
    {
        Outcome.OK,
        Outcome.INVALID,
        Outcome.RENDER_ERROR,
        Outcome.MEMORY,
        Outcome.LIMIT,
        Outcome.VIOLATION,
        Outcome.INTERNAL,
    }
)
"""Outcomes that a reply may carry. The rest is what the supervisor finds out by itself."""
