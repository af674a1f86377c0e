# ruff: noqa: ARG001 - every renderer takes the same three arguments
"""Plug-ins that report what they find inside a child, as JSON in their output. They try, and tell the truth."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import stat
import sys
from pathlib import Path
from typing import Any

from renderer import Output

_libc = ctypes.CDLL(None, use_errno=True)
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
_PR_GET_PDEATHSIG, _PR_GET_DUMPABLE = 2, 3


def report(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Report everything; `paths` in the spec are looked for."""
    found = {
        "directory": str(Path.cwd()),
        "host": os.uname().nodename,
        "environment": dict(os.environ),
        "environment_of_libc": _environment_of_libc(),
        "descriptors": _descriptors(out.fileno()),
        "namespaces": {kind: str(Path("/proc/self/ns", kind).readlink()) for kind in NAMESPACES},
        "paths": {path: Path(path).exists() for path in spec["paths"]},
        "tree": sorted(os.fspath(path) for path in Path("/").glob("*")),
        "devices": sorted(path.name for path in Path("/dev").iterdir()),
        "processes": sorted(int(path.name) for path in Path("/proc").glob("[0-9]*")),
        "users": [os.getuid(), os.geteuid(), os.getgid(), os.getegid(), *os.getgroups()],
        "writable": [name for name in ("/", "/tmp", "/dev/shm", "/dev", "/usr/lib", "/proc") if _can_write(name)],
        "nice": os.nice(0),
        "oom": int(Path("/proc/self/oom_score_adj").read_text()),
        "status": _status(),
        "dumpable": _libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0),
        "parent_death_signal": _parent_death_signal(),
        "limits": {
            name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name[:7] == "RLIMIT_"
        },
        "identity": [os.getpid(), os.getsid(0), os.getpgrp()],
        "ignored": [number for number in range(1, 32) if _ignored(number)],
        "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    }
    out.write(json.dumps(found).encode())


def leave_grandchild(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Fork a process that leads a session of its own and never ends; report its number once it does."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.write(writer, b"away")
        while True:
            signal.pause()
    os.read(reader, 4)
    out.write(json.dumps({"pid": pid, "session": os.getsid(pid)}).encode())


def _environment_of_libc() -> list[str]:
    """Return what getenv(3) would see, which need not be what Python shows."""
    environ = ctypes.POINTER(ctypes.c_char_p).in_dll(_libc, "environ")
    found: list[str] = []
    while (entry := environ[len(found)]) is not None:
        found.append(entry.decode())
    return found


def _descriptors(output: int) -> dict[str, str]:
    """Return the open descriptors by what they are; asked of each number, since a listing would open one more."""
    found = {}
    for number in range(4096):
        try:
            fcntl.fcntl(number, fcntl.F_GETFD)
        except OSError:
            continue
        kind = os.fstat(number).st_mode
        names = {"socket": stat.S_ISSOCK, "pipe": stat.S_ISFIFO, "device": stat.S_ISCHR, "file": stat.S_ISREG}
        name = next((name for name, test in names.items() if test(kind)), "other")
        found[str(number)] = "output" if number == output else name
    return found


def _can_write(directory: str) -> bool:
    """Whether a file can be made there. Where there is no sandbox it is the machine's own directory: nothing stays."""
    made = Path(directory) / f"made by {os.getpid()}"
    try:
        made.touch()
        made.unlink()
    except OSError:
        return False
    return True


def _status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _parent_death_signal() -> int:
    number = ctypes.c_int()
    _libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
    return number.value


def _ignored(number: int) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN
