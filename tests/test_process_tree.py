"""Who dies with whom: what a job forked with its child, children with the fork server, all of them with its owner."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from tests.pools import OneChild, render, with_pool

CHECKOUT = Path(__file__).parents[1]
PATIENCE = 60.0


def test_a_grandchild_is_dead_after_its_job() -> None:
    """A process that left its child's session is alive when the job ends and dead once the child is given back."""

    async def work(pool: OneChild) -> psutil.Process:
        child, report = await render(pool, "leave_grandchild", {})
        # It has another number outside of its process namespace.
        (grandchild,) = psutil.Process(child.process.pid).children()
        assert report["session"] == report["pid"]
        assert os.getsid(grandchild.pid) == grandchild.pid
        assert grandchild.status() != psutil.STATUS_ZOMBIE
        pool.give_back(child, "leave_grandchild", Outcome.OK)
        await child.process.exited
        gone, _ = await asyncio.to_thread(psutil.wait_procs, [grandchild], PATIENCE)
        assert gone == [grandchild]
        return grandchild

    assert not with_pool(SandboxMode.BEST_EFFORT, work).is_running()


OWNER = """
import asyncio, sys
from supervisor.child import Child
from supervisor.forkserver import ForkServer
from supervisor.memory import MemoryWatch
from supervisor.settings import load

async def main():
    server = ForkServer(load({"RENDER_SANDBOX": "best-effort"}))
    await server.start()
    children = [Child(await server.spawn(number), MemoryWatch(), lambda job, fraction: None) for number in (1, 2)]
    for child in children:
        await child.ready()
    print(server.pid, *(child.process.pid for child in children), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()

asyncio.run(main())
"""


@pytest.mark.parametrize("victim", ["fork server", "its owner"])
def test_children_die_with_their_parents(victim: str) -> None:
    """SIGKILL to the fork server ends its children; SIGKILL to the process that started it ends them all."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        processes = [psutil.Process(int(pid)) for pid in owner.stdout.readline().split()]
        assert [" ".join(process.cmdline()).split(" [")[0].strip() for process in processes] == [
            "jobsupervisor: fork server",
            "jobsupervisor: child 1",
            "jobsupervisor: child 2",
        ]
        if victim == "fork server":
            processes[0].kill()
            waited = processes[1:]  # the owner reaps the fork server itself
        else:
            owner.kill()
            waited = processes
        _, alive = psutil.wait_procs(waited, PATIENCE)
        assert alive == []
