"""Imports the kinds, once, in the fork server; a plug-in that cannot be imported costs its own kind only."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from renderer import registry
from renderer.registry import Kind


def load_all(plugins: Mapping[str, str], import_seconds: float) -> tuple[dict[str, Kind], dict[str, str]]:
    """Import the built-in kinds and the plug-ins; return them, and kind → why for those that failed.

    A plug-in wins over an entry point of the same name, and both over a built-in kind. Each is imported first in a
    process of its own that has `import_seconds`: one that hangs, crashes or leaves a thread behind (a process with
    threads must not be forked from) is found out there.
    """
    kinds: dict[str, Kind] = {}
    failed: dict[str, str] = {}
    targets = {**registry.BUILT_IN, **registry.entry_points(), **plugins}
    for name, target in targets.items():
        if registry.BUILT_IN.get(name) != target and (problem := _trial(name, target, import_seconds)):
            failed[name] = problem
            continue
        try:
            kinds[name] = registry.load(name, target)
        except Exception as error:  # noqa: BLE001 - whatever a module raises when it is imported
            failed[name] = f"{target}: {type(error).__name__}: {error}"
    return kinds, failed


def describe(kinds: Mapping[str, Kind]) -> list[dict[str, Any]]:
    """Return for each kind what the supervisor must know of it, with the JSON Schema of its spec."""
    return [
        {
            "name": kind.name,
            "writes_output": kind.declared.writes_output,
            "reusable": kind.declared.reusable,
            "spec_schema": kind.declared.spec.model_json_schema() if kind.declared.spec else None,
        }
        for kind in kinds.values()
    ]


def _trial(name: str, target: str, seconds: float) -> str | None:
    """Import a plug-in in a child process; return what is wrong with it, or None."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _trial_child(name, target, writer)
    os.close(writer)
    with contextlib.closing(os.fdopen(reader, "rb")) as pipe:
        in_time = bool(select.select([pipe], [], [], seconds)[0])
        if not in_time:
            os.kill(pid, signal.SIGKILL)
        said = pipe.read().decode(errors="replace") if in_time else ""
    _, status = os.waitpid(pid, 0)
    if not in_time:
        return f"{target}: importing it must take at most {seconds:g} s; it was ended"
    if said == "ok":
        return None
    return said or f"{target}: importing it ended the process (wait status {status})"


def _trial_child(name: str, target: str, writer: int) -> None:
    """Import in the trial process, write "ok" or the problem, end."""
    said = "ok"
    try:
        os.setsid()
        registry.load(name, target)
        threads = len(list(Path("/proc/self/task").iterdir()))
        if threads > 1:
            said = f"{target}: importing it must not start threads, it started {threads - 1}; start them in render()"
    except BaseException as error:  # noqa: BLE001 - whatever a module raises when it is imported
        traceback.print_exc(file=sys.stderr)
        said = f"{target}: {type(error).__name__}: {error}"
    os.write(writer, said.encode()[:4000])
    os._exit(0)
