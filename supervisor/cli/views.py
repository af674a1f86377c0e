"""Shows the progress of jobs: bars on a terminal, plain lines elsewhere. Both write to standard error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from supervisor.local import FINAL, View
from supervisor.model import Ending
from supervisor.plain_text import escaped

_STEP = 0.25
"""Plain lines are written at quarters: enough to see that it lives, few enough for a log."""


def _word(verdict: str, ending: Ending | None) -> str:
    """Return how an attempt ended, in a few words."""
    if verdict == "completed" or ending is None:
        return verdict
    return f"{ending.outcome.value}, {'dead letter' if verdict == 'failed' else 'will be tried again'}"


class _Bars:
    """A bar per job."""

    def __init__(self, progress: Progress, names: Mapping[str, str]) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {
            job_id: progress.add_task(escaped(name), total=1.0, word="") for job_id, name in names.items()
        }

    def moved(self, job_id: str, fraction: float) -> None:
        self._progress.update(self._tasks[job_id], completed=fraction)

    def settled(self, job_id: str, verdict: str, ending: Ending | None) -> None:
        done = {"completed": 1.0} if verdict == "completed" else {}
        self._progress.update(self._tasks[job_id], word=_word(verdict, ending), **done)  # type: ignore[arg-type]
        if verdict in FINAL:
            self._progress.stop_task(self._tasks[job_id])


class _Lines:
    """A line per step."""

    def __init__(self, console: Console, names: Mapping[str, str]) -> None:
        self._console = console
        self._names = names
        self._next: dict[str, float] = dict.fromkeys(names, _STEP)

    def _say(self, job_id: str, text: str) -> None:
        self._console.print(
            f"{escaped(self._names[job_id])}: {text}", highlight=False, markup=False, emoji=False, soft_wrap=True
        )

    def moved(self, job_id: str, fraction: float) -> None:
        if fraction >= self._next[job_id]:
            self._next[job_id] = fraction - fraction % _STEP + _STEP
            self._say(job_id, f"{fraction:.0%}")

    def settled(self, job_id: str, verdict: str, ending: Ending | None) -> None:
        if verdict not in FINAL:
            self._next[job_id] = _STEP
        self._say(job_id, _word(verdict, ending))


@contextlib.contextmanager
def progress_view(names: Mapping[str, str]) -> Iterator[View]:
    """Yield a view of jobs, given their names by id."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console, names)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[word]}", markup=False),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bars(progress, names)
