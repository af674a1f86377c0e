"""The application: which part answers which path, behind the guard."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from supervisor.settings import Settings
from supervisor.web.crowd import Crowd
from supervisor.web.guard import Guard
from supervisor.web.pages.errors import told
from supervisor.web.shortage import Shortage


class _Plain:
    """Answers what no route does, and wrong methods, as every other error is told."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            # With an app in its scope the router raises what is wrong, instead of answering in its own words.
            await self._app({**scope, "app": self}, receive, send)
        except HTTPException as error:
            answer = told(scope, error.status_code, _said(scope, error))
            for name, value in (error.headers or {}).items():
                answer.headers[name] = value
            await answer(scope, receive, send)


def _said(scope: Scope, error: HTTPException) -> str:
    wrong_method = error.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    return f"{scope['path'][:200]} cannot be asked with {scope['method']}" if wrong_method else error.detail


def application(settings: Settings, routes: list[BaseRoute]) -> ASGIApp:
    """Return the ASGI application."""

    async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
        reason = f"there is nothing at {scope['path'][:200]}; /api/openapi.json says what there is for programs"
        await told(scope, 404, reason)(scope, receive, send)

    return Guard(Crowd(Shortage(_Plain(Router(routes, default=not_found))), told), settings, told)
