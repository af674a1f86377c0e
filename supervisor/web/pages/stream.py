"""What open dashboards are told: server-sent events, made once for all of them, and only while there is one.

Theory of operation. The first viewer starts a task that has the parts of the page rendered every two seconds; the last one to
leave ends it. A part is sent when it differs from what was sent before. Each viewer keeps the number of the last change
that it got and takes what is newer, whole: one that reads slowly misses steps, nothing queues up for it. The stream
ends when the supervisor ends; browsers connect again by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

import structlog
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from supervisor.web.guard import problem
from supervisor.web.places import DASHBOARDS

log = structlog.get_logger()

MOST_VIEWERS = DASHBOARDS.most or 0
"""As many as the server has places for (supervisor/web/places.py)."""
TICK_SECONDS = 2.0
_STILL_HERE_SECONDS = 15.0
"""A line at least so often, for proxies that end what is silent."""
_HEADERS = {"x-accel-buffering": "no"}


class Stream:
    """The stream of all viewers."""

    def __init__(self, parts: Callable[[], Awaitable[Mapping[str, str]]]) -> None:
        self._parts = parts
        self._shown: dict[str, tuple[int, str]] = {}
        self._number = 0
        self._news = asyncio.Event()
        self._viewers = 0
        self._closed = False
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def answer(self) -> Response:
        """Return the answer to one viewer."""
        if self._closed or self._viewers >= MOST_VIEWERS:
            answer = problem(503, f"at most {MOST_VIEWERS} dashboards may be live at once; try again later")
            answer.headers["retry-after"] = "10"
            return answer
        return _Answer(self._follow(), media_type="text/event-stream", headers=_HEADERS)

    def hurry(self) -> None:
        """Look at once: somebody changed something."""
        self._hurry.set()

    async def close(self) -> None:
        """End all streams."""
        self._closed = True
        self._hurry.set()
        self._tell()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _follow(self) -> AsyncGenerator[str, None]:
        """Yield the events of one viewer."""
        self._viewers += 1
        try:
            task = self._running()
            seen = 0
            yield "retry: 2000\n\n"
            while not self._closed and not task.done():
                news = self._news
                fresh = [(name, html) for name, (number, html) in self._shown.items() if number > seen]
                seen = self._number
                for name, html in fresh:
                    yield _event(name, html)
                try:
                    async with asyncio.timeout(_STILL_HERE_SECONDS):
                        await news.wait()
                except TimeoutError:
                    yield ":\n\n"
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._hurry.set()

    def _running(self) -> asyncio.Task[None]:
        """Return the task that renders."""
        if self._task is None or self._task.done():
            self._shown.clear()  # as it was when somebody last looked
            self._task = asyncio.create_task(self._render(), name="dashboard")
            self._task.add_done_callback(self._ended)
        return self._task

    async def _render(self) -> None:
        while self._viewers and not self._closed:
            self._hurry.clear()
            changed = {
                name: html for name, html in (await self._parts()).items() if self._shown.get(name, (0, ""))[1] != html
            }
            if changed:
                self._number += 1
                self._shown |= {name: (self._number, html) for name, html in changed.items()}
                self._tell()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._hurry.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            # Ours to mend; jobs go on. Viewers connect again, and it is tried again.
            log.error("dashboard.failed", exc_info=task.exception())
        self._tell()


class _Answer(StreamingResponse):
    """Lets a viewer's events go the moment that the viewer does, instead of when they are collected."""

    async def stream_response(self, send: Send) -> None:
        """Send the events."""
        events = self.body_iterator
        try:
            await super().stream_response(send)
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()


def _event(name: str, html: str) -> str:
    lines = "".join(f"data: {line}\n" for line in html.splitlines() if line.strip())
    return f"event: {name}\n{lines}\n"
