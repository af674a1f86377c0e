"""What went wrong, as a page for who reads pages and as JSON for programs."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from supervisor.web.guard import problem
from supervisor.web.pages.templates import page

_TITLES = {
    401: "The token is needed",
    403: "Not allowed",
    404: "Nothing here",
    405: "Not possible",
    421: "Wrong address",
    422: "Not understood",
    503: "Not now",
}


def told(scope: Scope, status: int, reason: str) -> Response:
    """Return an error: JSON under /api and for whoever does not ask for HTML, a page or a piece of one otherwise."""
    headers = Headers(scope=scope)
    if scope["path"].startswith("/api") or ("text/html" not in headers.get("accept", "") and not _of_page(headers)):
        return problem(status, reason)
    name = "parts/error.html" if _of_page(headers) else "error.html"
    return page(name, status, title=_TITLES.get(status, "It went wrong"), reason=reason)


def _of_page(headers: Headers) -> bool:
    """Whether a page of ours asks for a piece of itself."""
    return "hx-request" in headers
