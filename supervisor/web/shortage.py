"""What is answered where this process has no file left, or the kernel no memory: ask again, and no traceback in the log."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from supervisor import descriptors
from supervisor.web.guard import problem


class Shortage:
    """ASGI middleware: answers with 503 what could not be answered for lack of something that comes back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; an answer that was begun ends short of what it announced, which tells its reader."""
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except OSError as error:
            if error.errno not in descriptors.SHORT:
                raise
            descriptors.tell(asyncio.get_running_loop(), f"answering {scope['path'][:200]}", error)
            if not begun:
                # No page: that may take a file too.
                answer = problem(
                    503, f"the service is short of something just now ({error.strerror}); ask again in a moment"
                )
                answer.headers["retry-after"] = "1"
                await answer(scope, receive, send)
