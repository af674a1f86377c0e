"""When too many come at once: who is answered first, who waits, who makes room.

A connection is not a request: one that is open and asks nothing must keep nobody out, least of all a probe, whose failure has the
service restarted, and must not take the descriptors that children need. So of connections there are so many at most, and the
one that has been idle longest makes room for the next. Of requests so many are answered at once, and the next
is told so; health and metrics are not counted, since they cost next to nothing and are asked for when it is crowded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from supervisor.web.guard import is_open

MOST_REQUESTS = 64
"""Each open dashboard is one of them."""
MOST_CONNECTIONS = 2 * MOST_REQUESTS


class Connection(H11Protocol):
    """A connection that knows whether it is idle, and since when."""

    idle_since = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether no answer is under way. To send a request slowly is idle too."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None before the first

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a connection; where there are too many, end the one that has been idle longest."""
        super().connection_made(transport)
        self.idle_since = self.loop.time()
        if len(self.connections) <= MOST_CONNECTIONS:
            return
        others = [one for one in self.connections if isinstance(one, Connection) and one is not self and one.is_idle]
        ended = min(others, key=lambda one: one.idle_since, default=self)
        # Here, not when it is lost, which is a turn of the loop later: the next one must not count it, nor choose it again.
        self.connections.discard(ended)
        ended.transport.abort()

    def on_response_complete(self) -> None:
        """Take note of the end of an answer."""
        self.idle_since = self.loop.time()
        super().on_response_complete()


class Crowd:
    """ASGI middleware: answers so many requests at once, and the others with 503."""

    def __init__(self, app: ASGIApp, tell: Callable[[Scope, int, str], Response]) -> None:
        self._app = app
        self._tell = tell
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say that there are too many."""
        if is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        if self._requests >= MOST_REQUESTS:
            answer = self._tell(
                scope, 503, f"at most {MOST_REQUESTS} requests are answered at once; ask again in a moment"
            )
            answer.headers["retry-after"] = "1"
            await answer(scope, receive, send)
            return
        self._requests += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests -= 1
