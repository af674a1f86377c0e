"""The fork server: the process that children are forked from.

Theory of operation. The supervisor starts it with exec before it opens any database connection, so that it never held a
descriptor, an address or a secret of the database, not even in memory that was once in use. It imports every renderer
once, then freezes the heap and forks; it never renders, since several libraries hang in a child forked after a render,
and it never starts a thread.

It holds one socket. The supervisor sends `start` once (plug-ins, limits, import path), and gets `booted` with a pidfd of
this process. Then, each time it wants a child, `spawn` with the child's end of the job socket and of the log pipe; the
answer is `spawned` with a pidfd, made before the child could have been reaped, so that a kill can never hit another process,
or `not_spawned` with the reason. When a child ends, `exited` follows with its status and what it used.

It lives in namespaces of its own where it can (renderer.sandbox). When the supervisor dies the socket closes and the kernel
sends SIGKILL (PR_SET_PDEATHSIG); when the fork server dies, the same happens to its children. What a child forked dies with
the child's process namespace; where there is none it becomes the fork server's own (a subreaper, prctl(2)) and is killed
here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import setproctitle

from renderer import child, heap, limits, plugins, strays, syscalls, wire
from renderer.needs import NONE, Needs
from renderer.registry import Kind
from renderer.sandbox import ForbiddenCalls, SandboxMode, environment, nest, seccomp, steps
from renderer.sandbox.nest import Nest
from renderer.sandbox.steps import SECOND, Birth

_GIVEN = 2
"""Descriptors that come with the request for a child: its job socket and its log pipe."""


@dataclass(frozen=True, slots=True)
class _Forked:
    """A child that runs: its number, its process, and the pidfd that becomes readable when it ends.

    `keeper` is the first process of the child's namespace, if it has one: it only waits, and all of the namespace ends with
    it. The child itself is the second: the first would not be ended by signals of its own (pid_namespaces(7)), and a job
    that aborts would end some other way than it does elsewhere.
    """

    number: int
    pid: int
    pidfd: int
    keeper: int | None


def main() -> None:
    """Be the fork server; the arguments of the process are its socket and its parent's number."""
    control, parent = int(sys.argv[1]), int(sys.argv[2])
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    setproctitle.setproctitle("jobsupervisor: fork server")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the supervisor, which drains
    with socket.socket(fileno=control) as sock:
        sock.set_inheritable(False)
        received = wire.receive(sock, wire.MAX_JOB_FRAME)
        if received is None:
            return
        start, _ = received
        limits.configure(limits.SpecLimits(**start["spec_limits"]))
        allowed = {kind: Needs(**needs | {"read": tuple(needs["read"])}) for kind, needs in start["allowed"].items()}
        kinds, failed = plugins.load_all(start["plugins"], start["import_seconds"], allowed)
        os.environ.clear()
        os.environ.update(environment())  # should a plug-in's import have set anything
        heap.settle()
        mode = SandboxMode(start["sandbox"])
        inside = nest.enter(mode, sock, allowed.values())
        try:
            _say_booted(sock, kinds, failed)
        except ConnectionError:
            return  # the supervisor was told to stop while we imported
        calls = ForbiddenCalls(start["forbidden_calls"])
        for needs in {NONE, *allowed.values()}:
            seccomp.prepare(calls, needs, SECOND)
        ForkServer(sock, mode, calls, inside, kinds, allowed).serve()


def _end_namespace(keeper: int) -> None:
    """End a process namespace: when its first process is reaped, nothing that was in it is left."""
    os.kill(keeper, signal.SIGKILL)  # ours, and not reaped yet: the number cannot be another's
    os.waitpid(keeper, 0)


@contextlib.contextmanager
def _descriptor(number: int) -> Iterator[int]:
    """Yield a descriptor and close it."""
    try:
        yield number
    finally:
        os.close(number)


def _say_booted(sock: socket.socket, kinds: Mapping[str, Kind], failed: Mapping[str, str]) -> None:
    with _descriptor(os.pidfd_open(os.getpid())) as pidfd:
        wire.send(sock, {"type": "booted", "kinds": plugins.describe(kinds), "failed": failed}, [pidfd])


