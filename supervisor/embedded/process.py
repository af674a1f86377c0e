"""Starting, waiting for and killing the processes of a server."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from supervisor.embedded import become
from supervisor.embedded.account import Account

Process = subprocess.Popen[bytes]

KILL_SECONDS = 10.0


def spawn(
    command: Sequence[str | Path], account: Account | None, log: Path, keep: Sequence[int], passwd: Path | None = None
) -> Process:
    """Start a command that ends with us, as `account`, with its output appended to `log` and `keep` inherited.

    `passwd` is what it sees in the place of /etc/passwd, where it may.
    """
    uid, gid = (account.uid, account.gid) if account else (-1, -1)
    with log.open("ab") as output:
        return subprocess.Popen(
            # Isolated and without site: nothing of the caller's environment runs before the server's identity is taken.
            [
                sys.executable,
                "-I",
                "-S",
                become.__file__,
                str(os.getpid()),
                str(uid),
                str(gid),
                str(passwd or ""),
                *command,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            # Nothing inherited: PGDATA, PGPORT and their kin would change the server, LC_* the messages we read.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            pass_fds=keep,
        )


def ended(process: Process, seconds: float) -> bool:
    """Wait for the end of a process on its descriptor; Popen.wait with a timeout would sleep and look."""
    if process.poll() is not None:
        return True
    pidfd = os.pidfd_open(process.pid)
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        poller.poll(seconds * 1000)
    finally:
        os.close(pidfd)
    return process.poll() is not None


def kill_tree(process: Process) -> None:
    """Kill a process and all its descendants, and wait for them. Each leads a session of its own: no group has them all."""
    with contextlib.suppress(psutil.NoSuchProcess):
        descendants = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        _kill(descendants)
    # Not for ever: what the kernel holds on to does not even end by that.
    ended(process, KILL_SECONDS)


def kill_orphans(data: Path, uid: int) -> None:
    """Kill what a killed server left running: processes of its user. They are nobody's children, but work in its data directory."""
    orphans = []
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if each.uids().real == uid and Path(each.cwd()) == data:
                orphans.append(each)
    _kill(orphans)


def _kill(processes: list[psutil.Process]) -> None:
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(processes, timeout=KILL_SECONDS)
