# ruff: noqa: ARG001 - every renderer takes the same three arguments
"""Plug-ins that need more than every child has, and say what they got."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

from renderer import Needs, Output, render_kind

Json = dict[str, Any]


def read(spec: Json, config: Json, out: Output) -> None:
    """Write what the file `path` holds, or why it cannot be read."""
    try:
        out.write(Path(spec["path"]).read_bytes())
    except OSError as error:
        out.write(type(error).__name__.encode())


def start(spec: Json, config: Json, out: Output) -> None:
    """Write what a program of the system says, or why it cannot be started."""
    try:
        out.write(subprocess.run(["/bin/sh", "-c", spec["command"]], stdout=subprocess.PIPE, check=False).stdout)
    except OSError as error:
        out.write(type(error).__name__.encode())


def threads(spec: Json, config: Json, out: Output) -> None:
    """Write how many of `count` threads could run at once."""
    gate, started = threading.Event(), 0
    try:
        for _ in range(spec["count"]):
            threading.Thread(target=gate.wait).start()
            started += 1
    except RuntimeError:
        pass
    gate.set()
    out.write(str(started).encode())


def swell(spec: Json, config: Json, out: Output) -> None:
    """Have programs that leave this process behind hold memory, each below the limit of one."""
    hold = "import os, time; os.setsid(); kept = bytearray(b'x' * (60 << 20)); time.sleep(600)"
    for _ in range(spec["processes"]):
        subprocess.Popen(["/bin/sh", "-c", f'{spec["python"]} -S -c "{hold}" &']).wait()
    threading.Event().wait()


@render_kind(needs=Needs(threads=64, subprocesses=True, read=("/somewhere",)))
def greedy(spec: Json, config: Json, out: Output) -> None:
    """Need everything."""
    out.write(b"x")
