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

from renderer import registry, strays, syscalls
from renderer.needs import NONE, Needs
from renderer.registry import Kind

_MAX_WORDS = 4000
"""Bytes of what a trial says: few enough that a pipe takes them in one piece (PIPE_BUF, pipe(7))."""


def load_all(
    plugins: Mapping[str, str], import_seconds: float, allowed: Mapping[str, Needs]
) -> tuple[dict[str, Kind], dict[str, str]]:
    """Import the built-in kinds and the plug-ins; return them, and kind → why for those that failed.

    One that needs what is not allowed fails too. A plug-in wins over an entry point of the same name, and both over a built-in kind. Each is imported first in a
    process of its own that has `import_seconds`: one that hangs, crashes or leaves a thread behind (a process with
    threads must not be forked from) is found out there. Every child of the calling process is ended.
    """
    kinds: dict[str, Kind] = {}
    failed: dict[str, str] = {}
    targets = {**registry.BUILT_IN, **registry.entry_points(), **plugins}
    for name, target in targets.items():
        if registry.BUILT_IN.get(name) != target and (problem := _trial(name, target, import_seconds)):
            failed[name] = problem
            continue
        try:
            kind = registry.load(name, target)
        except Exception as error:  # noqa: BLE001 - whatever a module raises when it is imported
            failed[name] = f"{target}: {type(error).__name__}: {error}"
            continue
        if refused := kind.declared.needs.beyond(allowed.get(name, NONE)):
            leave = ",".join(f"{name}:{need}" for need in refused)
            failed[name] = f"{target}: it needs what is not allowed: to allow it, RENDER_ALLOW_NEEDS={leave}"
        else:
            kinds[name] = kind
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
    pidfd = os.pidfd_open(pid)
    try:
        in_time = bool(select.select([reader, pidfd], [], [], seconds)[0])
        # What it says comes in one piece. The end of the pipe is not waited for: what it forked may hold it open.
        spoke = bool(select.select([reader], [], [], 0)[0])
        said = os.read(reader, _MAX_WORDS).decode(errors="replace") if spoke else ""
    finally:
        os.close(reader)
        os.close(pidfd)
    status = _end_trial(pid)
    if said:
        return None if said == "ok" else said
    if not in_time:
        return f"{target}: importing it must take at most {seconds:g} s; it was ended"
    return f"{target}: importing it ended the process (wait status {status})"


def _end_trial(pid: int) -> int:
    """Reap the trial process once it has ended, with all that it forked; return its wait status."""
    # Ours until it is reaped, so neither number can be another's.
    if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    # The fork server has no child of its own yet: what is left is what the import forked and let go.
    strays.kill_all_but(set())
    return status


def _trial_child(name: str, target: str, writer: int) -> None:
    """Import in the trial process, write "ok" or the problem, end."""
    said = "ok"
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        registry.load(name, target)
        threads = len(list(Path("/proc/self/task").iterdir()))
        if threads > 1:
            said = f"{target}: importing it must not start threads, it started {threads - 1}; start them in render()"
        elif processes := strays.children():
            said = f"{target}: importing it must not start processes, it left {len(processes)}; start them in render()"
    except BaseException as error:  # noqa: BLE001 - whatever a module raises when it is imported
        traceback.print_exc(file=sys.stderr)
        said = f"{target}: {type(error).__name__}: {error}"
    os.write(writer, said.encode(errors="replace")[:_MAX_WORDS])
    os._exit(0)
