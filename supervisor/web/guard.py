"""Who may ask what, and what every answer says to a browser."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from supervisor.settings import Settings

_OPEN = frozenset({"/api/health", "/api/health/live", "/api/health/ready", "/api/metrics"})
"""For probes and scrapes, which have no token: they tell of no job."""
READS = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    # The pages' own script and style, nothing from elsewhere, in no other site's frame.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_open(path: str) -> bool:
    """Whether a path is for probes and scrapes, which ask without a token and by any name."""
    return path in _OPEN


class Guard:
    """ASGI middleware: Host header, token, response headers."""

    def __init__(self, app: ASGIApp, settings: Settings, tell: Callable[[Scope, int, str], Response]) -> None:
        self._app = app
        self._tell = tell
        token = settings.http_token
        self._token = token.get_secret_value().encode() if token else None
        self._everything = not is_loopback(settings.http_host)
        hosts = ("localhost", "127.0.0.1", "::1", settings.http_host, *settings.http_allowed_hosts)
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope, Headers(scope=scope))
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        path, reads = scope["path"], scope["method"] in READS
        if is_open(path) and reads:
            return None
        host = _name(headers.get("host", ""))
        if not self._everything and host not in self._hosts:
            # A page of another site whose name was pointed at this address (DNS rebinding).
            return self._tell(
                scope, 421, f"the Host header must be one of ours, got {host[:100]!r}; see HTTP_ALLOWED_HOSTS"
            )
        if reads and not self._everything:
            return None
        if self._token is None:
            return self._tell(scope, 403, "this needs a token: set HTTP_TOKEN for the service, and send it")
        if not self._has_token(headers.get("authorization", "")):
            answer = self._tell(
                scope, 401, "this needs the token: `Authorization: Bearer …`, or as the password of a login"
            )
            answer.headers["www-authenticate"] = 'Basic realm="jobsupervisor", charset="UTF-8"'
            return answer
        if not reads and _from_elsewhere(headers):
            return self._tell(scope, 403, "a write must come from a page of ours, or from no page")
        return None

    def _has_token(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        # The bytes that were sent: headers are read as Latin-1, and a token may be anything.
        sent = given.strip().encode("latin-1")
        if scheme.lower() == "basic":
            try:
                sent = base64.b64decode(sent, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif scheme.lower() != "bearer":
            return False
        return self._token is not None and hmac.compare_digest(sent, self._token)


def _from_elsewhere(headers: Headers) -> bool:
    """Whether a page of another site has a browser write here: it would send the login along with a form of theirs."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    # A browser of before 2023 tells the origin alone. Behind a proxy that changes the host it is not ours: use a newer one.
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


def _name(host: str) -> str:
    """Return a Host header without its port, in small letters: a host has no others."""
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] or host


def problem(status: int, reason: str, found: Sequence[str] = ()) -> JSONResponse:
    """Return an error as every endpoint tells it: `error` for people, `problems` where there are several."""
    return JSONResponse({"error": reason} | ({"problems": list(found)} if found else {}), status_code=status)
