"""A process whose user has as many descriptors under way as the kernel allows, and that has a job for a child all the same.

`python -m tests.crowded_user relieved|stuck` prints what a mailbox told its recipient, and what came through.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import socket
import sys

import pytest

from renderer import syscalls, wire
from supervisor.attempt import Attempt, Limits
from supervisor.mailbox import Mailbox
from supervisor.model import Job, Token

FEW = 60


class Recorder:
    """Notes what a mailbox says."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.anything = asyncio.Event()

    def _note(self, what: str) -> None:
        self.heard.append(what)
        self.anything.set()

    def held_up(self, attempts: list[Attempt]) -> None:
        """Note it."""
        self._note(f"held up {len(attempts)}")

    def under_way(self, attempts: list[Attempt]) -> None:
        """Note it."""
        self._note(f"under way {len(attempts)}")

    def not_sent(self, attempts: list[Attempt]) -> None:
        """Note it."""
        self._note(f"not sent {len(attempts)}")

    def cut_off(self, reason: str) -> None:
        """Note it."""
        self._note(f"cut off {reason}")


def crowd() -> list[socket.socket]:
    """Have more descriptors under way than the kernel allows this process to add to; they are gone with these sockets."""
    near, far = socket.socketpair()
    socket.send_fds(near, [b"x"], [0] * 2 * FEW)
    if os.geteuid() == 0:
        syscalls.unshare(syscalls.CLONE_NEWUSER)  # the machine's root may have any number under way
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW))
    with pytest.raises(OSError, match=f"Errno {errno.ETOOMANYREFS}"):
        socket.send_fds(near, [b"x"], [0])
    return [near, far]


async def deliver(*, relieved: bool) -> None:
    """Send two jobs; the crowd goes after the first refusal, or stays."""
    held = crowd()
    near, far = socket.socketpair()
    near.setblocking(False)  # noqa: FBT003 - the socket's own signature
    recorder = Recorder()
    mailbox = Mailbox(near, recorder)
    limits = Limits(timeout=60, cpu=70, memory=1 << 28, output=1 << 20)
    for name in ("j1", "j2"):
        job = Job(name, Token(1, 1), "svg", "{}", "{}", None, None, None, None)
        mailbox.put(Attempt(job, limits, 0, lambda *_: None))
    mailbox.flush()
    await recorder.anything.wait()
    recorder.anything.clear()
    if relieved:
        for sock in held:
            sock.close()
    await recorder.anything.wait()
    came = []
    if relieved:
        jobs = wire.JobReader(far)
        for _ in range(2):
            received = jobs.next()
            assert received is not None
            came.append([received[0]["id"], received[3] is not None])
    mailbox.close()
    sys.stdout.write(json.dumps({"heard": recorder.heard, "came": came}))


if __name__ == "__main__":
    asyncio.run(deliver(relieved=sys.argv[1] == "relieved"))
