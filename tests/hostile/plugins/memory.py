# ruff: noqa: ARG001 - every function of a plug-in takes the same arguments
"""Memory: as much as there is, by every way that leads to some."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import os
import signal
import socket
import sys
import threading
import zlib
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

from renderer import Output
from tests.hostile.plugins import Json, call, report

STEP = 4 << 20
KEPT: list[Any] = []


def render(spec: Json, config: Json, out: Output) -> None:
    """Do what `do` names."""
    globals()[spec["do"]](spec, out)


def heap(spec: Json, out: Output) -> None:
    """Grow in large steps."""
    while True:
        KEPT.append(bytearray(b"x" * STEP))


def small_objects(spec: Json, out: Output) -> None:
    """Grow in steps so small that there is no room left to answer in, and let nothing go."""
    kept: Any = None
    while True:
        sys.kept = kept = (kept, 1.0)  # type: ignore[attr-defined]


def native(spec: Json, out: Output) -> None:
    """Grow in native code that does not look whether it got any."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    while True:
        ctypes.memset(libc.malloc(ctypes.c_size_t(STEP)) or 0, 1, STEP)


def resurrect(spec: Json, out: Output) -> None:
    """Make garbage that comes back to life when it is collected."""

    class Phoenix:
        def __init__(self) -> None:
            self.itself = self
            self.ballast = bytes(4096)

        def __del__(self) -> None:
            KEPT.append(self)

    while True:
        Phoenix()
        gc.collect(0)


def decompress(spec: Json, out: Output) -> None:
    """Unpack much more than the limit out of a megabyte."""
    packer = zlib.compressobj(1)
    block = bytes(STEP)
    packed = b"".join(packer.compress(block) for _ in range(48)) + packer.flush()
    out.write(zlib.decompress(packed))


def swallow(spec: Json, out: Output) -> None:
    """Catch the want of memory and raise something else."""
    try:
        bytearray(8 << 30)
    except MemoryError:
        raise ValueError("something went wrong") from None


def reserve(spec: Json, out: Output) -> None:
    """Reserve 64 GiB at once: `flags` as mmap takes them."""
    mmap.mmap(-1, 64 << 30, flags=spec["flags"] | mmap.MAP_ANONYMOUS, prot=spec.get("prot", mmap.PROT_READ))


def many_mappings(spec: Json, out: Output) -> None:
    """Make mappings until the kernel has no more."""
    while True:
        protection = mmap.PROT_READ if len(KEPT) % 2 else mmap.PROT_WRITE
        KEPT.append(mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=protection))


