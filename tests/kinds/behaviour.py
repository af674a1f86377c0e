# ruff: noqa: ARG001 - every renderer takes the same three arguments
"""Plug-ins that behave, well or badly, as a test asks for. One kind each; what they take is in the spec."""

from __future__ import annotations

import os
import signal
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


def moves(spec: Json, config: Json, out: Output) -> None:
    """Say each progress of `fractions`, as it is written there, and write `text`."""
    for fraction in spec["fractions"]:
        out.progress(fraction)
    out.write(spec["text"].encode())


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


def heap(spec: Json, config: Json, out: Output) -> None:
    """Grow private memory by `mb`, in steps, and touch it."""
    kept = [bytearray(b"x" * (4 * 1024 * 1024)) for _ in range(spec["mb"] // 4)]
    out.write(b"%d" % len(kept))


def signal_itself(spec: Json, config: Json, out: Output) -> None:
    """Die by the signal `number`."""
    os.kill(os.getpid(), spec["number"])
    time.sleep(60)


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


def raw_frame(spec: Json, config: Json, out: Output) -> None:
    """Write bytes of its own to the job socket: `hex`; then wait."""
    os.write(3, bytes.fromhex(spec["hex"]))
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


def complain(spec: Json, config: Json, out: Output) -> None:
    """Write `text` to standard error, and die of it."""
    os.write(2, spec["text"].encode())
    os.abort()
