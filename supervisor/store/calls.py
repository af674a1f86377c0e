"""The calls of a client, each one named query: its parameters, and what its rows mean. Sends nothing itself.

The public functions and views are in whatever schema the operator chose. They are called by their full names, so that
the search path of a connection that belongs to somebody else stays as it is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from psycopg import sql

from supervisor.errors import SchemaError
from supervisor.store.job_status import JobStatus, job_status
from supervisor.store.refused import Refused
from supervisor.store.requests import RenderRequest, columns, parameters
from supervisor.store.statements import query

T = TypeVar("T")
Rows = list[dict[str, Any]]

MOST_ROWS = 200
"""Rows of a list that is asked for over HTTP: the loop makes the answer in one piece."""
MOST_LISTED = 10_000
"""Rows of a list on the command line, which is a process of its own."""
MOST_REDRIVEN = 1_000_000
"""Dead letters that one command puts back; of each there is only its id."""
MOST_ATTEMPTS = 100
"""The last attempts of a job, over HTTP."""
_ID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One statement, and what to make of its rows."""

    name: str
    parameters: Mapping[str, Any]
    answer: Callable[[Rows], T]

    def text(self, schema: str) -> str:
        """Return the statement, with the schema of the public functions and views filled in."""
        return _in_schema(self.name, schema)


@functools.cache
def _in_schema(name: str, schema: str) -> str:
    # Doubled, since a lone % begins a parameter.
    return query(name).replace("__public__", sql.Identifier(schema).as_string().replace("%", "%%"))


def rows(name: str, values: Mapping[str, Any]) -> Call[Rows]:
    """Return a call of any named query."""
    return Call(name, values, lambda found: found)


def _schema(found: Rows) -> str:
    if not found:
        raise SchemaError("the schema must be installed: there is no enqueue_render; run `jobsupervisor migrate`")
    return str(found[0]["nspname"])


FIND_SCHEMA = Call("public_schema", {}, _schema)
"""Asks for the schema of the public functions. Raises SchemaError where there is none."""


def job_uuid(job_id: object) -> UUID:
    """Return a job's id. Raises Refused."""
    if isinstance(job_id, UUID):
        return job_id
    # Python's own reading takes digits of every script, underscores, braces and signs.
    if not isinstance(job_id, str) or not _ID.fullmatch(job_id):
        raise Refused(f"job_id must be a UUID, got {str(job_id)[:100]!r}", hint="Pass what enqueue returned.")
    return UUID(job_id)


def bounded(limit: int, most: int = MOST_ROWS) -> int:
    """Return how many rows a list may have. Raises Refused: every list goes through here, whoever asks for it."""
    if not 1 <= limit <= most:
        raise Refused(f"limit must be from 1 to {most}, got {limit}")
    return limit


def _uuid(value: object) -> UUID:
    # The caller's connection may load UUIDs as text.
    return value if isinstance(value, UUID) else UUID(str(value))


def enqueue(request: RenderRequest) -> Call[UUID]:
    """Enqueue one job; answers its id."""
    return Call("enqueue", parameters(request), lambda found: _uuid(found[0]["enqueue_render"]))


def enqueue_many(requests: Sequence[RenderRequest]) -> Call[list[UUID]]:
    """Enqueue many jobs; answers their ids in the order of the requests."""
    return Call("enqueue_many", columns(requests), lambda found: [_uuid(row["id"]) for row in found])


def status(job_id: UUID | str) -> Call[JobStatus | None]:
    """Look at one job; answers None where there is none."""
    return Call("job", {"id": job_uuid(job_id)}, lambda found: job_status(found[0]) if found else None)


def jobs_list(
    *,
    status: str | None = None,
    kind: str | None = None,
    user_id: str | None = None,
    correlation_id: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> Call[list[JobStatus]]:
    """Look at jobs, newest first; `before` is the last of the page before."""
    filters = {"status": status, "kind": kind, "user_id": user_id, "correlation_id": correlation_id}
    page = {"before": before, "limit": bounded(limit)}
    return Call("jobs_list", filters | page, lambda found: [job_status(row) for row in found])


def attempts(job_id: UUID, limit: int = MOST_ATTEMPTS) -> Call[Rows]:
    """Look at the last attempts of a job, in their order."""
    return rows("attempts_last", {"id": job_id, "limit": bounded(limit)})


def cancel(job_id: UUID | str) -> Call[bool]:
    """Cancel one job; answers False when it is finished or unknown."""
    return Call("cancel", {"id": job_uuid(job_id)}, lambda found: bool(found[0]["cancel_render"]))


def redrive(job_id: UUID | str) -> Call[UUID]:
    """Put one dead letter back into the queue; answers its id."""
    return Call("redrive", {"id": job_uuid(job_id)}, lambda found: _uuid(found[0]["redrive_render"]))
