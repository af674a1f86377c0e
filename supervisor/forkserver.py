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
from supervisor.stopping import KILLED_SECONDS

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


_NO_DESCRIPTORS = "the supervisor has no descriptors left (LimitNOFILE=, ulimit -n); it tries again"


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
        self.lost_numbers: set[int] = set()
        """Numbers of children that run, or did, and could not be taken; each is free when the child's end is told."""
        self._words = Relay(self._loop)
        self.died: asyncio.Future[None] = self._loop.create_future()
        self.kinds: dict[str, KindInfo] = {}
        self.failed_kinds: dict[str, str] = {}
        self.own_users = False
        """Whether each child is a user of its own, for the kernel too."""

    @property
    def pid(self) -> int:
        """The process number of the fork server. What we started is the process around it, where there is one."""
        return number_here(self._pidfd) if self._pidfd >= 0 else 0

    async def start(self) -> None:
        """Start the process and wait until it has imported the kinds. Raises ForkServerFailed."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise ForkServerFailed(f"the fork server could not be started: {error}") from error
        ours.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._sock = ours
        try:
            with theirs, self._words.writer() as words:
                self._process = self._exec(theirs, words)
        except OSError as error:
            raise ForkServerFailed(f"the fork server could not be started: {error}") from error
        orphans.started(self._process.pid)
        self._loop.add_reader(ours, self._readable)
        try:
            await self._loop.sock_sendall(ours, wire.encode(self._start_message()))
        except OSError as error:
            raise ForkServerFailed(f"the fork server ended before it was told what to import: {error}") from error
        # Each plug-in has its own bound; this one only catches a fork server that hangs in something of ours.
        bound = 60 + self._settings.plugin_import_seconds * len(self._settings.plugins)
        try:
            booted = await asyncio.wait_for(self._booted, bound)
        except TimeoutError:
            raise ForkServerFailed(f"the fork server must be up within {bound:g} s; it is not") from None
        self.kinds = {kind["name"]: KindInfo(**kind) for kind in booted["kinds"]}
        self.failed_kinds = booted["failed"]
        self.own_users = booted["own_users"]
        for name, problem in self.failed_kinds.items():
            log.error("kind.unavailable", kind=name, problem=problem)

    def _exec(self, theirs: socket.socket, words: int) -> subprocess.Popen[bytes]:
        """Start the process, with a pipe for its standard error. Raises ForkServerFailed."""
        try:
            # Not in a thread of the loop's, which would be its parent: PDEATHSIG.
            return subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOTSTRAP, str(theirs.fileno()), str(os.getpid()), self._import_path()],
                pass_fds=[theirs.fileno()],
                env=sandbox.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=words,
                start_new_session=True,
            )
        except OSError as error:
            raise ForkServerFailed(f"the fork server could not be started: {error}") from error

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
        try:
            return await self._spawn(number, needs_of, prove=prove)
        except OSError as error:
            raise ForkServerFailed(f"a child could not be asked for: {error}") from error

    async def _spawn(self, number: int, needs_of: str | None, *, prove: bool) -> ChildProcess:
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
            try:
                pid = number_here(pidfd)
                self._loop.add_reader(pidfd, self._child_ended, number, pidfd)
            except OSError:
                self.lost_numbers.add(number)
                os.close(pidfd)
                raise
            ours.pop_all()
        return ChildProcess(number, pid, pidfd, job_ours, log_reader, exited, keeper)

    async def _ask_for_child(self, request: dict[str, Any], descriptors: list[int]) -> tuple[int, int]:
        """Return the pidfd of a new child, and the number of its keeper. Raises ForkServerFailed; one that does not answer is killed."""
        assert self._sock is not None  # noqa: S101 - `spawn` has looked
        answer = self._spawning[request["child"]] = self._loop.create_future()
        try:
            socket.send_fds(self._sock, [wire.encode(request)], descriptors)
            return await asyncio.wait_for(answer, _ANSWER_SECONDS)
        except TimeoutError:
            self.kill(f"it must fork within {_ANSWER_SECONDS:g} s; it does not answer")
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
            self.kill(f"it must report a child's end within {_ANSWER_SECONDS:g} s; it does not")

    def kill(self, reason: str) -> None:
        """End a fork server that is not doing its work: all of its children end with it. Whoever owns it may start another."""
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
            # Fewer than were sent where this process has no number left for them (MSG_CTRUNC): each message says how many.
            data, descriptors, _, _ = socket.recv_fds(self._sock, 65536, wire.MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in wire.SHORT_OF_MEMORY:
                return  # it is there still, and is read at the next turn
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
                if self._descriptors:
                    self._pidfd = self._descriptors.popleft()
                    self._booted.set_result(message)
                else:
                    self._booted.set_exception(ForkServerFailed(_NO_DESCRIPTORS))
            case "spawned":
                self._spawned(message)
            case "not_spawned":
                waiting = self._spawning.get(message["child"])
                if waiting is not None and not waiting.done():
                    waiting.set_exception(ForkServerFailed(f"a child could not be forked: {message['reason']}"))
            case "exited":
                self.lost_numbers.discard(message["child"])
                exited = self._running.pop(message["child"], None)
                if exited is not None and not exited.done():
                    exited.set_result(
                        ExitStatus(
                            message["code"], message["signal"], message["cpu_seconds"], message["peak_memory_bytes"]
                        )
                    )

    def _spawned(self, message: dict[str, Any]) -> None:
        """Take a child to whoever asked for it. The closed job socket ends one that nobody takes."""
        # Of those that were sent as many as there was room for, the pidfd first; what came for others was taken by them.
        came = [self._descriptors.popleft() for _ in range(min(message["descriptors"], len(self._descriptors)))]
        waiting = self._spawning.get(message["child"])
        try:
            if waiting is None or waiting.done():
                return
            if len(came) < message["descriptors"]:
                self.lost_numbers.add(message["child"])
                waiting.set_exception(ForkServerFailed(_NO_DESCRIPTORS))
                return
            try:
                keeper = number_here(came[1]) if len(came) > 1 else 0
            except OSError as error:
                self.lost_numbers.add(message["child"])
                waiting.set_exception(ForkServerFailed(f"a child could not be taken: {error}"))
                return
            waiting.set_result((came.pop(0), keeper))
        finally:
            wire.close_all(came)

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
            await asyncio.to_thread(self._process.wait, KILLED_SECONDS)
        except subprocess.TimeoutExpired:
            # Its text is told, and where we noticed is of no use.
            reason = f"it must end within {KILLED_SECONDS:g} s of its supervisor's word"
            log.error("forkserver.killed", reason=reason)  # noqa: TRY400
            self._process.kill()
            # What the kernel holds on to does not even end by that.
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, KILLED_SECONDS)
        orphans.waited_for(self._process.pid)
        if self._pidfd >= 0:
            # The process around it may have been killed first; then it dies a moment later.
            await asyncio.to_thread(_has_ended, self._pidfd, KILLED_SECONDS)
            os.close(self._pidfd)
            self._pidfd = -1
        self._words.read_rest()
        self._words.close()


def _has_ended(pidfd: int, seconds: float) -> bool:
    """Wait for the end of a process. Not by select(2), which takes no descriptor beyond 1,023."""
    ends = select.poll()
    ends.register(pidfd, select.POLLIN)
    return bool(ends.poll(1000 * seconds))
