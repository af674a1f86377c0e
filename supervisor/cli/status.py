"""The command that shows the queue, its flow, the supervisors and the children of this machine; and what it finds."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console

from supervisor.classify import printable
from supervisor.cli.tables import print_table
from supervisor.plain_text import escaped
from supervisor.settings import load
from supervisor.store.client import Client

_TITLE = "jobsupervisor: child"


@dataclass(frozen=True, slots=True)
class ChildProcess:
    """A child on this machine, as its process tells. Memory in bytes."""

    supervisor: str
    pid: int
    title: str
    cpu_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Status:
    """What `status` and `top` show."""

    jobs: list[dict[str, Any]]
    flow: dict[str, Any]
    supervisors: list[dict[str, Any]]
    children: list[ChildProcess]

    @classmethod
    def read(cls, client: Client) -> Status:
        """Ask the database, and look for the children of those supervisors that are here."""
        supervisors = client.supervisors()
        return cls(client.counts(), client.flow(), supervisors, _children(supervisors))

    @property
    def flow_line(self) -> str:
        """Throughput and ages, in a sentence."""
        flow = self.flow
        waited = flow["oldest_runnable_seconds"]
        return (
            f"completed: {flow['completed_last_minute']} in the last minute, {flow['completed_last_hour']} in the last "
            f"hour; delayed: {flow['delayed']}; oldest runnable: {'none' if waited is None else f'{waited:.1f} s'}"
        )

    @property
    def job_rows(self) -> list[tuple[str, str, str]]:
        """Status, kind, number of jobs."""
        return [(row["status"], row["kind"], str(row["jobs"])) for row in self.jobs]

    @property
    def supervisor_rows(self) -> list[tuple[str, ...]]:
        """A row per supervisor, under `SUPERVISOR_HEADERS`."""
        return [
            (
                row["name"],
                row["host"],
                str(row["pid"]),
                str(row["running"]),
                str(row["concurrency"]),
                row["started_at"].strftime("%Y-%m-%d %H:%M"),
            )
            for row in self.supervisors
        ]


SUPERVISOR_HEADERS = ("supervisor", "host", "pid", "running", "children", "since")
JOB_HEADERS = ("status", "kind", "jobs")


def status(*, as_json: Annotated[bool, typer.Option("--json", help="For programs: one object.")] = False) -> None:
    """Show the queue, its flow, the supervisors, and the children of those on this machine.

    Example: `jobsupervisor status --json`
    """
    with Client.connect(load().require_database()) as client:
        found = Status.read(client)
    if as_json:
        print(json.dumps(asdict(found), default=str, indent=2))  # noqa: T201 - the object is the output
    else:
        _print(found)


def _children(supervisors: list[dict[str, Any]]) -> list[ChildProcess]:
    """Return the children of supervisors on this machine, found by their process titles."""
    found = []
    here = socket.gethostname()
    # A number says nothing of another machine's process, and in containers every supervisor is number 1.
    for supervisor in (supervisor for supervisor in supervisors if supervisor["host"] == here):
        try:
            processes = psutil.Process(supervisor["pid"]).children(recursive=True)
        except psutil.Error:
            continue
        for process in processes:
            try:
                title = " ".join(process.cmdline()).strip()
                if title.startswith(_TITLE):
                    seconds = round(sum(process.cpu_times()[:2]), 2)
                    memory = process.memory_info().rss
                    # A job can write what it likes there.
                    found.append(ChildProcess(supervisor["name"], process.pid, printable(title), seconds, memory))
            except psutil.Error:
                continue
    return found


def _print(found: Status) -> None:
    if found.jobs:
        print_table(JOB_HEADERS, found.job_rows)
    else:
        _say("no jobs")
    _say(found.flow_line)
    if found.supervisors:
        print_table(SUPERVISOR_HEADERS, found.supervisor_rows)
    else:
        _say("no supervisor is running")
    for child in found.children:
        _say(f"{child.title}: {child.memory_bytes // 1048576} MB, {child.cpu_seconds} s of processor time")


def _say(text: str) -> None:
    Console().print(escaped(text), markup=False, emoji=False, soft_wrap=True)
