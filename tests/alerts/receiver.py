"""A real HTTP server on loopback that stands for Slack, PagerDuty and whatever Apprise calls."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GRACE = 60.0
"""Seconds after which a test stops waiting for what never comes; nothing takes so long."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    content: Any


class Receiver:
    """Takes requests. `behave` answers them: it gets the handler and writes to it; `released` ends those that hang."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.released = threading.Event()
        self.behave: Callable[[BaseHTTPRequestHandler], None] = answer(200)
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.address}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(Received(self.path, dict(self.headers), json.loads(body)))
                with contextlib.suppress(ConnectionError):
                    receiver.behave(self)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        return Handler

    def take(self, request: Received) -> None:
        """Keep a request."""
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Wait until so many requests have come. Blocks: run it in a thread."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, GRACE)

    def hang(self, _handler: BaseHTTPRequestHandler) -> None:
        """Answer nothing until released."""
        self.released.wait()

    def drip(self, handler: BaseHTTPRequestHandler) -> None:
        """Send a byte now and then, so that no single read takes long, and never come to an end."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.released.wait(0.02):
            handler.wfile.write(b"a")

    @contextlib.contextmanager
    def serving(self) -> Iterator[Receiver]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()  # joins the threads of the requests


def answer(*statuses: int, headers: bytes = b"") -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with these statuses in turn, and then with the last one for ever."""
    rest = list(statuses)

    def behave(handler: BaseHTTPRequestHandler) -> None:
        status = rest.pop(0) if len(rest) > 1 else rest[0]
        handler.wfile.write(b"HTTP/1.1 %d Said\r\nContent-Length: 2\r\n%b\r\nok" % (status, headers))

    return behave
