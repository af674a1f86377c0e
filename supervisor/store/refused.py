"""What a client is told when the database says no."""

from __future__ import annotations

from typing import Any

import psycopg

from supervisor.errors import DatabaseUnreachable, ExpectedError, SchemaError
from supervisor.store.connection import unreachable

_PRIVILEGE = "42501"
_MISSING = frozenset({"3F000", "42P01", "42703", "42883"})
"""No such schema, table, column or function: our queries name all of theirs, so ours are gone, or of another version."""

_OF_THE_OWNER = frozenset({"purge", "register_kinds", "status_counts", "status_flow", "supervisors_alive"})
_OWNER_ONLY = (
    "Connect as the role that owns the schema jobsupervisor, the one that ran `jobsupervisor migrate`: this needs its "
    "tables, and jobsupervisor_enqueuer has none of them."
)
_GRANT = "Grant jobsupervisor_enqueuer to this role, or connect as another one: docs/sql.md says who may what."


class Refused(ExpectedError):  # noqa: N818 - reads as what happened
    """A call was refused: `message`, `detail` and `hint` say the rule, the value and the way out.

    `sqlstate` is PostgreSQL's code, None where the call never got there; the driver's own error is the cause.
    """

    def __init__(
        self, message: str, *, detail: str | None = None, hint: str | None = None, sqlstate: str | None = None
    ) -> None:
        super().__init__("\n".join(filter(None, (message, detail, hint))))
        self.message = message
        self.detail = detail
        self.hint = hint
        self.sqlstate = sqlstate


def refusal(
    error: psycopg.Error | UnicodeError,
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any],
    statement: str,
) -> Refused | SchemaError | DatabaseUnreachable:
    """Return what an error of a named query is to a client.

    Not every OperationalError means that the link is gone: a deadlock, a serialization failure or a lock timeout is one
    too, and leaves a connection that works.
    """
    if isinstance(error, UnicodeEncodeError):
        return Refused(f"text must be valid Unicode, got {error.object[error.start : error.end]!r}")
    if isinstance(error, UnicodeError):
        return Refused(f"the database must answer in UTF-8: {error}", hint="Its encoding must be UTF8.")
    diagnosis = error.diag
    if connection.closed or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None):
        return unreachable(error)
    said = diagnosis.message_primary or str(error)
    if error.sqlstate in _MISSING:
        return SchemaError(
            f"the schema must be installed, whole, for {statement!r}: {said}; run `jobsupervisor migrate`"
        )
    hint = diagnosis.message_hint
    if error.sqlstate == _PRIVILEGE:
        hint = hint or (_OWNER_ONLY if statement in _OF_THE_OWNER else _GRANT)
    return Refused(said, detail=diagnosis.message_detail, hint=hint, sqlstate=error.sqlstate)
