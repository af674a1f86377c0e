"""When too many come at once: who is answered first, who waits, who makes room, who is cut off.

A connection is not a request: one that is open and asks nothing must keep nobody out, least of all a probe, whose failure has the
service restarted, and must not take the descriptors that children need. So of connections there are so many at most, and the
one that has been idle longest makes room for the next; where none is idle, one whose reader does not read. Of requests of each sort
so many are answered at once (places.py), and the next is told so.

A reader that stops reading would keep its place for as long as it likes. One that takes too little of what waits for it, for
a while, is cut off: the answer is shorter than announced, which tells it so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from supervisor.web.places import MOST, Places, sort_of

MOST_CONNECTIONS = MOST + 64
STALLED_SECONDS = 20.0
"""Between two looks at a reader that is slower than what it asked for."""
_LEAST_READ = 16 * 1024
"""Bytes that a reader must take between two looks."""


class Connection(H11Protocol):
    """A connection that knows whether it is idle, and since when."""

    idle_since = 0.0
    stalled_since: float | None = None
    """When there was first more for the reader than it takes; None where it keeps up."""
    _waiting = 0
    _look: asyncio.TimerHandle | None = None

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
        others = [one for one in self.connections if isinstance(one, Connection) and one is not self]
        idle = min((one for one in others if one.is_idle), key=lambda one: one.idle_since, default=self)
        stalled = min((one for one in others if one.stalled_since is not None), key=_stalled_since, default=self)
        ended = stalled if idle is self else idle
        # Here, not when it is lost, which is a turn of the loop later: the next one must not count it, nor choose it again.
        self.connections.discard(ended)
        ended.transport.abort()

    def pause_writing(self) -> None:
        """Begin to look at how much the reader takes."""
        super().pause_writing()
        self.stalled_since = self.loop.time()
        self._look_later()

    def resume_writing(self) -> None:
        """Take it that the reader keeps up."""
        super().resume_writing()
        self.stalled_since = None
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        super().connection_lost(exc)

    def _look_later(self) -> None:
        self._waiting = self.transport.get_write_buffer_size()
        self._look = self.loop.call_later(STALLED_SECONDS, self._has_it_read)

    def _has_it_read(self) -> None:
        if self._waiting - self.transport.get_write_buffer_size() < _LEAST_READ:
            self.transport.abort()
            return
        self._look_later()

    def on_response_complete(self) -> None:
        """Take note of the end of an answer."""
        self.idle_since = self.loop.time()
        super().on_response_complete()


def _stalled_since(one: Connection) -> float:
    return one.stalled_since or 0.0


class Crowd:
    """ASGI middleware: answers so many requests at once of each sort, and the others with 503."""

    def __init__(self, app: ASGIApp, tell: Callable[[Scope, int, str], Response]) -> None:
        self._app = app
        self._tell = tell
        self._places = Places()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say that there are too many."""
        sort = sort_of(scope)
        if not self._places.take(sort):
            answer = self._tell(
                scope, 503, f"at most {sort.most} {sort.name} are answered at once; ask again in a moment"
            )
            answer.headers["retry-after"] = "1"
            await answer(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._places.leave(sort)
