# ruff: noqa: ARG001 - every function of a plug-in takes the same arguments
"""Memory of the kernel's, which belongs to no process: as many of each object as can be had (docs/kernel-memory.md)."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from renderer import Output
from tests.hostile.plugins import Json, call, report

KEPT: list[Any] = []
HALF = 24


def render(spec: Json, config: Json, out: Output) -> None:
    """Do what `do` names."""
    globals()[spec["do"]](spec, out)


def in_threads(work: Callable[[], None]) -> None:
    """Do something in each of as many threads as there may be, and keep them all."""
    done = threading.Semaphore(0)

    def one() -> None:
        try:
            work()
        finally:
            done.release()
        signal.pause()

    started = 0
    with contextlib.suppress(RuntimeError):
        while True:
            threading.Thread(target=one, daemon=True).start()
            started += 1
    for _ in range(started):
        done.acquire()


def tables_of_threads(spec: Json, out: Output) -> None:
    """Give each thread a table of descriptors of its own, by a flag of close_range, and fill all of them."""
    found: list[str] = []

    def one() -> None:
        try:
            call("close_range", 1000, 1000, 2)
        except OSError as error:
            found.append(errno.errorcode[error.errno or 0])
        else:
            found.append("possible")

    in_threads(one)
    report(out, {f"thread {number}": partial(_again, answer) for number, answer in enumerate(found)})


def _again(answer: str) -> None:
    if answer != "possible":
        raise OSError(getattr(errno, answer), answer)


def page_tables(spec: Json, out: Output) -> None:
    """Map a page in each gigabyte of the address space: each costs two more of page tables."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    for gigabyte in range(16, 65000):
        place = libc.mmap(gigabyte << 30, 4096, mmap.PROT_READ, private, -1, 0)
        if place == 2**64 - 1:
            break
        ctypes.c_char.from_address(place).value  # noqa: B018 - the touch
    signal.pause()


def flags(spec: Json, out: Output) -> None:
    """Ask for what only a flag makes of a harmless call."""
    report(
        out,
        {
            "a watch queue": lambda: os.pipe2(0x80),
            "a packet for each byte": lambda: os.pipe2(os.O_DIRECT),
            "large pages": lambda: mmap.mmap(-1, 2 << 20, flags=0x40022),
            "locked pages": lambda: mmap.mmap(-1, 4096, flags=0x2022),
            "pages of the machine's other processes": lambda: mmap.mmap(-1, 4096, flags=0x22).madvise(12),
            "a timer": lambda: call("timer_create", 1, 0, ctypes.byref(ctypes.c_int())),
            "a signal for each byte": lambda: fcntl.fcntl(3, fcntl.F_SETFL, os.O_ASYNC),
            "descriptors under way": lambda: socket.socketpair()[0].sendmsg([b"x"]),
            "pages of files in pipes": lambda: os.sendfile(os.pipe()[1], os.open("/usr/bin/env", os.O_RDONLY), 0, 4096),
        },
    )


def locks(spec: Json, out: Output) -> None:
    """Lock every other byte of a file, a hundred thousand times; tell how many locks there are."""
    with Path("/tmp/locked").open("w+b") as file:
        for number in range(100_000):
            fcntl.lockf(file, fcntl.LOCK_EX, 1, 2 * number)
        listed = Path("/proc/locks").read_text(encoding="ascii") if Path("/proc/locks").exists() else ""
    out.content_type = "text/plain"
    out.write(b"many" if listed.count("POSIX") > 1000 else b"none")


def watches(spec: Json, out: Output) -> None:
    """Watch each of many descriptors under each number that there is, by each of many epolls; tell how many watches."""
    polls = [select.epoll() for _ in range(HALF)]
    files = [os.eventfd(0) for _ in range(HALF)]
    free = [os.dup(files[0]) for _ in range(8)]
    count = 0
    for poll in polls:
        for file in files:
            for number in [file, *free]:
                if number != file:
                    os.dup2(file, number)
                poll.register(number)
                count += 1
    out.content_type = "text/plain"
    out.write(b"bounded" if count <= 64 * 64 * 64 else b"without bound")


def signals(spec: Json, out: Output) -> None:
    """Have signals of real time wait, each of which the kernel keeps; tell how many there are."""
    signal.pthread_sigmask(signal.SIG_BLOCK, range(signal.SIGRTMIN, signal.SIGRTMAX + 1))
    for _ in range(10_000):
        os.kill(os.getpid(), signal.SIGRTMIN + 1)
    count = 0
    while signal.sigtimedwait([signal.SIGRTMIN + 1], 0) is not None:
        count += 1
    out.content_type = "text/plain"
    out.write(b"bounded" if count <= 300 else str(count).encode())


def names(spec: Json, out: Output) -> None:
    """Make entries of a directory, each a name for the kernel to keep: files, links, and directories within directories."""
    count = 0
    place = Path("/tmp")
    try:
        (place / "file").touch()
        while True:
            os.link("/tmp/file", place / ("l" * 200 + str(count)))
            (place / ("s" * 200 + str(count))).symlink_to("s" * 200)
            count += 2
    except OSError as error:
        out.content_type = "text/plain"
        out.write(b"bounded" if error.errno == errno.ENOSPC and count <= 2048 else f"{error} {count}".encode())