def shared(spec: Json, out: Output) -> None:
    """Fill an anonymous shared mapping, which is no private memory."""
    area = mmap.mmap(-1, 600 << 20, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    for offset in range(0, len(area), 4096):
        area[offset] = 1
    signal.pause()


def hidden(spec: Json, out: Output) -> None:
    """Fill shared memory and let go of it all but for a page, which keeps the rest where no limit counts it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    while True:
        place = libc.mmap(None, ctypes.c_size_t(STEP), 3, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, -1, ctypes.c_long(0))
        if place in {None, 2**64 - 1}:
            raise OSError(ctypes.get_errno(), "mmap")
        ctypes.memset(place, 1, STEP)
        libc.munmap(ctypes.c_void_p(place + 4096), ctypes.c_size_t(STEP - 4096))


def zeros(spec: Json, out: Output) -> None:
    """Have the same from a device."""
    with Path("/dev/zero").open("r+b", buffering=0) as device:
        KEPT.append(mmap.mmap(device.fileno(), STEP))


def without_main_thread(spec: Json, out: Output) -> None:
    """Fill mapped files in a thread, while the main thread, which /proc shows, has ended."""
    leader_is_gone = threading.Event()

    def fill() -> None:
        leader_is_gone.wait(0.2)
        mapped_files(spec, out)

    threading.Thread(target=fill).start()
    # Without the interpreter's lock held, as ctypes calls it.
    ctypes.CDLL(None).syscall(ctypes.c_long(60), ctypes.c_long(0))  # exit, of this thread alone (x86_64)


def temporary_files(spec: Json, out: Output) -> None:
    """Fill the file system `where` with files, each below the limit of one, with or without a name."""
    for number in range(1000):
        unnamed = spec.get("unnamed")
        name = spec["where"] if unnamed else f"{spec['where']}/hostile-flood-{number}"
        file = os.open(name, os.O_RDWR | (os.O_TMPFILE if unnamed else os.O_CREAT), 0o600)
        os.write(file, b"x" * STEP)
        if not unnamed:
            os.close(file)


def mapped_files(spec: Json, out: Output) -> None:
    """Fill files of a memory file system through mappings."""
    for number in range(1000):
        with Path(f"/tmp/hostile-mapped-{number}").open("w+b") as file:
            file.truncate(STEP)
            area = mmap.mmap(file.fileno(), STEP)
            KEPT.append(area)
            for offset in range(0, STEP, 4096):
                area[offset] = 1


def kernel_objects(spec: Json, out: Output) -> None:
    """Ask for shared memory that belongs to no process."""
    size, create = ctypes.c_size_t(STEP), 0o1600
    report(
        out,
        {
            "shmget": lambda: call("shmget", 0x6A6F6273, size, create),
            "semget": lambda: call("semget", 0x6A6F6273, 8, create),
            "msgget": lambda: call("msgget", 0x6A6F6273, create),
            "mq_open": lambda: call("mq_open", b"hostile", os.O_CREAT | os.O_RDWR, 0o600, None),
            "memfd_create": lambda: os.memfd_create("hostile"),
            "memfd_secret": lambda: call("memfd_secret", 0),
            "userfaultfd": lambda: call("userfaultfd", 0),
            "mlockall": lambda: call("mlockall", 3),
        },
    )


def named_segment(spec: Json, out: Output) -> None:
    """Make a segment of shared memory with a name as Python's library does, which starts a process for it."""
    shared_memory.SharedMemory("hostile-posix", create=True, size=STEP)


def segment_that_stays(spec: Json, out: Output) -> None:
    """Leave a segment of POSIX shared memory behind, which is a file of that name."""
    with Path("/dev/shm/hostile-posix").open("w+b") as file:
        file.write(b"left")
    os.kill(os.getpid(), signal.SIGKILL)


def pipes(spec: Json, out: Output) -> None:
    """Hide memory in the buffers of pipes; a larger one is asked for first."""
    import fcntl

    _, writer = os.pipe()
    try:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    except PermissionError:
        while True:
            _, writer = os.pipe()
            os.set_blocking(writer, False)
            os.write(writer, b"x" * (1 << 20))


def sockets(spec: Json, out: Output) -> None:
    """Hide memory in the buffers of sockets."""
    block = b"x" * (1 << 20)
    while True:
        pair = socket.socketpair()
        KEPT.append(pair)
        for end in pair:
            end.setblocking(False)  # noqa: FBT003
            with contextlib.suppress(BlockingIOError):
                while True:
                    end.send(block)


def sockets_in_sockets(spec: Json, out: Output) -> None:
    """Hide sockets in the buffers of other sockets, where no limit of this process's counts them."""
    holder, far = socket.socketpair()
    KEPT.append(far)
    while True:
        left, right = socket.socketpair()
        socket.send_fds(holder, [b"x"], [left.fileno(), right.fileno()])
        left.close()
        right.close()


def deep_python(spec: Json, out: Output) -> None:
    """Recurse in Python."""
    deep_python(spec, out)


def deep_without_limit(spec: Json, out: Output) -> None:
    """Recurse in Python where its own limit has been taken away."""
    sys.setrecursionlimit(1 << 30)
    deep_python(spec, out)


def deep_native(spec: Json, out: Output) -> None:
    """Recurse in native code until the stack ends."""
    sys.setrecursionlimit(1 << 30)
    nested: list[Any] = []
    for _ in range(200_000):
        nested = [nested]
    KEPT.append(nested)
    repr(nested)
