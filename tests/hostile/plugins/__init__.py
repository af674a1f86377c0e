"""Plug-ins that attack: what holds them, the others of their machine, and whoever reads their answer."""

from __future__ import annotations

import errno
import json
import os
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any

from renderer import Output
from renderer.sandbox.seccomp import numbers

Json = dict[str, Any]
Attempts = Mapping[str, Callable[[], object]]


def report(out: Output, attempts: Attempts) -> None:
    """Make each attempt; write what became of each: the error that refused it, or that it was possible."""
    out.content_type = "application/json"
    out.write(json.dumps({name: _tried(attempt) for name, attempt in attempts.items()}).encode())


def _tried(attempt: Callable[[], object]) -> str:
    try:
        result = attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    except Exception as error:  # noqa: BLE001 - whatever a library makes of a refusal
        return type(error).__name__
    return f"possible: {result!r}"[:200]


def call(name: str, *arguments: Any) -> int:
    """Make a system call by name. Raises OSError; what the machine does not have is ENOSYS."""
    import ctypes

    number = numbers.machine().calls.get(name)
    if number is None:
        raise OSError(errno.ENOSYS, name)
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def own_job() -> Json:
    """Return id and attempt of the job that runs, out of the frames that called the renderer."""
    frame = sys._getframe()  # noqa: SLF001 - as an attacker would
    while not isinstance(frame.f_locals.get("job"), dict):
        assert frame.f_back is not None
        frame = frame.f_back
    job = frame.f_locals["job"]
    return {"id": job["id"], "attempt": job["attempt"]}


def send(body: bytes, length: int | None = None) -> None:
    """Write a frame of one's own to the job socket; `length` is what its header says instead of the truth."""
    frame = struct.pack(">I", len(body) if length is None else length) + body
    while frame:
        frame = frame[os.write(3, frame) :]


def say(**message: Any) -> None:
    """Send a message about the job that runs."""
    send(json.dumps(own_job() | message).encode())
