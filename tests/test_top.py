"""`jobsupervisor top`, on a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
from pathlib import Path

from tests.commands import environment, fails, succeeds
from tests.prepared import COMMAND
from tests.service.support import PATIENCE, service_and_queue


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=variables)
        os.close(theirs)
        self._said = ""

    def until(self, text: str) -> None:
        """Wait until it has shown a text since the last wait."""
        while text not in self._said:
            assert select.select([self._ours], [], [], PATIENCE)[0], self._said
            self._said += os.read(self._ours, 65536).decode(errors="replace")
        self._said = ""

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self._ours, key.encode())

    def close(self) -> None:
        """End the command, if it runs, and the terminal."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def test_status_looks_for_children_on_this_machine_alone(database: str, tmp_path: Path) -> None:
    """A supervisor of another host may have the number of one that is here: those children are not its own."""
    with service_and_queue(database, tmp_path, RENDER_CONCURRENCY=1) as (service, queue):
        queue.rows(
            "insert into jobsupervisor.supervisor (name, host, pid, concurrency, lease_until)"
            " select 'far', 'elsewhere', pid, concurrency, now() + interval '1 hour' from jobsupervisor.supervisor returning 1"
        )
        state = json.loads(succeeds(tmp_path, "status", "--json", DATABASE_URL=database))
        assert {row["pid"] for row in state["supervisors"]} == {service.process.pid}
        assert {child["supervisor"] for child in state["children"]} == {"main"}


def test_top_follows_what_happens(database: str, tmp_path: Path) -> None:
    """It shows the supervisor and the child with its job, then that it is idle again; q ends it and restores the screen."""
    with service_and_queue(database, tmp_path, RENDER_CONCURRENCY=1) as (_, queue):
        job = queue.enqueue("gate", {"gate": str(tmp_path / "gate")})
        queue.running(job)
        variables = environment(tmp_path, DATABASE_URL=database, TERM="xterm", COLUMNS="160", LINES="40")
        terminal = Terminal(str(COMMAND), "top", "--every", "0.2", **variables)
        try:
            terminal.until(f"[gate {job}]")
            (tmp_path / "gate").touch()
            queue.final(job)
            terminal.until("completed")
            terminal.until("[idle]")
            terminal.press("q")
            assert terminal.process.wait(PATIENCE) == 0
            terminal.until("\x1b[?1049l")
        finally:
            terminal.close()


def test_top_needs_a_terminal(tmp_path: Path, database: str) -> None:
    """A program is told what is for programs."""
    assert "status --json" in fails(2, tmp_path, "top", DATABASE_URL=database)
