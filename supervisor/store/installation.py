"""The identity of a database, and what it knows of one store of artifacts: see supervisor/artifacts/ownership.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import orjson
import psycopg

from supervisor.store.connection import connect, meaning
from supervisor.store.search_path import fixed_path
from supervisor.store.statements import query


class _Stored(Protocol):
    """An artifact, by its name's parts."""

    @property
    def job_id(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def written(self) -> float: ...


class Installation:
    """One database and one store. Raises psycopg.Error, which who opened the connection turns into what it means."""

    def __init__(self, connection: psycopg.Connection[Any], place: str, days: float) -> None:
        self._connection = connection
        self._place = place
        self._days = days
        with fixed_path(connection):
            row = connection.execute(query("installation"), {"place": place}).fetchone()
            if row is None:
                connection.execute(query("installation_make"))
                row = connection.execute(query("installation"), {"place": place}).fetchone()
        assert row is not None  # noqa: S101 - it was made where it was missing
        self.installation: str = row[0]
        self.marked: bool = row[1]
        self._adopted: float | None = row[2]
        self.disputed: bool = row[3] or False

    @classmethod
    @contextmanager
    def open(cls, url: str, place: str, days: float) -> Iterator[Installation]:
        """Connect, for a store at a place, and finished work that is kept for so many days.

        Raises DatabaseUnreachable, StatementFailed.
        """
        with connect(url, "jobsupervisor installation") as connection:
            try:
                yield cls(connection, place, days)
            except psycopg.Error as error:
                raise meaning(error, connection, "installation") from error

    def newest(self) -> list[str]:
        """Return the URLs of some artifacts of jobs that completed last."""
        with fixed_path(self._connection):
            return [str(row[0]) for row in self._connection.execute(query("installation_newest")).fetchall()]

    def mark(self) -> None:
        """Take note that the store is marked as ours."""
        with fixed_path(self._connection):
            self._connection.execute(query("installation_mark"), {"place": self._place})
        self.marked = True

    def adopt(self) -> None:
        """Take note that the store is ours, with all that is stored there by now."""
        with fixed_path(self._connection):
            self._connection.execute(query("installation_adopt"), {"place": self._place})
        self.marked = True

    def dispute(self) -> None:
        """Take note that the store holds what no job of this database wrote."""
        with fixed_path(self._connection):
            self._connection.execute(query("installation_dispute"), {"place": self._place})
        self.disputed = True

    def standing(self, artifacts: Sequence[_Stored]) -> dict[tuple[str, int], str]:
        """Return, by job and attempt, which artifacts are `needed` and which `unknown`; the rest are orphans.

        In a store that is not marked as ours, what is older than anything that is kept here may be another database's.
        """
        listed = orjson.dumps(
            [{"id": each.job_id, "attempt": each.attempt, "written": each.written} for each in artifacts]
        ).decode()
        parameters = {"artifacts": listed, "adopted": self._adopted, "days": self._days if self.marked else 0.0}
        with fixed_path(self._connection):
            rows = self._connection.execute(query("retention_referenced"), parameters).fetchall()
        return {(str(row[0]), int(row[1])): str(row[2]) for row in rows}
