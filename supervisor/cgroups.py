"""A control group for each child, where the service manager delegates one with the memory controller (cgroups(7)).

What it adds to RLIMIT_DATA and the sampling of resident memory: everything counts that the child causes, files in its /tmp
and buffers of pipes among it, at the moment of the allocation; and when it is over its limit the kernel ends the child, and
nothing else. Where there is none the other two hold alone.

The layout, below the group that was delegated to us (cgroup v2 lets a group have processes or children, not both):

    jobsupervisor.service/             delegated: memory is switched on for what is below
      supervisor/                      this process, the fork server and the process around it
      child-1/, child-2/, …            one child each
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_LEAF = "supervisor"
_MARKS = ("user.delegate", "trusted.delegate")
"""How systemd marks a group that it delegated: any other may be ours to write and yet not ours to change."""
_NEEDED = "memory"


class CgroupsMissing(Exception):  # noqa: N818 - reads as the state it is
    """There is no group to put children in; says why."""


class ChildGroup:
    """The group of one child."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(exist_ok=True)
        # One that could not be removed has counted for another child.
        self._ended_before = self._ended()

    def add(self, pid: int) -> None:
        """Put a process into the group; what it forks from now on is in it too."""
        _write(self._path / "cgroup.procs", str(pid))

    def limit(self, memory: int) -> None:
        """Bound the memory of all its processes together, in bytes, without swap; who is over it ends all of them."""
        # A kernel without swap accounting has no file for it.
        with contextlib.suppress(FileNotFoundError):
            _write(self._path / "memory.swap.max", "0")
        _write(self._path / "memory.oom.group", "1")
        _write(self._path / "memory.max", str(memory))

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel has ended a process of this child for being over the limit."""
        return self._ended() > self._ended_before

    def _ended(self) -> int:
        """Return how many processes the kernel has ended here for being over the limit."""
        try:
            events = (self._path / "memory.events").read_text(encoding="ascii").split()
        except OSError:
            return 0
        return int(dict(zip(events[::2], events[1::2], strict=True)).get("oom_kill", 0))

    def remove(self) -> None:
        """Remove the group; its processes must have ended. One that is still on its way out is left."""
        with contextlib.suppress(OSError):
            self._path.rmdir()


class Cgroups:
    """The group that was delegated to this process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def delegated(cls) -> Cgroups:
        """Return the group of this process, made ready for children. Raises CgroupsMissing."""
        path = _own_group()
        if not any(_has_mark(path, mark) for mark in _MARKS):
            raise CgroupsMissing(f"{path} is not delegated to this service (Delegate=yes)")
        if _NEEDED not in (path / "cgroup.controllers").read_text(encoding="ascii").split():
            raise CgroupsMissing(f"{path} has no {_NEEDED} controller")
        try:
            return cls.prepared(path, [_NEEDED])
        except OSError as error:
            raise CgroupsMissing(f"{path} cannot be used: {error.strerror}") from None

    @classmethod
    def prepared(cls, path: Path, controllers: list[str]) -> Cgroups:
        """Move what is in the group into a leaf, and switch controllers on for groups beside it. Raises OSError."""
        leaf = path / _LEAF
        leaf.mkdir(exist_ok=True)
        for pid in (path / "cgroup.procs").read_text(encoding="ascii").split():
            _write(leaf / "cgroup.procs", pid)
        for controller in controllers:
            _write(path / "cgroup.subtree_control", f"+{controller}")
        return cls(path)

    def child(self, number: int) -> ChildGroup:
        """Make the group of a child."""
        return ChildGroup(self._path / f"child-{number}")


def _write(path: Path, text: str) -> None:
    """Write to a file of the hierarchy. Without O_CREAT, which makes of one that is not there a refusal."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _own_group() -> Path:
    """Return the directory of this process's group in the unified hierarchy. Raises CgroupsMissing."""
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    place = next((Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"), None)
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if place is None or own is None:
        raise CgroupsMissing("the machine has no unified control groups (cgroup v2)")
    return place / own.lstrip("/")


def _has_mark(path: Path, mark: str) -> bool:
    try:
        return os.getxattr(path, mark) == b"1"
    except OSError:
        return False
