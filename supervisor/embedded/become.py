"""Run as a script: takes the server's identity, ties its life to ours, and becomes the server.

    become.py PARENT UID GID PROGRAM [ARGUMENT ...]        (UID -1: stay who you are)

A script between fork and exec rather than a preexec_fn: that one runs Python in the fork of a process that may have
threads, where a lock held at the fork is held for ever.

The kernel's parent-death signal has three traps. A change of credentials clears it, so it is set after them. A parent that
died before it was set sends nothing, so we look for the parent once it is set. And it is tied to the *thread* that
started us: whoever starts a server from a thread must keep the thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(parent: int, uid: int, gid: int, program: str, arguments: list[str]) -> None:
    """Exec `program`; return only where the parent is gone already."""
    os.setsid()
    libc = ctypes.CDLL(None, use_errno=True)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # SIGINT is what the server understands as a fast shutdown: clients are cut off, and nothing is left behind.
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"prctl(PR_SET_PDEATHSIG): {os.strerror(errno)}")
    if os.getppid() == parent:
        os.execv(program, [program, *arguments])  # noqa: S606 - becoming it is the point; there is no shell


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5:])
