"""Runs of the command in processes that have imported it already: forks of one that did so once.

Python's start and the imports are a second of processor time, and most of what a run of the command takes. So each of the
tests' workers keeps one process that imports the command and then only waits: asked for a run, it forks, and the fork has
the environment, the directory and the three streams that were asked for and calls what the installed script calls. No
fork ever ran anything before. The process has no thread, no connection and no setting of its own.

The fork's parent must be the test, which waits for it and looks through its own children for what was left behind: the
process in between ends, and what it forked goes to the next subreaper, which the worker is (tests/plugins/leaks.py).
Where there is none, as outside of pytest, the installed script is started instead; so it is where the environment changes
how Python itself starts. A fork has the namespaces and limits of the prepared process, not those of the thread that asks. What the script and the launcher do before anything is imported has tests of its own, with the
real one: tests/test_launcher.py, tests/service/test_first_process.py, tests/systemd, tests/chaos, the benchmarks.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

CHECKOUT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).parent / "jobsupervisor"
MOST = 1 << 18
"""Bytes of a request: arguments and environment."""
PATIENCE = 60.0

_PROGRAM = "from tests.prepared import serve; serve()"
_READ_AT_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ")
"""How the names of variables begin that Python and its libraries look at before the command does."""
_AS_PREPARED = {"PYTHONPATH": str(CHECKOUT)}


class Running(Protocol):
    """What a test needs of a process that it started: a part of Popen."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code once there is one."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit code. Raises subprocess.TimeoutExpired."""

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless the process was waited for."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def kill(self) -> None:
        """Send SIGKILL."""


class Fork:
    """A run of the command; a child of this process that something else forked."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code once there is one."""
        if self._code is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit code. Raises subprocess.TimeoutExpired."""
        if (code := self.poll()) is not None:
            return code
        pidfd = os.pidfd_open(self.pid)
        try:
            if not select.select([pidfd], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(COMMAND), timeout or 0)
        finally:
            os.close(pidfd)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless the process was waited for."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Prepared:
    """The process that has imported the command. It is started when it is first asked for a run."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None

    @property
    def running(self) -> bool:
        """Whether it was started."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process is not None
        return self._process.pid

    @property
    def descriptor(self) -> int:
        """Our end of the socket that it is asked by."""
        assert self._sock is not None
        return self._sock.fileno()

    def start(
        self, arguments: Sequence[str | Path], environment: Mapping[str, str], directory: Path, streams: Sequence[int]
    ) -> Fork:
        """Fork a run of the command."""
        if self._sock is None:
            self._start()
        assert self._sock is not None
        request = {"arguments": [str(word) for word in arguments], "environment": dict(environment)}
        socket.send_fds(self._sock, [json.dumps(request | {"directory": str(directory)}).encode()], list(streams))
        answer = self._sock.recv(64)
        assert answer, "the prepared process has ended"
        return Fork(int(answer))

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            ours.setsockopt(socket.SOL_SOCKET, option, MOST)
        with theirs:
            # A run's environment tells Python no more than this one does about how to start.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno())],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
            )
        self._sock = ours

    def stop(self) -> None:
        """End it."""
        if self._sock is not None and self._process is not None:
            self._sock.close()
            self._process.wait(PATIENCE)
            self._sock = self._process = None


prepared: Prepared | None = None
"""The worker's, where this process is one; see tests/plugins/leaks.py."""


def start(
    arguments: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    directory: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Running:
    """Run `jobsupervisor` with nothing else in its environment. The streams are descriptors, or None for ours."""
    at_the_start = {name: text for name, text in environment.items() if name.startswith(_READ_AT_THE_START)}
    if prepared is None or not at_the_start.items() <= _AS_PREPARED.items():
        return subprocess.Popen(
            [COMMAND, *arguments], env=environment, cwd=directory, stdin=stdin, stdout=stdout, stderr=stderr
        )
    with Path(os.devnull).open("rb") as nothing:
        first = nothing.fileno() if stdin == subprocess.DEVNULL else stdin
        streams = [first, 1 if stdout is None else stdout, 2 if stderr is None else stderr]
        return prepared.start(arguments, environment, directory or Path.cwd(), streams)


def serve() -> None:
    """Fork for each request, until nobody can make one any more; what is forked runs the command and exits."""
    from supervisor.launcher import main

    # The launcher imports it only once it has looked whose it is, which each run does for itself.
    importlib.import_module("supervisor.cli")
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        while True:
            message, descriptors, _, _ = socket.recv_fds(sock, MOST, 3)
            if not message:
                return
            if (pid := _fork()) == 0:
                break
            sock.send(str(pid).encode())
            for descriptor in descriptors:
                os.close(descriptor)
    _become(json.loads(message), descriptors)
    sys.exit(main())


def _fork() -> int:
    """Return the number of a process that is nobody's child once this returns, and in that process 0."""
    reader, writer = os.pipe()
    between = os.fork()
    if between == 0:
        if pid := os.fork():
            os.write(writer, str(pid).encode())
            os._exit(0)
        os.close(reader)
        os.close(writer)
        return 0
    os.close(writer)
    with os.fdopen(reader) as told:
        os.waitpid(between, 0)
        return int(told.read(16))


def _become(request: dict[str, Any], streams: Sequence[int]) -> None:
    """Make this process what the installed script would be."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["directory"])
    # Python itself sets this one, where the environment names no locale.
    coerced = {name: text for name, text in os.environ.items() if name == "LC_CTYPE"}
    os.environ.clear()
    os.environ.update(request["environment"] | coerced)
    sys.argv = [str(COMMAND), *request["arguments"]]
    sys.path.insert(0, str(COMMAND.parent))