class ForkServer:
    """The loop: one socket, and a pidfd per child."""

    def __init__(
        self,
        sock: socket.socket,
        mode: SandboxMode,
        forbidden_calls: ForbiddenCalls,
        inside: Nest,
        kinds: Mapping[str, Kind],
        allowed: Mapping[str, Needs],
    ) -> None:
        self._sock = sock
        self._mode = mode
        self._forbidden_calls = forbidden_calls
        self._nest = inside
        self._kinds = kinds
        self._allowed = allowed
        self._signals = steps.handled_signals()
        self._children: dict[int, _Forked] = {}  # by pidfd
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def serve(self) -> None:
        """Fork on request, report what ends, until the supervisor closes the socket; then end all children."""
        try:
            while True:
                for descriptor, _ in self._poll.poll():
                    if descriptor != self._sock.fileno():
                        self._reap(self._children[descriptor])
                    elif not self._handle_request():
                        return
        except ConnectionError:
            return  # the supervisor is gone: there is nobody to report to
        finally:
            for forked in list(self._children.values()):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(forked.pidfd, signal.SIGKILL)
                self._end(forked)

    def _handle_request(self) -> bool:
        try:
            received = wire.receive(self._sock, wire.MAX_JOB_FRAME)
        except (wire.WireError, ConnectionError):
            return False  # the supervisor died in mid-frame
        if received is None:
            return False
        request, descriptors = received
        try:
            forked = self._fork(request, *descriptors)
        except OSError as error:
            # The machine is short of processes, memory or namespaces: that passes, and this process must not.
            wire.send(self._sock, {"type": "not_spawned", "child": request["child"], "reason": str(error)})
            return True
        finally:
            wire.close_all(descriptors)
        self._children[forked.pidfd] = forked
        self._poll.register(forked.pidfd, select.POLLIN)
        with contextlib.ExitStack() as told:
            descriptors = [forked.pidfd]
            if forked.keeper is not None and request["needs_of"] is not None:
                # What the child starts and lets go becomes the keeper's: that is where the supervisor looks for it.
                descriptors.append(told.enter_context(_descriptor(os.pidfd_open(forked.keeper))))
            message = {"type": "spawned", "child": forked.number, "descriptors": len(descriptors)}
            wire.send(self._sock, message, descriptors)
        return True

    def _fork(self, request: Mapping[str, Any], *descriptors: int) -> _Forked:
        if len(descriptors) != _GIVEN:
            raise OSError(errno.EMFILE, "the fork server has no descriptors left")
        job_socket, log_pipe = descriptors
        birth = Birth(
            os.getpid(),
            request["child"],
            job_socket,
            log_pipe,
            self._mode,
            self._nest,
            NONE if request["needs_of"] is None else self._allowed[request["needs_of"]],
            self._forbidden_calls,
            self._signals,
            request["prove"],
        )
        if not self._nest.entered:
            return self._fork_here(birth)
        keeper = syscalls.clone_waiting(syscalls.CLONE_NEWPID)
        try:
            with _descriptor(os.pidfd_open(keeper)) as namespace:
                syscalls.enter_namespace(namespace, syscalls.CLONE_NEWPID)
            try:
                return self._fork_here(birth, keeper)
            finally:
                # The next one must not land in this namespace.
                syscalls.enter_namespace(self._nest.processes, syscalls.CLONE_NEWPID)
        except OSError:
            _end_namespace(keeper)
            raise

    def _fork_here(self, birth: Birth, keeper: int | None = None) -> _Forked:
        pid = os.fork()
        if pid == 0:
            child.main(birth, self._kinds)
        try:
            return _Forked(birth.number, pid, os.pidfd_open(pid), keeper)
        except OSError:
            os.kill(pid, signal.SIGKILL)  # it is not reaped yet: the number is its own
            os.waitpid(pid, 0)
            raise

    def _reap(self, forked: _Forked) -> None:
        status, usage = self._end(forked)
        self._poll.unregister(forked.pidfd)
        del self._children[forked.pidfd]
        os.close(forked.pidfd)
        wire.send(
            self._sock,
            {
                "type": "exited",
                "child": forked.number,
                "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
                "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
                "cpu_seconds": usage.ru_utime + usage.ru_stime,
                "peak_memory_bytes": usage.ru_maxrss * 1024,
            },
        )

    def _end(self, forked: _Forked) -> tuple[int, Any]:
        """Kill what is left of a child's group, then reap it.

        In this order: a process that is not reaped keeps its number, so the group's number cannot be another's.
        """
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(forked.pid, signal.SIGKILL)
        _, status, usage = os.wait4(forked.pid, 0)
        if forked.keeper is not None:
            _end_namespace(forked.keeper)
        else:
            # What left its child's group (setsid) came to us when the child ended.
            strays.kill_all_but({other.pid for other in self._children.values()})
        return status, usage


if __name__ == "__main__":
    main()
