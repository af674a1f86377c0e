"""What a client is told when the database says no."""

from __future__ import annotations

from typing import Any

import psycopg

from supervisor.errors import DatabaseUnreachable, ExpectedError
from supervisor.store.connection import unreachable

_PRIVILEGE = "42501"


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
    error: psycopg.Error | UnicodeEncodeError, connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]
) -> Refused | DatabaseUnreachable:
    """Return what an error of a statement is to a client.

    Not every OperationalError means that the link is gone: a deadlock, a serialization failure or a lock timeout is one
    too, and leaves a connection that works.
    """
    if isinstance(error, UnicodeEncodeError):
        return Refused(f"text must be valid Unicode, got {error.object[error.start : error.end]!r}")
    diagnosis = error.diag
    if isinstance(error, psycopg.OperationalError) and (connection.closed or error.sqlstate is None):
        return unreachable(error)
    hint = diagnosis.message_hint
    if error.sqlstate == _PRIVILEGE:
        hint = (
            hint
            or "Grant jobsupervisor_enqueuer to this role, or connect as another one: docs/sql.md says who may what."
        )
    return Refused(
        diagnosis.message_primary or str(error), detail=diagnosis.message_detail, hint=hint, sqlstate=error.sqlstate
    )
