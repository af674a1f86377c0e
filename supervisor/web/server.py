"""The HTTP server: a socket, and uvicorn as a task of the supervisor's loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp

from supervisor.errors import ConfigurationError
from supervisor.settings import Settings
from supervisor.web.crowd import Connection

log = structlog.get_logger()

_BACKLOG = 64
"""Connections that the kernel keeps until they are taken."""
_GOODBYE_SECONDS = 2
"""How long a stop waits for answers that are under way."""


class _Server(uvicorn.Server):
    """Takes no signals, which are the supervisor's, and looks at no clock: uvicorn's own loop wakes ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `serve`."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Wait until it is stopped."""
        await self.on_tick(0)  # makes the headers that every answer has
        await self._stopping.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


class WebServer:
    """Serves one application on the address that the settings give."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._socket: socket.socket | None = None
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port that it listens on, None where it does not."""
        if self._socket is None:
            return None
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def bind(self) -> None:
        """Take the address. Raises ConfigurationError where it was asked for and cannot be had."""
        settings = self._settings
        if not settings.http_port:
            return
        family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
        # The protocol is named: asyncio sets TCP_NODELAY only then, and without it each answer waits 40 ms.
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((settings.http_host, settings.http_port))
        except OSError as error:
            sock.close()
            problem = f"{settings.http_host}:{settings.http_port} cannot be listened on: {error.strerror}"
            if {"http_port", "http_host"} & settings.model_fields_set:
                if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                    raise ConfigurationError(f"HTTP_HOST: must be an address of this machine, {problem}") from None
                raise ConfigurationError(f"HTTP_PORT: {problem}; set another one, or 0 for none") from None
            # Nobody asked for this port: a second supervisor on one machine renders without it.
            log.warning("http.off", problem=problem, advice="set HTTP_PORT, to 0 for none")
            return
        self._socket = sock

    def start(self, app: ASGIApp) -> None:
        """Serve, once `bind` has taken an address."""
        if self._socket is None:
            return
        # Here, not in the task: who reads READY may connect.
        self._socket.listen(_BACKLOG)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            date_header=False,
            # As often as this asyncio tries to accept where it has no file left for a connection.
            backlog=_BACKLOG,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_GOODBYE_SECONDS,
            h11_max_incomplete_event_size=16384,
            http=Connection,
            ws="none",
            loop="none",
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="http")
        host, port = self.address or ("", 0)
        log.info("http.listening", host=host, port=port)

    async def stop(self) -> None:
        """End it; answers under way get a moment."""
        if self._server is not None and self._task is not None:
            self._server.stop()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
