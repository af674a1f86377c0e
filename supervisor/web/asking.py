"""What both the API and the pages do with a request: the job that it names, and an answer where it cannot be had."""

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
