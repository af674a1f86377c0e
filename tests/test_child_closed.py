"""A child that is closed in the moment in which its end is told: nothing of it touches what is opened next."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess

from supervisor.child import Child
from supervisor.child_process import ChildProcess, ExitStatus
from supervisor.memory import MemoryWatch

WORD = b"for another"


async def close_as_it_ends(process: subprocess.Popen[bytes]) -> None:
    """Close a child before the loop calls who is to be told of its end, and open something under its numbers."""
    near, far = socket.socketpair()
    near.settimeout(0)
    log, said = os.pipe()
    exited: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
    child_process = ChildProcess(1, process.pid, os.pidfd_open(process.pid), near, log, exited)
    child = Child(child_process, MemoryWatch(), lambda _job, _fraction: None)
    process.kill()
    process.wait()
    os.close(said)
    exited.set_result(ExitStatus(None, signal.SIGKILL))
    await child.close()
    pairs = [socket.socketpair() for _ in range(3)]
    assert log in {end.fileno() for pair in pairs for end in pair}
    for one, other in pairs:
        one.send(WORD)
        other.send(WORD)
    await asyncio.sleep(0)
    assert {end.recv(100, socket.MSG_DONTWAIT) for pair in pairs for end in pair} == {WORD}
    for end in (*(end for pair in pairs for end in pair), far):
        end.close()


def test_a_child_that_is_closed_as_its_end_is_told_reads_nothing_more() -> None:
    """Its numbers may be another's by then. With nothing to read there, the loop would stand still for ever."""
    with subprocess.Popen(["sleep", "60"]) as process:
        asyncio.run(close_as_it_ends(process))
