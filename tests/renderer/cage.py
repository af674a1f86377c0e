"""Real processes that enter a layer of the sandbox, try something, and tell what came of it.

`Cage` starts `python -m tests.renderer.cage`, a process without threads, since one with threads (a worker of the test run)
must not be forked from. It forks once per trial: the layer binds only the fork, for ever, and ends with it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from renderer import syscalls
from renderer.needs import Needs
from renderer.sandbox import ForbiddenCalls, landlock, seccomp

Layer = tuple[str, dict[str, Any]]
"""A key of LAYERS, and what its function takes."""

SECONDS = 30
"""A trial that hangs is ended by SIGALRM, and shows as such."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a trial ended: what it returned, the error number it failed with, or the signal that ended it."""

    said: Any = None
    errno: int | None = None
    raised: str | None = None
    signal: int | None = None


class Cage:
    """The process that trials are forked from. A context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def attempt(self, layers: Sequence[Layer], trial: str, *arguments: Any) -> Ending:
        """Enter the layers, then call `module:function` of this package."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([layers, trial, arguments]) + "\n")
        self._process.stdin.flush()
        return Ending(**json.loads(self._process.stdout.readline()))


def _seccomp(unknown: str, *, subprocesses: bool = False) -> None:
    seccomp.install(ForbiddenCalls(unknown), Needs(subprocesses=subprocesses))


def _landlock(read: list[str], write: list[str], execute: list[str], newest: int = landlock.NEWEST) -> None:
    landlock.NEWEST = newest
    landlock.restrict(*([Path(path) for path in paths] for paths in (read, write, execute)))


LAYERS: dict[str, Callable[..., None]] = {
    "no_new_privileges": lambda: syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1),
    "no_capabilities": syscalls.drop_capabilities,
    "seccomp": _seccomp,
    "landlock": _landlock,
}


def _main() -> None:
    for line in sys.stdin:
        layers, trial, arguments = json.loads(line)
        module, _, name = trial.partition(":")
        # Imported here, as a child's renderers are, before the layers.
        function = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        sys.stdout.write(json.dumps(_fork(layers, functools.partial(function, *arguments))) + "\n")
        sys.stdout.flush()


def _fork(layers: Sequence[Layer], trial: Callable[[], Any]) -> dict[str, Any]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _be_the_trial(layers, trial, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    ending: dict[str, Any] = json.loads(said) if said else {}
    if os.WIFSIGNALED(status):
        ending["signal"] = os.WTERMSIG(status)
    return ending


def _be_the_trial(layers: Sequence[Layer], trial: Callable[[], Any], writer: int) -> NoReturn:
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for name, options in layers:
            LAYERS[name](**options)
        ending = {"said": trial()}
    except OSError as error:
        ending = {"errno": error.errno, "raised": repr(error)}
    except BaseException:  # noqa: BLE001 - the test shows it
        ending = {"raised": traceback.format_exc()}
    with contextlib.suppress(BrokenPipeError):
        os.write(writer, json.dumps(ending).encode())
    os._exit(0)


if __name__ == "__main__":
    _main()
