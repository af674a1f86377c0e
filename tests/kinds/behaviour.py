# ruff: noqa: ARG001 - every renderer takes the same three arguments
"""Plug-ins that behave, well or badly, as a test asks for. One kind each; what they take is in the spec."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from renderer import Output

Json = dict[str, Any]


def write(spec: Json, config: Json, out: Output) -> None:
    """Write `text`, with `content_type` where it is given."""
    out.content_type = spec.get("content_type", "text/plain")
    out.write(spec["text"].encode())


def gate(spec: Json, config: Json, out: Output) -> None:
    """Say half way that it runs, wait until the file `gate` is there, write."""
    out.write(b"passed the gate")
    out.progress(0.5)
    gate_file = Path(spec["gate"])
    while not gate_file.exists():
        time.sleep(0.01)


def late(spec: Json, config: Json, out: Output) -> None:
    """Hang in an attempt that begins before the time `until`, write in a later one."""
    if time.time() < spec["until"]:
        out.progress(0.5)
        while True:
            signal.pause()
    out.write(b"second try")


def sleep(spec: Json, config: Json, out: Output) -> None:
    """Never end, ignoring every signal that can be ignored."""
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGXCPU, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    out.progress(0.1)
    while True:
        signal.pause()


def stop_itself(spec: Json, config: Json, out: Output) -> None:
    """Stop, as by a job control signal, and never go on."""
    os.kill(os.getpid(), signal.SIGSTOP)


def hold_lock(spec: Json, config: Json, out: Output) -> None:
    """Loop in native code that holds the interpreter's lock."""
    sum(iter(int, 1))


def heap(spec: Json, config: Json, out: Output) -> None:
    """Grow private memory by `mb`, in steps, and touch it."""
    kept = [bytearray(b"x" * (4 * 1024 * 1024)) for _ in range(spec["mb"] // 4)]
    out.write(b"%d" % len(kept))


def reserve(spec: Json, config: Json, out: Output) -> None:
    """Reserve `gb` of address space at once."""
    mmap.mmap(-1, spec["gb"] << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    out.write(b"reserved")


def shared(spec: Json, config: Json, out: Output) -> None:
    """Fill shared memory, which no limit on private memory counts, by `mb`."""
    area = mmap.mmap(-1, spec["mb"] << 20, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    for offset in range(0, len(area), 4096):
        area[offset] = 1
    while True:
        signal.pause()


def swallow(spec: Json, config: Json, out: Output) -> None:
    """Catch the want of memory and raise something else."""
    try:
        bytearray(8 << 30)
    except MemoryError:
        raise ValueError("something went wrong") from None


def signal_itself(spec: Json, config: Json, out: Output) -> None:
    """Die by the signal `number`."""
    os.kill(os.getpid(), spec["number"])
    time.sleep(60)


def exit_quietly(spec: Json, config: Json, out: Output) -> None:
    """End without an answer, with success."""
    os._exit(0)


def call_exit(spec: Json, config: Json, out: Output) -> None:
    """Call sys.exit."""
    sys.exit(3)


def fail(spec: Json, config: Json, out: Output) -> None:
    """Raise."""
    raise KeyError(spec.get("message", "no such thing"))


def invalid(spec: Json, config: Json, out: Output) -> None:
    """Refuse the spec with an exception of its own that only has the right name."""

    class InvalidSpec(Exception):  # noqa: N818 - the name is the point
        pass

    raise InvalidSpec("text: must rhyme")


def nothing(spec: Json, config: Json, out: Output) -> None:
    """Write nothing."""


def flood_output(spec: Json, config: Json, out: Output) -> None:
    """Write until the limit of the output."""
    block = b"x" * (1 << 20)
    while True:
        out.write(block)


def flood_log(spec: Json, config: Json, out: Output) -> None:
    """Write 64 MB to standard output and error, then the artifact."""
    for _ in range(64):
        os.write(1, b"o" * (1 << 19))
        os.write(2, b"e" * (1 << 19))
    out.write(b"dry again")


def open_files(spec: Json, config: Json, out: Output) -> None:
    """Open files until there are no more."""
    kept = []
    while True:
        kept.append(os.open("/dev/null", os.O_RDONLY))


def raw_frame(spec: Json, config: Json, out: Output) -> None:
    """Write bytes of its own to the job socket: `hex`; then wait."""
    os.write(3, bytes.fromhex(spec["hex"]))
    while True:
        signal.pause()


def close_socket(spec: Json, config: Json, out: Output) -> None:
    """Close everything it was given and run on."""
    os.closerange(0, 100)
    while True:
        signal.pause()


def late_write(spec: Json, config: Json, out: Output) -> None:
    """Write, answer, and write again from a thread that goes on."""
    out.content_type = "text/plain"
    out.write(b"checked")
    out.flush()
    copy = os.dup(out.fileno())

    def spoil() -> None:
        while True:
            os.pwrite(copy, b"SPOILED", 0)

    threading.Thread(target=spoil, daemon=True).start()


def escape(spec: Json, config: Json, out: Output) -> None:
    """Leave a process in a session of its own behind, with its number in the artifact."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        pid = os.fork()
        if pid == 0:
            while True:
                signal.pause()
        os.write(writer, b"%d" % pid)
        os._exit(0)
    out.write(os.read(reader, 32))


def state(spec: Json, config: Json, out: Output) -> None:
    """Report what an earlier job left in this process, and leave something for the next."""
    found = [getattr(sys, "left_behind", ""), os.environ.get("LEFT_BEHIND", ""), Path.cwd().name]
    sys.left_behind = "module"  # type: ignore[attr-defined]
    os.environ["LEFT_BEHIND"] = "environment"
    out.write(repr(found).encode())


def null_pointer(spec: Json, config: Json, out: Output) -> None:
    """Follow a null pointer in native code."""
    ctypes.string_at(0)


def network(spec: Json, config: Json, out: Output) -> None:
    """Connect to `port` on the loopback, and report."""
    try:
        socket.create_connection(("127.0.0.1", spec["port"]), timeout=5).close()
        out.write(b"connected")
    except OSError as error:
        out.write(type(error).__name__.encode())
