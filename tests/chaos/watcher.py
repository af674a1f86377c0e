"""Reads the log lines of the supervisors as they come, counts their events, and wakes who waits for one."""

from __future__ import annotations

import collections
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import orjson


class Watcher:
    """A thread for each log pipe, and one condition for all that wait."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._changed = threading.Condition()
        self._counts: collections.Counter[str] = collections.Counter()
        self._threads: list[threading.Thread] = []
        self.started: set[str] = set()
        """Jobs that a child was given."""
        self.serving: set[str] = set()
        """Names under which a log was followed whose supervisor said that it takes jobs."""
        self._strange: list[tuple[str, str]] = []

    def follow(self, name: str, pipe: int) -> None:
        """Read a log pipe, which is ours from here on, until all who may write to it are gone."""
        thread = threading.Thread(target=self._read, args=(name, pipe), name=f"log of {name}")
        self._threads.append(thread)
        thread.start()

    def count(self, *events: str) -> int:
        """Return how often these events have been logged."""
        with self._changed:
            return sum(self._counts[event] for event in events)

    def note(self, event: str) -> None:
        """Count an event of our own, and wake who waits."""
        with self._changed:
            self._counts[event] += 1
            self._changed.notify_all()

    def mark(self, text: str) -> None:
        """Write down, beside the logs, what is about to be done to the supervisors."""
        with (self._directory / "monkey.log").open("a") as log:
            log.write(f"{datetime.now(UTC).isoformat()} {text}\n")

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition holds, which is looked at after each event; False when the time is over first."""
        with self._changed:
            return self._changed.wait_for(condition, seconds)

    @property
    def strange(self) -> list[str]:
        """Lines that are no event: tracebacks, and whatever a supervisor that had started wrote beside its log.

        One that cannot start, its database or its fork server being gone, says so in a line for people.
        """
        failed = {name for name, line in self._strange if line.startswith("Traceback")}
        return [f"{name}: {line}" for name, line in self._strange if name in self.serving | failed]

    def close(self, seconds: float) -> list[str]:
        """Wait until every pipe is at its end; return the names of those that somebody still holds open."""
        for thread in self._threads:
            thread.join(seconds)
        return [thread.name for thread in self._threads if thread.is_alive()]

    def _read(self, name: str, pipe: int) -> None:
        with os.fdopen(pipe, "rb") as lines, (self._directory / f"{name}.log").open("ab") as log:
            for line in lines:
                log.write(line)
                self._take(name, line)
        self.note("log.ended")

    def _take(self, name: str, line: bytes) -> None:
        try:
            found = orjson.loads(line)
            event = str(found["event"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            self._strange.append((name, line.decode(errors="replace").rstrip()))
            return
        if event == "job.started":
            self.started.add(found["job_id"])
        elif event == "supervisor.started":
            self.serving.add(name)
        self.note(event)
