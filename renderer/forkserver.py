"""The fork server: the process that children are forked from.

Theory of operation. The supervisor starts it with exec before it opens any database connection, so that it never held a
descriptor, an address or a secret of the database, not even in memory that was once in use. It imports every renderer
once, then freezes the heap and forks; it never renders, since several libraries hang in a child forked after a render,
and it never starts a thread.

It holds one socket. The supervisor sends `start` once (plug-ins, limits, import path), and gets `booted` with a pidfd of
this process. Then, each time it wants a child, `spawn` with the child's end of the job socket and of the log pipe; the
answer is `spawned` with a pidfd, made before the child could have been reaped, so that a kill can never hit another process,
or `not_spawned` with the reason. When a child ends, `exited` follows with its status and what it used.

A child is forked without these sockets: it enters its sandbox, then waits on a socket of its own until it is given them. So
one can be forked before its request, and always is one, the spare: what takes milliseconds is over when a child must be replaced.

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
import time
from collections.abc import Mapping, Sequence
from typing import Any

import setproctitle

from renderer import heap, limits, plugins, strays, syscalls, wire
from renderer.forking import Forked, Forker, descriptor, end
from renderer.needs import NONE, Needs
from renderer.registry import Kind
from renderer.sandbox import ForbiddenCalls, SandboxMode, environment, nest, seccomp
from renderer.sandbox.steps import SECOND

_GIVEN = 2
"""Descriptors that come with the request for a child: its job socket and its log pipe."""


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
            _say_booted(sock, kinds, failed, own_users=inside.own_users)
        except ConnectionError:
            return  # the supervisor was told to stop while we imported
        calls = ForbiddenCalls(start["forbidden_calls"])
        for needs in {NONE, *allowed.values()}:
            seccomp.prepare(calls, needs, SECOND)
        ForkServer(sock, Forker(mode, calls, inside, kinds), allowed).serve()


def _say_booted(sock: socket.socket, kinds: Mapping[str, Kind], failed: Mapping[str, str], *, own_users: bool) -> None:
    message = {"type": "booted", "kinds": plugins.describe(kinds), "failed": failed, "own_users": own_users}
    with descriptor(os.pidfd_open(os.getpid())) as pidfd:
        wire.send(sock, message, [pidfd])


class ForkServer:
    """The loop: one socket, and a pidfd per child."""

    def __init__(self, sock: socket.socket, forker: Forker, allowed: Mapping[str, Needs]) -> None:
        self._sock = sock
        self._forker = forker
        self._allowed = allowed
        self._children: dict[int, Forked] = {}  # by pidfd
        self._spare: Forked | None = None
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def serve(self) -> None:
        """Fork on request, report what ends, until the supervisor closes the socket; then end all children."""
        try:
            while True:
                for ready, _ in self._poll.poll():
                    if ready != self._sock.fileno():
                        self._reap(self._children[ready])
                    elif not self._handle_request():
                        return
        except ConnectionError:
            return  # the supervisor is gone: there is nobody to report to
        finally:
            for forked in list(self._children.values()):
                _kill(forked)
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
            self._spawn(request, descriptors)
        except OSError as error:
            # The machine is short of processes, memory or namespaces: that passes, and this process must not.
            self._tell({"type": "not_spawned", "child": request["child"], "reason": str(error)})
        finally:
            wire.close_all(descriptors)
        if self._spare is None:
            with contextlib.suppress(OSError):  # whoever asks for it is told
                self._spare = self._fork()
        return True

    def _spawn(self, request: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        """Make a child, or take the spare, and tell the supervisor. Raises OSError."""
        if len(descriptors) != _GIVEN:
            raise OSError(errno.EMFILE, "the fork server has no descriptors left")
        forked = self._given(request, descriptors)
        try:
            with contextlib.ExitStack() as told:
                pidfds = [forked.pidfd]
                if forked.keeper is not None and request["needs_of"] is not None:
                    # What the child starts and lets go becomes the keeper's: that is where the supervisor looks for it.
                    pidfds.append(told.enter_context(descriptor(os.pidfd_open(forked.keeper))))
                message = {"type": "spawned", "child": forked.number, "descriptors": len(pidfds)}
                wire.send(self._sock, message, pidfds)
        except OSError:
            forked.number = None  # the number is free again: this one's end is nobody's
            _kill(forked)
            raise

    def _tell(self, message: dict[str, Any]) -> None:
        """Send the supervisor a message without descriptors. What the kernel is short of for it, passes: it is tried again."""
        for pause in (0.01, 0.03, 0.1, 0.3, 1.0):
            try:
                wire.send(self._sock, message)
            except OSError as error:
                if error.errno not in wire.SHORT_OF_MEMORY:
                    raise
                time.sleep(pause)
            else:
                return
        raise ConnectionError("the supervisor cannot be told anything")

    def _given(self, request: Mapping[str, Any], descriptors: Sequence[int]) -> Forked:
        """Return a child that has its sockets: the spare, if that will do. Raises OSError."""
        needs_of, prove = request["needs_of"], request["prove"]
        if self._spare is not None and needs_of is None and not prove:
            forked, self._spare = self._spare, None
            try:
                forked.give(request["child"], descriptors)
            except ConnectionError:
                # It died while nobody wanted it. Should it live after all: no two may have the same sockets.
                _kill(forked)
            except OSError:
                self._spare = forked  # the kernel took no descriptors from us: it waits on
                raise
            else:
                return forked
        forked = self._fork(NONE if needs_of is None else self._allowed[needs_of], prove=prove)
        try:
            forked.give(request["child"], descriptors)
        except ConnectionError:
            raise OSError(errno.ECHILD, "the child ended before it was ready") from None
        except OSError:
            _kill(forked)  # nobody would ever ask for it
            raise
        return forked

    def _fork(self, needs: Needs = NONE, *, prove: bool = False) -> Forked:
        forked = self._forker.fork(needs, prove=prove)
        self._children[forked.pidfd] = forked
        self._poll.register(forked.pidfd, select.POLLIN)
        return forked

    def _reap(self, forked: Forked) -> None:
        status, usage = self._end(forked)
        self._poll.unregister(forked.pidfd)
        del self._children[forked.pidfd]
        os.close(forked.pidfd)
        if forked is self._spare:
            self._spare = None
        if forked.number is None:
            return
        self._tell(
            {
                "type": "exited",
                "child": forked.number,
                "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
                "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
                "cpu_seconds": usage.ru_utime + usage.ru_stime,
                "peak_memory_bytes": usage.ru_maxrss * 1024,
            }
        )

    def _end(self, forked: Forked) -> tuple[int, Any]:
        status, usage = end(forked)
        if forked.keeper is None:
            # What left its child's group (setsid) came to us when the child ended.
            strays.kill_all_but({other.pid for other in self._children.values()})
        return status, usage


def _kill(forked: Forked) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(forked.pidfd, signal.SIGKILL)


if __name__ == "__main__":
    main()
