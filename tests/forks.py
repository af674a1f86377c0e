"""Runs of a program whose imports are made once: each is a fork of a process that has made them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.plugins import leaks

CHECKOUT = Path(__file__).parents[1]
# Told of each run what it takes, tells its status and what it wrote to either stream.
_LOOP = """
import json, os, sys, traceback

for line in sys.stdin:
    streams = [os.memfd_create("stdout"), os.memfd_create("stderr")]
    pid = os.fork()
    if pid == 0:
        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)
            os.close(stream)
        status = 1
        try:
            run(*json.loads(line))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    told = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
    for stream in streams:
        os.lseek(stream, 0, os.SEEK_SET)
        with open(stream, errors="replace") as text:
            told.append(text.read())
    print(json.dumps(told), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended, and what it wrote."""

    status: int
    stdout: str
    stderr: str


class Forks:
    """The process that runs are forked from."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *arguments: Any) -> Ended:
        """Call the program's `run` in a fork."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def forks(program: str, environment: Mapping[str, str]) -> Iterator[Forks]:
    """Start a process that makes the imports of a program, which defines `run`; for a fixture of a module."""
    with subprocess.Popen(
        [sys.executable, "-c", program + _LOOP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env=environment,
    ) as process:
        leaks.KEPT.add(process.pid)
        try:
            yield Forks(process)
        finally:
            leaks.KEPT.remove(process.pid)
