"""The supervisor's end of the fork server: starts it, asks it for children, hears of their ends.

See renderer/forkserver.py for the theory of operation. Here, one rule matters: `start` runs before any database
connection is opened, and a restart inherits nothing either, since descriptors are close-on-exec and the environment is
a short list of our own.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from renderer import sandbox, wire
from renderer.limits import SpecLimits
from supervisor.errors import ExpectedError
from supervisor.settings import Settings

log = structlog.get_logger()

_PACKAGE = Path(wire.__file__).resolve().parent
# The fork server runs the renderer that this process imported, whatever else its import path holds under that name; and
# with -P and no PYTHONPATH nothing of the working directory is importable there, unless plug-ins are asked for.
_BOOTSTRAP = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location(
    "renderer", {str(_PACKAGE / "__init__.py")!r}, submodule_search_locations=[{str(_PACKAGE)!r}])
sys.modules["renderer"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["renderer"])
from renderer.forkserver import main
main()
"""


class ForkServerFailed(ExpectedError):  # noqa: N818 - reads as the state it is
    """The fork server did not come up; nothing can be rendered."""


@dataclass(frozen=True, slots=True)
class KindInfo:
    """What the supervisor knows of a kind that its fork server can render."""

    name: str
    writes_output: bool
    reusable: bool
    spec_schema: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a child's process ended; `code` and `signal` are None when the fork server died before it could say."""

    code: int | None = None
    signal: int | None = None
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None

    @property
    def known(self) -> bool:
        """Whether anybody saw the end."""
        return self.code is not None or self.signal is not None


