"""Old work in the database: partitions are made ahead and dropped by age, keys are freed, artifacts are looked up.

On a connection of its own, for as long as it takes, away from the claims. Whatever changes a table waits for its lock at
most a moment, since every claim would stand behind it in the queue; what did not get it is tried again next time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg

from supervisor.store.connection import connect, meaning
from supervisor.store.installation import Installation
from supervisor.store.search_path import fixed_path
from supervisor.store.statements import query

_LOCK_MILLISECONDS = 100
_TRIES = 20


class RetentionStore:
    """One session that keeps house."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def open(cls, url: str) -> Iterator[RetentionStore | None]:
        """Connect; yield None when another supervisor keeps house just now. Raises DatabaseUnreachable, StatementFailed."""
        with connect(url, "jobsupervisor retention") as connection:
            try:
                with fixed_path(connection):
                    connection.execute(query("lock_timeout"), {"milliseconds": str(_LOCK_MILLISECONDS)})
                    alone = connection.execute(query("retention_lock")).fetchone()
                yield cls(connection) if alone and alone[0] else None
            except psycopg.Error as error:
                raise meaning(error, connection, "retention") from error

    def _rows(self, statement: str, **parameters: object) -> list[tuple[Any, ...]]:
        with fixed_path(self._connection):
            return self._connection.execute(cast("Any", statement), parameters).fetchall()

    def _patiently(self, *statements: str) -> bool:
        """Run what needs a table's lock, in one transaction, several times if need be; False when it never got it."""
        for _ in range(_TRIES):
            try:
                with self._connection.transaction(), fixed_path(self._connection):
                    for statement in statements:
                        self._connection.execute(cast("Any", statement))
            except psycopg.errors.LockNotAvailable:
                continue
            return True
        return False

    def make_weeks(self) -> bool:
        """Make the partitions of the coming weeks; False when their table was in use all the time."""
        return self._patiently(query("retention_weeks"))

    def expired(self, days: float) -> list[tuple[str, str]]:
        """Return partition and parent of what ended longer ago than that."""
        rows = self._rows(query("retention_expired"), days=days)
        return [(str(row[0]), str(row[1])) for row in rows]

    def outputs(self, partition: str) -> Iterator[str]:
        """Yield the artifact URLs of a partition of finished jobs, without holding them all."""
        with self._connection.transaction(), self._connection.cursor("outputs") as cursor:
            cursor.execute(cast("Any", _of(partition, "retention_outputs")))
            for row in cursor:
                yield str(row[0])

    def drop(self, partition: str, *, keys: bool) -> bool:
        """Drop a partition, with the idempotency keys of its jobs; False when it was in use all the time."""
        # The lock first: whoever has to wait for it in vain has not freed any key.
        freed = [_of(partition, "retention_keys")] if keys else []
        return self._patiently(_of(partition, "retention_claim"), *freed, _of(partition, "retention_drop"))

    def stragglers(self, days: float) -> list[str | None]:
        """Delete a bounded number of old rows that no week took; return their artifact URLs."""
        return [row[0] for row in self._rows(query("retention_stragglers"), days=days)]

    def installation(self, place: str, days: float) -> Installation:
        """Return what this database knows of a store of artifacts, with finished work kept for so many days."""
        return Installation(self._connection, place, days)


def _of(partition: str, statement: str) -> str:
    """Return a statement about a partition; its name comes from the schema's own list."""
    if not partition.isidentifier():
        raise ValueError(f"a partition's name must be a plain one, got {partition!r}")
    return query(statement).replace("__partition__", partition)
