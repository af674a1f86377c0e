"""The supervisor's end of the fork server: starts it, asks it for children, hears of their ends.

See renderer/forkserver.py for the theory of operation. Here, one rule matters: `start` runs before any database
connection is opened, and a restart inherits nothing either, since descriptors are close-on-exec and the environment is
a short list of our own.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from renderer import sandbox, wire
from renderer.limits import SpecLimits
from supervisor import orphans
from supervisor.child_process import ChildProcess, ExitStatus, number_here
from supervisor.errors import ExpectedError
from supervisor.relay import Relay
from supervisor.settings import Settings

log = structlog.get_logger()

_PACKAGE = Path(wire.__file__).resolve().parent
# The fork server runs the renderer that this process imported, whatever else its import path holds under that name; and
# with -P and no PYTHONPATH nothing of the working directory is importable there, unless plug-ins are asked for.
_BOOTSTRAP = f"""
import importlib.util, json, sys
# What it needs may be installed where only this process's import path leads; its own entries go first.
sys.path += [entry for entry in json.loads(sys.argv[3]) if entry not in sys.path]
spec = importlib.util.spec_from_file_location(
    "renderer", {str(_PACKAGE / "__init__.py")!r}, submodule_search_locations=[{str(_PACKAGE)!r}])
sys.modules["renderer"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["renderer"])
from renderer.forkserver import main
main()
"""


_ANSWER_SECONDS = 10.0
"""How long the fork server may take to fork, or to report an end. It takes milliseconds; on a machine that swaps, more."""


class ForkServerFailed(ExpectedError):  # noqa: N818 - reads as the state it is
    """The fork server did not come up; nothing can be rendered."""


@dataclass(frozen=True, slots=True)
class KindInfo:
    """What the supervisor knows of a kind that its fork server can render."""

    name: str
    writes_output: bool
    reusable: bool
    spec_schema: dict[str, Any] | None


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
        self._pidfd = -1
        self._words = Relay(self._loop)
        self.died: asyncio.Future[None] = self._loop.create_future()
        self.kinds: dict[str, KindInfo] = {}
        self.failed_kinds: dict[str, str] = {}

    @property
    def pid(self) -> int:
        """The process number of the fork server. What we started is the process around it, where there is one."""
        return number_here(self._pidfd) if self._pidfd >= 0 else 0

    async def start(self) -> None:
        """Start the process and wait until it has imported the kinds. Raises ForkServerFailed."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._sock = ours
        with theirs, self._words.writer() as words:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - a thread of the loop's must not be its parent: PDEATHSIG
                [sys.executable, "-P", "-c", _BOOTSTRAP, str(theirs.fileno()), str(os.getpid()), self._import_path()],
                pass_fds=[theirs.fileno()],
                env=sandbox.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=words,
                start_new_session=True,
            )
        orphans.started(self._process.pid)
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
        return {
            "plugins": settings.plugins,
            "import_seconds": settings.plugin_import_seconds,
            "allowed": {kind: asdict(needs) for kind, needs in settings.allowed_needs.items()},
            "sandbox": settings.sandbox,
            "forbidden_calls": settings.forbidden_calls,
            "spec_limits": {
                name: getattr(self.spec_limits, name) for name in ("scene_objects", "scene_seconds", "frame_pixels")
            },
        }

    def _import_path(self) -> str:
        """Return where plug-ins are looked for, as JSON: where this process would find them, then the working directory."""
        path = [entry for entry in sys.path if entry]
        return json.dumps([*path, str(Path.cwd())] if self._settings.plugins else path)

    @property
    def spec_limits(self) -> SpecLimits:
        """What a spec may ask for, as the operator has set it."""
        return SpecLimits(
            scene_objects=self._settings.max_scene_objects,
            scene_seconds=self._settings.max_scene_duration_seconds,
            frame_pixels=self._settings.max_video_pixels,
        )

    async def spawn(self, number: int, needs_of: str | None = None, *, prove: bool = False) -> ChildProcess:
        """Have a child forked, with what the operator allowed to the kind `needs_of`; `prove` has it try its sandbox.

        Raises ForkServerFailed when it could not be, or the fork server is gone.
        """
        if self._sock is None or self.died.done():
            raise ForkServerFailed("the fork server has ended")
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            job_ours, job_theirs = socket.socketpair()
            ours.callback(job_ours.close)
            theirs.callback(job_theirs.close)
            log_reader, log_writer = os.pipe2(os.O_CLOEXEC)
            ours.callback(os.close, log_reader)
            theirs.callback(os.close, log_writer)
            os.set_blocking(log_reader, False)
            job_ours.setblocking(False)  # noqa: FBT003 - the socket's own signature
            exited = self._running[number] = self._loop.create_future()
            ours.callback(self._running.pop, number, None)
            request = {"child": number, "needs_of": needs_of, "prove": prove}
            pidfd, keeper = await self._ask_for_child(request, [job_theirs.fileno(), log_writer])
            ours.pop_all()
        self._loop.add_reader(pidfd, self._child_ended, number, pidfd)
        return ChildProcess(number, number_here(pidfd), pidfd, job_ours, log_reader, exited, keeper)

    async def _ask_for_child(self, request: dict[str, Any], descriptors: list[int]) -> tuple[int, int]:
        """Return the pidfd of a new child, and the number of its keeper. Raises ForkServerFailed; one that does not answer is killed."""
        assert self._sock is not None  # noqa: S101 - `spawn` has looked
        answer = self._spawning[request["child"]] = self._loop.create_future()
        try:
            socket.send_fds(self._sock, [wire.encode(request)], descriptors)
            return await asyncio.wait_for(answer, _ANSWER_SECONDS)
        except TimeoutError:
            self._kill(f"it must fork within {_ANSWER_SECONDS:g} s; it does not answer")
            raise ForkServerFailed("the fork server did not answer") from None
        except OSError as error:
            raise ForkServerFailed(f"the fork server does not answer: {error}") from error
        finally:
            self._spawning.pop(request["child"], None)

    def _child_ended(self, number: int, pidfd: int) -> None:
        """See that a child has ended; how is the fork server's to say, and soon."""
        self._loop.remove_reader(pidfd)
        if (exited := self._running.get(number)) is not None:
            self._loop.call_later(_ANSWER_SECONDS, self._unreported, exited)

    def _unreported(self, exited: asyncio.Future[ExitStatus]) -> None:
        # Asked of this end, not of the number: that may be a successor's by now.
        if not exited.done():
            self._kill(f"it must report a child's end within {_ANSWER_SECONDS:g} s; it does not")

    def _kill(self, reason: str) -> None:
        """End a fork server that is not doing its work: all of its children end with it, and a new one is started."""
        log.error("forkserver.killed", reason=reason)
        if self._pidfd >= 0:
            # The process around it reaps it and ends.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        elif self._process is not None:
            self._process.kill()
        self._lost()

    def _readable(self) -> None:
        if self._sock is None:
            return
        try:
            data, descriptors, _, _ = socket.recv_fds(self._sock, 65536, wire.MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
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
                self._pidfd = self._descriptors.popleft()
                self._booted.set_result(message)
            case "spawned":
                pidfd, *others = [self._descriptors.popleft() for _ in range(message["descriptors"])]
                keeper = number_here(others[0]) if others else 0
                waiting = self._spawning.get(message["child"])
                if waiting is not None and not waiting.done():
                    waiting.set_result((pidfd, keeper))
                else:
                    others.append(pidfd)  # whoever asked was cancelled; the closed socket ends the child
                for descriptor in others:
                    os.close(descriptor)
            case "not_spawned":
                waiting = self._spawning.get(message["child"])
                if waiting is not None and not waiting.done():
                    waiting.set_exception(ForkServerFailed(f"a child could not be forked: {message['reason']}"))
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
        self._words.read_rest()
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
        """End the fork server and so all of its children; wait until they are gone."""
        self._lost()
        if self._process is None:
            self._words.close()
            return
        # Closing the socket has told it to end its children and go; it is not waited for longer than a moment.
        try:
            await asyncio.to_thread(self._process.wait, 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        orphans.waited_for(self._process.pid)
        if self._pidfd >= 0:
            # The process around it may have been killed first; then it dies a moment later.
            await asyncio.to_thread(select.select, [self._pidfd], [], [], 5)
            os.close(self._pidfd)
            self._pidfd = -1
        self._words.read_rest()
        self._words.close()
