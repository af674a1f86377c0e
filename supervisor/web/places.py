"""How many requests are answered at once, of each sort: what takes long takes no place from what cannot wait."""

from __future__ import annotations

import collections
import re
from dataclasses import dataclass

from starlette.types import Scope

from supervisor.web.guard import READS, is_open


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of requests."""

    name: str
    most: int | None
    """None for one that is not counted."""


PROBES = Sort("probes", None)
"""Health and metrics cost next to nothing, and are asked for when it is crowded."""
WRITES = Sort("writes", 8)
"""To cancel what floods the queue must be possible while all look at it."""
DASHBOARDS = Sort("open dashboards", 32)
DOWNLOADS = Sort("downloads of artifacts", 24)
QUESTIONS = Sort("requests", 64)
MOST = sum(sort.most or 0 for sort in (WRITES, DASHBOARDS, DOWNLOADS, QUESTIONS))

_DOWNLOAD = re.compile(r"/api/jobs/[^/]*/artifact")


def sort_of(scope: Scope) -> Sort:
    """Return the sort of a request."""
    path: str = scope["path"]
    if scope["method"] not in READS:
        return WRITES
    if is_open(path):
        return PROBES
    if path == "/events":
        return DASHBOARDS
    return DOWNLOADS if _DOWNLOAD.fullmatch(path) else QUESTIONS


class Places:
    """The places that are taken."""

    def __init__(self) -> None:
        self._taken: collections.Counter[Sort] = collections.Counter()

    def take(self, sort: Sort) -> bool:
        """Take a place, or return False where none is free."""
        if sort.most is not None and self._taken[sort] >= sort.most:
            return False
        self._taken[sort] += 1
        return True

    def leave(self, sort: Sort) -> None:
        """Give a place back."""
        self._taken[sort] -= 1
