# ruff: noqa: ARG001 - every renderer takes the same three arguments
"""Plug-ins that report what they find inside a child, as JSON in their output. They try, and tell the truth."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import stat
import sys
from pathlib import Path
from typing import Any

from renderer import Output

_libc = ctypes.CDLL(None, use_errno=True)
_PR_GET_PDEATHSIG, _PR_GET_DUMPABLE = 2, 3


def report(spec: dict[str, Any], config: dict[str, Any], out: Output) -> None:
    """Report everything; `port`, `abstract` and `segment` in the spec name things of the parent's to reach for."""
    found = {
        "environment": dict(os.environ),
        "environment_of_libc": _environment_of_libc(),
        "descriptors": _descriptors(out.fileno()),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "tcp": _connect(socket.AF_INET, ("127.0.0.1", spec["port"])),
        "abstract": _connect(socket.AF_UNIX, "\0" + spec["abstract"]),
        "shared_memory": _attach(spec["segment"]),
        "segments": Path("/proc/sysvipc/shm").read_text().splitlines()[1:],
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


def _connect(family: int, address: Any) -> str:
    """Try to connect; return "connected" or the error."""
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        try:
            sock.connect(address)
        except OSError as error:
            return type(error).__name__ if error.errno is None else os.strerror(error.errno)
    return "connected"


def _attach(segment: int) -> str:
    """Try to attach System V shared memory of the parent's; return "attached" or the error."""
    _libc.shmat.restype = ctypes.c_void_p
    failed = _libc.shmat(segment, None, 0) == ctypes.c_void_p(-1).value
    return os.strerror(ctypes.get_errno()) if failed else "attached"


def _status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _parent_death_signal() -> int:
    number = ctypes.c_int()
    _libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
    return number.value


def _ignored(number: int) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN
