"""Whose user a child is, for the kernel: what it counts by user, one child must not use up for the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from tests.plugins.skips import root_only
from tests.pools import OneChild, with_pool

CAPABLE = """
import ctypes, encodings.ascii, os, sys  # the codec too, while it can be read
from renderer import syscalls
from renderer.sandbox import nest
syscalls.prctl(8, 1)  # PR_SET_KEEPCAPS
os.setgroups([])
os.setresgid(64999, 64999, 64999)
os.setresuid(64999, 64999, 64999)
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
kept = int(sys.argv[1])
sets = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)
syscalls.checked(syscalls.libc.capset(header, sets), "capset")
syscalls.prctl(4, 1)  # PR_SET_DUMPABLE, as after an exec with ambient capabilities
print(nest.may_map_others(), nest._unshare(maps_others=nest.may_map_others()), os.getuid(), flush=True)
if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(7, 7, 7)
    os.setresuid(7, 7, 7)
    print(os.getresuid())
"""


@root_only("a process is given a capability")
@pytest.mark.parametrize(
    ("kept", "said"),
    [(1 << 6 | 1 << 7, ["True True 0", "(7, 7, 7)"]), (1 << 7, ["False False 64999"]), (0, ["False False 64999"])],
)
def test_a_service_that_may_map_users(kept: int, said: list[str]) -> None:
    """One that is not root but has CAP_SETUID and CAP_SETGID gives its children users of their own, which only root did."""
    command = [sys.executable, "-c", CAPABLE, str(kept)]
    ran = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines() == said


def test_doctor_knows_whose_user_they_are() -> None:
    """What the fork server reports is what two children are, seen from outside."""

    async def work(pool: OneChild) -> tuple[bool, set[int]]:
        child = await pool.taken("noop")
        other = await pool.nursery.make()
        users = {int(_status(each.process.pid, "Uid:")) for each in (child, other)}
        await pool.nursery.bury(other)
        pool.give_back(child, "noop", Outcome.OK)
        return pool.nursery.own_users, users

    own, users = with_pool(SandboxMode.BEST_EFFORT, work)
    assert users == {os.geteuid()} if not own else len(users) == 2 and os.geteuid() not in users


def _status(pid: int, field: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(line.split()[1] for line in lines if line.startswith(field))
