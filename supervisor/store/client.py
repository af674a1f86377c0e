"""The queue from a client's side: enqueue, look, wait, and the dead letters. For commands; no pool, no threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Unpack
from uuid import UUID

import psycopg

from supervisor.store import calls
from supervisor.store.calls import FIND_SCHEMA, MOST_LISTED, MOST_REDRIVEN, bounded
from supervisor.store.connection import connect
from supervisor.store.job_status import ended_job
from supervisor.store.kinds import plugin_kinds
from supervisor.store.refused import Refused, refusal
from supervisor.store.render_queue import send
from supervisor.store.requests import RenderOptions, RenderRequest

__all__ = ["Client", "Refused"]


class Client:
    """One connection. Public functions and views are found whatever schema they were installed in."""

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        self._connection = connection
        self._schema = schema

    @classmethod
    @contextmanager
    def connect(cls, url: str) -> Iterator[Client]:
        """Connect for the time of a `with` block. Raises DatabaseUnreachable, SchemaError where nothing is installed."""
        with connect(url, "jobsupervisor client") as connection:
            yield cls(connection, send(connection, FIND_SCHEMA))

    def _rows(self, statement: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Run a named query. Raises Refused for what the database refuses, DatabaseUnreachable when it is gone."""
        return send(self._connection, calls.rows(statement, parameters), self._schema)

    def enqueue(self, kind: str, spec: Any, config: Any, **options: Unpack[RenderOptions]) -> str:
        """Enqueue one job; `options` are the other parameters of enqueue_render, `timeout` in seconds."""
        call = calls.enqueue(RenderRequest(kind, spec, config, **options))
        return str(send(self._connection, call, self._schema))

    def job(self, job_id: str) -> dict[str, Any] | None:
        """Return a job's row of render_jobs."""
        rows = self._rows("job", id=job_id)
        return rows[0] if rows else None

    def jobs(self, job_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the rows of several jobs, by id."""
        return {str(row["id"]): row for row in self._rows("jobs", ids=list(job_ids))}

    def attempts(self, job_id: str) -> list[dict[str, Any]]:
        """Return the attempts of a job, in order."""
        return self._rows("attempts", id=job_id)

    def listen(self) -> None:
        """Subscribe to final statuses; do so before what is waited for can happen."""
        self._rows("listen_events")

    def register_plugins(self, plugins: Mapping[str, str]) -> None:
        """Make the names of plug-in kinds known; needs more than an enqueuing role where there are any."""
        if plugins:
            self._rows("register_kinds", kinds=plugin_kinds(plugins))

    def wait(self, job_id: str, on_progress: Callable[[float], None] | None = None) -> dict[str, Any] | None:
        """Wait for a job's final status, by notification; return its row, or None when it is gone.

        Needs `listen` before the job could end. Who wants to see progress has the row read once a second. Raises
        DatabaseUnreachable when the connection breaks: the job goes on, and nobody here knows how it ends.
        """
        while True:
            row = self.job(job_id)
            if row is None or row["status"] in {"completed", "failed", "cancelled"}:
                return row
            if on_progress is not None:
                on_progress(row["progress"])
            try:
                for notice in self._connection.notifies(timeout=None if on_progress is None else 1.0):
                    if ended_job(notice.payload) == UUID(job_id):
                        break
            except (psycopg.Error, UnicodeError) as error:
                raise refusal(error, self._connection, "listen_events") from error

    def cancel(self, job_id: str) -> bool:
        """Cancel a job; False when it is finished already."""
        return bool(self._rows("cancel", id=job_id)[0]["cancel_render"])

    def supervisors(self) -> list[dict[str, Any]]:
        """Return the supervisors that are alive."""
        return self._rows("supervisors_alive")

    def counts(self) -> list[dict[str, Any]]:
        """Return jobs by status and kind."""
        return self._rows("status_counts")

    def flow(self) -> dict[str, Any]:
        """Return throughput and ages."""
        return self._rows("status_flow")[0]

    def dead_letters(self, kind: str | None, failure: str | None, limit: int) -> list[dict[str, Any]]:
        """Return dead letters, newest first."""
        return self._rows("dead_letters", kind=kind, failure=failure, limit=bounded(limit, MOST_LISTED))

    def dead_letter(self, job_id: str) -> dict[str, Any] | None:
        """Return one dead letter, whole."""
        rows = self._rows("dead_letter", id=job_id)
        return rows[0] if rows else None

    def redrive(self, job_id: str) -> str:
        """Put one dead letter back into the queue."""
        return str(self._rows("redrive", id=job_id)[0]["redrive_render"])

    def redrive_many(self, kind: str | None, failure: str | None, limit: int) -> list[str]:
        """Put dead letters back into the queue, oldest first."""
        rows = self._rows("redrive_many", kind=kind, failure=failure, limit=bounded(limit, MOST_REDRIVEN))
        return [str(row["redrive_render"]) for row in rows]

    def purge(self, seconds: float) -> int:
        """Delete dead letters older than that; return how many."""
        return int(self._rows("purge", seconds=seconds)[0]["purge_dead_letters"])
