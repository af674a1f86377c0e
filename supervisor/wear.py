"""How much a child does before it is replaced.

What a renderer leaves in its process adds up: memory that it does not give back, caches, whatever a library forgets. So
a child ends after its share of jobs, when it is old, or when it has grown.
"""

from __future__ import annotations

import time

from renderer.outcome import Outcome
from supervisor.child import Child

_JOBS_PER_CHILD = 10_000
_CHILD_SECONDS = 3600.0
_CHILD_GROWTH = 128 * 1024 * 1024
_LOOKED_AT = 16
"""Of so many jobs in a row, one leads to a look at how large its child has grown; or at anything, where the child holds more."""

GOES_ON = frozenset({Outcome.OK, Outcome.INVALID})
"""Outcomes after which a child may take another job."""


def _spread(child: Child) -> float:
    """Return by how much a child outlives the others: not all of them are to end at once."""
    return 1 + child.number % 4 / 8


def _share(child: Child) -> float:
    """Return how many jobs a child does before it is replaced."""
    return _JOBS_PER_CHILD * _spread(child)


def has_share_left(child: Child) -> bool:
    """Say whether a child may be given another job beyond those that it holds."""
    return child.jobs_done + child.held < _share(child)


def is_worn(child: Child) -> bool:
    """Say whether a child has had enough. It is looked at now and then: a look into /proc costs more than a short job."""
    has_its_turn = child.jobs_done % _LOOKED_AT == 0
    if child.held and not has_its_turn:
        return False
    return (
        child.jobs_done >= _share(child)
        or time.monotonic() - child.born >= _CHILD_SECONDS * _spread(child)
        or (has_its_turn and child.resident_memory > child.base_memory + _CHILD_GROWTH)
    )
