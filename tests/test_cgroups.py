"""Control groups of children: the layout on a real hierarchy, and what is said where there can be none.

The limit itself needs the memory controller of cgroup v2, which is tried only where a machine has one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from supervisor.cgroups import Cgroups, CgroupsMissing, ChildGroup


def hierarchy() -> Path | None:
    """Return a place where groups can be made, None where there is none."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place, kind = line.split()[1:3]
        if kind == "cgroup2" and os.access(place, os.W_OK):
            return Path(place)
    return None


@pytest.fixture
def group() -> Iterator[Path | None]:
    """Provide a group with one process in it, or None."""
    place = hierarchy()
    if place is None:
        yield None
        return
    path = place / f"jobsupervisor-test-{os.getpid()}"
    path.mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        (path / "cgroup.procs").write_text(str(process.pid))
        try:
            yield path
        finally:
            process.communicate()
    for below in [*path.iterdir(), path]:
        if below.is_dir():
            below.rmdir()


def members(path: Path) -> list[int]:
    """Return the processes of a group."""
    return [int(pid) for pid in (path / "cgroup.procs").read_text().split()]


def test_the_layout(group: Path | None) -> None:
    """What is in the delegated group moves into a leaf beside the children's; a child's group has what it forks, and goes."""
    if group is None:
        with pytest.raises(CgroupsMissing):
            Cgroups.delegated()
        return
    (inside,) = members(group)
    cgroups = Cgroups.prepared(group, [])
    assert (members(group), members(group / "supervisor")) == ([], [inside])
    with subprocess.Popen(
        [sys.executable, "-c", "import os; input(); print(os.fork() and '', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        child = cgroups.child(7)
        child.add(process.pid)
        if not (group / "child-7" / "memory.max").exists():
            with pytest.raises(FileNotFoundError):
                child.limit(1 << 30)
        else:
            child.limit(1 << 30)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        forked = [each.pid for each in psutil.Process(process.pid).children()]
        assert sorted(members(group / "child-7")) == sorted([process.pid, *forked])
        assert not child.out_of_memory
        process.stdin.write("\n\n")
        process.stdin.flush()
        process.communicate()
        psutil.wait_procs([each for each in psutil.process_iter() if each.pid in forked])
    child.remove()
    assert not (group / "child-7").exists()


def test_a_group_that_is_not_ours() -> None:
    """Outside of a unit that delegates, nothing is changed and the reason is told."""
    with pytest.raises(
        CgroupsMissing, match=r"not delegated to this service \(Delegate=yes\)|no unified control groups"
    ):
        Cgroups.delegated()


def test_a_group_that_is_gone(group: Path | None) -> None:
    """What cannot be read is no memory trouble, and what cannot be removed is left."""
    if group is not None:
        child = ChildGroup(group / "child-1")
        child.remove()
        assert not child.out_of_memory
        child.remove()
