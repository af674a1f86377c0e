"""What both the API and the pages do with a request: its parameters, and an answer where it cannot be had."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from supervisor.errors import DatabaseUnreachable, ExpectedError
from supervisor.store import calls
from supervisor.store.refused import Refused
from supervisor.web.pages.errors import told

STATUSES = ("queued", "processing", "completed", "failed", "cancelled")

Endpoint = Callable[[Request], Awaitable[Response]]


def one_job(request: Request) -> UUID:
    """Return the job that the path names. Raises Refused."""
    return calls.job_uuid(request.path_params["id"])


def page_before(job_id: str | None) -> UUID | None:
    """Return the job that a page begins after, None for the first page. Raises Refused."""
    if not job_id:
        return None
    try:
        return calls.job_uuid(job_id)
    except Refused:
        raise Refused(f"before must be the id of a job, got {job_id[:100]!r}") from None


def one_status(status: str | None) -> str | None:
    """Return a status that is asked for, None for any. Raises Refused."""
    if status is not None and status not in STATUSES:
        raise Refused(f"status must be one of {', '.join(STATUSES)}, got {status[:100]!r}")
    return status


def answered(endpoint: Endpoint) -> Endpoint:
    """Answer what may be expected to go wrong: what was refused, and a database that is away or too slow."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as refused:
            # 57014, 55P03: the session's statement_timeout and lock_timeout.
            if refused.sqlstate in {"57014", "55P03"}:
                return told(request.scope, 503, "the question took the database too long; narrow it")
            return told(request.scope, 403 if refused.sqlstate == "42501" else 422, str(refused))
        except DatabaseUnreachable as error:
            return told(request.scope, 503, str(error))
        except ExpectedError as error:
            return told(request.scope, 500, str(error))

    return answer
