"""The lists: what the pages ask the database, each one named query, bounded, over the desk."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from supervisor.errors import ExpectedError
from supervisor.monitor.figures import Figures
from supervisor.store import calls
from supervisor.store.calls import Call, Rows
from supervisor.store.desk import Desk
from supervisor.store.job_status import JobStatus, job_status

RESULTS = 12
LETTERS = 6
"""Results and dead letters on the dashboard."""
PAGE = 50
"""Rows of a page of a list."""
MOST_ATTEMPTS = 50
FRESH_SECONDS = 3.0
"""The dashboard's lists are not asked for again before that, however many people look."""

_DIGITS = 32
_ID_BEGINS = re.compile(r"[0-9a-f]{8,32}")


@dataclass(slots=True)
class Lists:
    """The dashboard's two lists, as last read; `problem` says why they are not newer."""

    results: Rows = field(default_factory=list)
    dead_letters: Rows = field(default_factory=list)
    problem: str | None = None


class SharedLists:
    """Reads the dashboard's lists for everybody who looks."""

    def __init__(self, desk: Desk, figures: Figures) -> None:
        self._desk = desk
        self._figures = figures
        self._lists = Lists()
        self._read_at = -FRESH_SECONDS
        self._read_for: object = None
        self._lock = asyncio.Lock()

    def outdate(self) -> None:
        """Have them read again: a person changed something, and looks for it."""
        self._read_at = -FRESH_SECONDS
        self._read_for = None

    async def get(self, *, unless_same: bool) -> Lists:
        """Return them, read lately; `unless_same`: read only if a job ended here, or a poll told of others', since.

        Critical section: whether they are fresh, and the two statements.
        """
        async with self._lock:
            now, happened = time.monotonic(), (self._figures.settled_claims, self._figures.polled_at)
            if now - self._read_at >= FRESH_SECONDS and not (unless_same and happened == self._read_for):
                await self._read()
                self._read_at, self._read_for = time.monotonic(), happened
            return self._lists

    async def _read(self) -> None:
        try:
            results = await self._desk.ask(calls.rows("results", {"limit": RESULTS}))
            dead_letters = await self._desk.ask(dead_letters_page(LETTERS))
        except ExpectedError as error:
            self._lists = Lists(self._lists.results, self._lists.dead_letters, str(error))
        else:
            self._lists = Lists(results, dead_letters)


def dead_letters_page(limit: int, died_at: datetime | None = None, before: UUID | None = None) -> Call[Rows]:
    """Return the call for a page of dead letters, after the one that is named."""
    return calls.rows("dead_letters_page", {"limit": calls.bounded(limit), "died_at": died_at, "before": before})


def history(job_id: UUID) -> Call[Rows]:
    """Return the call for a job's attempts."""
    return calls.rows("history", {"id": job_id, "limit": MOST_ATTEMPTS})


def search(text: str, before: UUID | None, limit: int = PAGE) -> Call[list[JobStatus]]:
    """Return the call for the jobs that somebody looks for by a text."""
    first, last = _ids_that_begin(text.strip().lower())
    asked: dict[str, Any] = {
        "text": text,
        "first": first,
        "last": last,
        "before": before,
        "limit": calls.bounded(limit),
    }
    return Call("search", asked, lambda found: [job_status(row) for row in found])


def _ids_that_begin(text: str) -> tuple[UUID | None, UUID | None]:
    """Return the first and the last id that begin so; None for what is no beginning of one."""
    digits = text.replace("-", "")
    if not _ID_BEGINS.fullmatch(digits):
        return None, None
    return UUID(digits.ljust(_DIGITS, "0")), UUID(digits.ljust(_DIGITS, "f"))
