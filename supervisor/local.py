"""Runs jobs from this process: a supervisor for as long as they take, on a database that may be embedded.

What `demo` and `render` stand on. It is the same supervisor, queue and sandbox as the service's.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from renderer.outcome import Outcome
from supervisor import descriptors
from supervisor.core import Supervisor
from supervisor.embedded import EmbeddedServer
from supervisor.errors import ExpectedError
from supervisor.last_resort import LastResort, at_last
from supervisor.model import Artifact, Ending
from supervisor.settings import Settings
from supervisor.stopping import AFTER_DRAIN_SECONDS, StopOverdue
from supervisor.store.migrate import migrate

_REST_SECONDS = 15.0
"""How long a command may take to end after it was interrupted: its job is cancelled, its own database ended."""
_STEP_SECONDS = 2.0
"""How long each step of the end of that database may take then; the last one is its kill."""

FINAL = frozenset({"completed", "failed", "cancelled"})


class View(Protocol):
    """Who shows progress to a person."""

    def moved(self, job_id: str, fraction: float) -> None:
        """Show how far a job is, from 0 to 1."""

    def settled(self, job_id: str, verdict: str, ending: Ending | None) -> None:
        """Show how an attempt ended."""


class Interrupted(ExpectedError):  # noqa: N818 - reads as what happened
    """The person at the terminal pressed Ctrl-C."""

    exit_code = 130


class _Watcher:
    """Stops the supervisor when the last of its jobs has come to its final status."""

    def __init__(self, job_ids: set[str], view: View) -> None:
        self._left = set(job_ids)
        self._view = view
        self.supervisor: Supervisor | None = None
        self.fault: str | None = None
        self.interrupted = False
        self.published: dict[str, Artifact] = {}

    def job_moved(self, job_id: str, fraction: float) -> None:
        self._view.moved(job_id, fraction)

    def job_settled(self, job_id: str, verdict: str, ending: Ending | None) -> None:
        if self.interrupted:
            return  # how the interruption ended an attempt is no news to who interrupted
        self._view.settled(job_id, verdict, ending)
        if verdict == "queued" and ending is not None and ending.outcome is Outcome.INTERNAL:
            # Ours, so it would be tried again for ever; whoever waits here wants to know now.
            self.fault = ending.error
            self.stop()
        if verdict == "completed" and ending is not None and ending.artifact is not None:
            self.published[job_id] = ending.artifact
        if verdict in FINAL:
            self._left.discard(job_id)
            if not self._left:
                self.stop()

    def stop(self) -> None:
        if self.supervisor is not None:
            self.supervisor.stop()


def work_off(
    settings: Settings, job_ids: set[str], view: View, *, only: str | None = None, kind: str | None = None
) -> dict[str, Artifact]:
    """Run a supervisor until these jobs have their final status; return what it published. Raises Interrupted on Ctrl-C."""
    descriptors.raise_limit()
    last_resort = LastResort()
    last_resort.start()
    try:
        published = asyncio.run(_work_off(settings, job_ids, view, only, kind, last_resort))
    except BaseException:
        last_resort.restore()
        # The rest of the command is its end, too, and as little may hang: a database of its own is to be ended.
        last_resort.call_off()
        last_resort.within(_REST_SECONDS)
        raise
    last_resort.restore()
    last_resort.close()
    return published


async def _work_off(
    settings: Settings, job_ids: set[str], view: View, only: str | None, kind: str | None, last_resort: LastResort
) -> dict[str, Artifact]:
    watcher = _Watcher(job_ids, view)
    supervisor = watcher.supervisor = Supervisor(settings, only=only, observer=watcher, on_end=last_resort.within)
    last_resort.waits_for = supervisor.waits_for
    last_resort.seconds = lambda: AFTER_DRAIN_SECONDS

    def interrupt() -> None:
        watcher.interrupted = True
        supervisor.stop()
        supervisor.stop()  # the second one does not wait for what runs

    last_resort.stop_with(interrupt)

    def ready() -> None:
        if kind in supervisor.failed_kinds:
            # Nobody here can render it, and whoever waits would wait for ever.
            watcher.fault = supervisor.failed_kinds[kind]
            supervisor.stop()

    # What did not end is told in the log, and was killed; what was rendered is there.
    with contextlib.suppress(StopOverdue):
        await supervisor.run(ready)
    if watcher.interrupted:
        raise Interrupted("interrupted; nothing was written")
    if watcher.fault:
        raise ExpectedError(f"internal: {watcher.fault}")
    return watcher.published


@contextlib.contextmanager
def embedded_database(directory: Path | None = None) -> Iterator[str]:
    """Start a database with our schema and yield its URL; the data is kept where a directory is given."""
    with EmbeddedServer.start(directory) as server:
        url = server.url()

        def end_now() -> None:
            server.stop_seconds = _STEP_SECONDS / 2
            server.stop("immediate")

        # Should this process end itself, the server must end first: it would hear of that only if it is not stopped.
        with at_last(end_now):
            try:
                migrate(url)
                yield url
            except BaseException:
                server.stop_seconds = _STEP_SECONDS
                raise


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """Yield a temporary directory that is removed at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="jobsupervisor-") as name,
        at_last(functools.partial(shutil.rmtree, name, ignore_errors=True)),
    ):
        yield Path(name)
