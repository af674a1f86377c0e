"""Run as a script: takes the server's identity, ties its life to ours, and becomes the server.

    become.py PARENT UID GID PASSWD PROGRAM [ARGUMENT ...]        (UID -1: stay who you are; PASSWD "": the machine's users)

A script between fork and exec rather than a preexec_fn: that one runs Python in the fork of a process that may have
threads, where a lock held at the fork is held for ever.

The kernel's parent-death signal has three traps. A change of credentials clears it, so it is set after them. A parent that
died before it was set sends nothing, so we look for the parent once it is set. And it is tied to the *thread* that
started us: whoever starts a server from a thread must keep the thread.

initdb asks for the name of the user that it runs as, and ends where there is none. A server's own user has none on this machine.
So initdb sees a list of users of its own, PASSWD, in the place of /etc/passwd: in a mount namespace that ends with it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # sys/prctl.h
CLONE_NEWNS = 0x00020000  # sched.h
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18  # sys/mount.h


def show_users(libc: ctypes.CDLL, passwd: str) -> None:
    """Put a file in the place of /etc/passwd, for this process; where that is not allowed nothing is changed."""
    if libc.unshare(CLONE_NEWNS) == 0 and libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0:
        libc.mount(passwd.encode(), b"/etc/passwd", None, MS_BIND, None)


def become(parent: int, uid: int, gid: int, passwd: str, program: str, arguments: list[str]) -> None:
    """Exec `program`; return only where the parent is gone already."""
    os.setsid()
    libc = ctypes.CDLL(None, use_errno=True)
    if passwd:
        show_users(libc, passwd)
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
    become(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5], sys.argv[6:])
