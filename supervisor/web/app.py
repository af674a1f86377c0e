"""The application: which part answers which path, behind the guard."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from supervisor.settings import Settings
from supervisor.web.guard import Guard, problem


class _Plain:
    """Answers what no route does, and wrong methods, as every other error is told."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self._app(scope, receive, send)
        except HTTPException as error:
            answer: Response = problem(error.status_code, str(error.detail))
            for name, value in (error.headers or {}).items():
                answer.headers[name] = value
            await answer(scope, receive, send)


async def _nothing(request: Request) -> Response:
    return problem(404, f"there is nothing at {request.url.path}; /api/openapi.json says what there is")


def application(settings: Settings, routes: list[BaseRoute]) -> ASGIApp:
    """Return the ASGI application."""

    async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
        await (await _nothing(Request(scope)))(scope, receive, send)

    return Guard(_Plain(Router(routes, default=not_found)), settings)
