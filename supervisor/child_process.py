"""A process that the fork server forked for us: how to kill it, how to talk to it, when it ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path


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
    """Its number here, for looks into /proc; 0 when it had ended before it could be read."""
    pidfd: int
    job_socket: socket.socket
    log_pipe: int
    exited: asyncio.Future[ExitStatus]
    keeper: int = 0
    """The process that becomes the parent of what the child starts and lets go; 0 where that is not watched."""

    def kill(self) -> None:
        """Send SIGKILL to the process and its group.

        The pidfd cannot mean another process. The group's number could be another's only after the fork server reaped,
        and then the pidfd says so first. Where the child is the first of a process namespace, its end is that of all in
        it, whatever group they are in.
        """
        if self.pidfd < 0:
            return  # closed: its numbers may be another's by now
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            if self.pid:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Have all of its threads stand still until `go_on`; a kill ends it all the same."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it run again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def close(self) -> None:
        """Close our descriptors; the process must have ended."""
        asyncio.get_running_loop().remove_reader(self.pidfd)
        self.job_socket.close()
        os.close(self.log_pipe)
        os.close(self.pidfd)
        self.pidfd = -1


def number_here(pidfd: int) -> int:
    """Return the number that a process has in this process namespace, 0 when it has ended (pidfd_open(2))."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="ascii").splitlines():
        if line.startswith("Pid:"):
            return max(0, int(line.split()[1]))
    return 0