@dataclass(slots=True)
class ChildProcess:
    """A process that was forked for us: how to kill it, how to talk to it, when it ended."""

    number: int
    pid: int
    pidfd: int
    job_socket: socket.socket
    log_pipe: int
    exited: asyncio.Future[ExitStatus]

    def kill(self) -> None:
        """Send SIGKILL to the process and its group.

        The pidfd cannot mean another process. The group's number could be another's only after the fork server reaped,
        and then the pidfd says so first.
        """
        if self.pidfd < 0:
            return  # closed: its numbers may be another's by now
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Close our descriptors; the process must have ended."""
        self.job_socket.close()
        os.close(self.log_pipe)
        os.close(self.pidfd)
        self.pidfd = -1


class ForkServer:
    """One fork server process. `died` is done when it is gone, for whatever reason."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._reader = wire.FrameReader(wire.MAX_BOOT_FRAME)
        self._descriptors: collections.deque[int] = collections.deque()
        self._booted: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._spawning: dict[int, asyncio.Future[tuple[int, int]]] = {}
        self._running: dict[int, asyncio.Future[ExitStatus]] = {}
        self.died: asyncio.Future[None] = self._loop.create_future()
        self.kinds: dict[str, KindInfo] = {}
        self.failed_kinds: dict[str, str] = {}

    @property
    def pid(self) -> int:
        """The process number of the fork server."""
        if self._process is None:
            raise RuntimeError("the fork server is not started")
        return self._process.pid

    async def start(self) -> None:
        """Start the process and wait until it has imported the kinds. Raises ForkServerFailed."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._sock = ours
        with theirs:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - a thread of the loop's must not be its parent: PDEATHSIG
                [sys.executable, "-P", "-c", _BOOTSTRAP, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                env=sandbox.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._loop.add_reader(ours, self._readable)
        await self._loop.sock_sendall(ours, wire.encode(self._start_message()))
        # Each plug-in has its own bound; this one only catches a fork server that hangs in something of ours.
        bound = 60 + self._settings.plugin_import_seconds * len(self._settings.plugins)
        try:
            booted = await asyncio.wait_for(self._booted, bound)
        except TimeoutError:
            raise ForkServerFailed(f"the fork server must be up within {bound:g} s; it is not") from None
        self.kinds = {kind["name"]: KindInfo(**kind) for kind in booted["kinds"]}
        self.failed_kinds = booted["failed"]
        for name, problem in self.failed_kinds.items():
            log.error("kind.unavailable", kind=name, problem=problem)

    def _start_message(self) -> dict[str, Any]:
        settings = self._settings
        # Plug-ins are looked for where this process would find them, and last in the working directory.
        path = [entry for entry in sys.path if entry]
        return {
            "path": [*path, str(Path.cwd())] if settings.plugins else path,
            "plugins": settings.plugins,
            "import_seconds": settings.plugin_import_seconds,
            "sandbox": settings.sandbox,
            "spec_limits": {
                name: getattr(self.spec_limits, name) for name in ("scene_objects", "scene_seconds", "frame_pixels")
            },
        }

    @property
    def spec_limits(self) -> SpecLimits:
        """What a spec may ask for, as the operator has set it."""
        return SpecLimits(
            scene_objects=self._settings.max_scene_objects,
            scene_seconds=self._settings.max_scene_duration_seconds,
            frame_pixels=self._settings.max_video_pixels,
        )

    async def spawn(self, number: int) -> ChildProcess:
        """Have a child forked. Raises ForkServerFailed when the fork server is gone."""
        if self._sock is None or self.died.done():
            raise ForkServerFailed("the fork server has ended")
        job_ours, job_theirs = socket.socketpair()
        log_reader, log_writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(log_reader, False)
        job_ours.setblocking(False)  # noqa: FBT003 - the socket's own signature
        answer = self._spawning[number] = self._loop.create_future()
        exited = self._running[number] = self._loop.create_future()
        try:
            socket.send_fds(self._sock, [wire.encode({"child": number})], [job_theirs.fileno(), log_writer])
            pid, pidfd = await answer
        except BaseException as error:
            job_ours.close()
            os.close(log_reader)
            self._running.pop(number, None)
            if isinstance(error, OSError):
                raise ForkServerFailed(f"the fork server does not answer: {error}") from error
            raise
        finally:
            self._spawning.pop(number, None)
            job_theirs.close()
            os.close(log_writer)
        return ChildProcess(number, pid, pidfd, job_ours, log_reader, exited)

    def _readable(self) -> None:
        if self._sock is None:
            return
        try:
            data, descriptors, _, _ = socket.recv_fds(self._sock, 65536, wire.MAX_DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        self._descriptors.extend(descriptors)
        if not data:
            self._lost()
            return
        for message in self._reader.feed(data):
            self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "booted":
                self._booted.set_result(message)
            case "spawned":
                pidfd = self._descriptors.popleft()
                waiting = self._spawning.get(message["child"])
                if waiting is None or waiting.done():
                    os.close(pidfd)  # whoever asked was cancelled; the closed socket ends the child
                else:
                    waiting.set_result((message["pid"], pidfd))
            case "exited":
                exited = self._running.pop(message["child"], None)
                if exited is not None and not exited.done():
                    exited.set_result(
                        ExitStatus(
                            message["code"], message["signal"], message["cpu_seconds"], message["peak_memory_bytes"]
                        )
                    )

    def _lost(self) -> None:
        """Take note that the socket is closed: the process is gone or going, and its children with it."""
        if self._sock is None:
            return
        self._loop.remove_reader(self._sock)
        self._sock.close()
        self._sock = None
        failure = ForkServerFailed("the fork server ended; its messages stand above")
        unanswered: list[asyncio.Future[Any]] = [self._booted, *self._spawning.values()]
        for waiting in unanswered:
            if not waiting.done():
                waiting.set_exception(failure)
                waiting.exception()  # seen, also where nobody waits any more
        for exited in self._running.values():
            if not exited.done():
                exited.set_result(ExitStatus())
        self._running.clear()
        while self._descriptors:
            os.close(self._descriptors.popleft())
        if not self.died.done():
            self.died.set_result(None)

    async def stop(self) -> None:
        """End the fork server and so all of its children; wait until it is reaped."""
        self._lost()
        if self._process is None:
            return
        # Closing the socket has told it to end its children and go; it is not waited for longer than a moment.
        try:
            await asyncio.to_thread(self._process.wait, 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
