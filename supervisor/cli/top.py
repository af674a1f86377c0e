"""The command that shows the same live: `top`."""

from __future__ import annotations

import contextlib
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from supervisor.cli.status import JOB_HEADERS, SUPERVISOR_HEADERS, ChildProcess, Status
from supervisor.cli.tables import table_of
from supervisor.errors import ConfigurationError, DatabaseUnreachable
from supervisor.plain_text import escaped
from supervisor.settings import load
from supervisor.store.client import Client

_SHARE = 0.1
"""The most of its time that the database may spend on who watches."""


def top(*, every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0) -> None:
    """Show jobs, supervisors and children live, until q or Ctrl-C.

    A look that takes the database long is taken less often: at most a tenth of the time is spent on it.
    Example: `jobsupervisor top --every 5`
    """
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise ConfigurationError("top must run on a terminal; `jobsupervisor status --json` is for programs")
    url = load().require_database()
    screen = _Screen()
    with _keys(), Live(console=Console(), screen=True, auto_refresh=False) as live:
        while True:
            try:
                with Client.connect(url) as client:
                    while True:
                        started = time.monotonic()
                        live.update(screen.show(Status.read(client), started), refresh=True)
                        if _quit_within(max(every, (time.monotonic() - started) / _SHARE)):
                            return
            except DatabaseUnreachable as error:
                live.update(Text(f"{escaped(str(error))}\ntrying again", style="red"), refresh=True)
                if _quit_within(max(every, 1.0)):
                    return


class _Screen:
    """What is shown, and what was seen of the children's processor time a look before."""

    def __init__(self) -> None:
        self._used: dict[int, float] = {}
        self._at = 0.0

    def show(self, found: Status, now: float) -> Group:
        """Return the screen for what was found."""
        children = [
            (
                child.supervisor,
                child.title.removeprefix("jobsupervisor: child "),
                str(child.pid),
                self._processor(child, now - self._at),
                f"{child.memory_bytes // 1048576} MB",
            )
            for child in found.children
        ]
        self._used, self._at = {child.pid: child.cpu_seconds for child in found.children}, now
        return Group(
            Text(escaped(found.flow_line)),
            Text(),
            table_of(JOB_HEADERS, found.job_rows) if found.jobs else Text("no jobs"),
            Text(),
            table_of(SUPERVISOR_HEADERS, found.supervisor_rows) if found.supervisors else Text("no supervisor runs"),
            Text(),
            table_of(("supervisor", "child", "pid", "processor", "memory"), children),
            Text("q ends", style="dim"),
        )

    def _processor(self, child: ChildProcess, seconds: float) -> str:
        """Return the share of one processor since the last look; of a child that was not there then nothing is known."""
        before = self._used.get(child.pid)
        return "" if before is None or seconds <= 0 else f"{max(0.0, child.cpu_seconds - before) / seconds:.0%}"


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Have each key come at once, unseen; the terminal is as before afterwards."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _quit_within(seconds: float) -> bool:
    """Wait; True when q was pressed, or nobody is there to press it."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0] and sys.stdin.read(1) in {"q", "Q", ""}:
            return True
    return False
