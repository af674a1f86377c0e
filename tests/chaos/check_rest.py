"""What may be left on the machine and in the server: nothing."""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass
from pathlib import Path

import psutil

from supervisor.runner import MOST_OUTPUTS
from tests.chaos.admin import Admin, until
from tests.chaos.fleet import CONCURRENCY, Fleet

_PR_SET_CHILD_SUBREAPER = 36
_SHARED = Path("/dev/shm")
_GRACE = 60.0
# Each is open twice: for the child, and for the copy.
_MOST_KEPT = 2 * CONCURRENCY * MOST_OUTPUTS
_SESSIONS = """
    select application_name from pg_stat_activity
    where datname = current_database() and (application_name like 'jobsupervisor%' or application_name = 'chaos client')"""
_LISTED = "select count(*) from jobsupervisor.supervisor"


def become_subreaper() -> None:
    """Have every process that loses its parent become a child of ours, where it is found."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Before:
    """What the machine and this process had before the run."""

    processes: frozenset[psutil.Process]
    descriptors: int
    shared: frozenset[str]
    segments: frozenset[str]

    @classmethod
    def now(cls) -> Before:
        """Look."""
        return cls(
            frozenset(psutil.Process().children(recursive=True)), psutil.Process().num_fds(), _shared(), _segments()
        )


def _shared() -> frozenset[str]:
    """Return the names of POSIX shared memory, without that of PostgreSQL servers: ours is told to use none of it."""
    return frozenset(
        path.name for path in _SHARED.glob("*") if not path.is_dir() and not path.name.startswith("PostgreSQL.")
    )


def _segments() -> frozenset[str]:
    """Return System V shared memory that nobody is attached to, by key, number and creator."""
    lines = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    return frozenset(
        f"{key} {number} of {creator}" for key, number, _, _, creator, _, attached, *_ in lines if attached == "0"
    )


def descriptors(fleet: Fleet) -> list[tuple[int, int]]:
    """Return how many descriptors each supervisor has, and how many more of kept outputs, once its children are idle."""
    until(lambda: all(len(member.children()) == CONCURRENCY + 1 for member in fleet.members))
    return [member.descriptors() for member in fleet.members]


def look_at_fleet(fleet: Fleet, admin: Admin, at_start: list[tuple[int, int]]) -> list[str]:
    """Return what is wrong with supervisors that have nothing to do."""
    problems = []
    most = max(others for others, _ in at_start)
    if not until(lambda: all(n <= most and kept <= _MOST_KEPT for n, kept in descriptors(fleet)), _GRACE):
        problems.append(f"descriptors of idle supervisors: {descriptors(fleet)}, at the start {at_start}")
    listed = len(fleet.members)
    if not until(lambda: bool(admin.value(_LISTED) == listed), _GRACE):
        problems.append(f"{admin.value(_LISTED)} supervisors are listed, {listed} live")
    return problems


def look_at_server(admin: Admin) -> list[str]:
    """Return what supervisors that have stopped left in the server."""
    problems = []
    if not until(lambda: not admin.rows(_SESSIONS), _GRACE):
        problems.append(f"sessions left: {[row['application_name'] for row in admin.rows(_SESSIONS)]}")
    if left := admin.value(_LISTED):
        problems.append(f"{left} supervisors are still listed")
    return problems


def look_at_machine(before: Before, temporary: Path) -> list[str]:
    """Return what is left when even the server has stopped."""
    left = frozenset(psutil.Process().children(recursive=True)) - before.processes
    _, alive = psutil.wait_procs(list(left), timeout=_GRACE)
    problems = [f"a process is left: {_title(process)}" for process in alive]
    problems += [f"a temporary file is left: {path}" for path in temporary.rglob("*")]
    problems += [f"shared memory is left: {name}" for name in _shared() - before.shared]
    problems += [f"a System V segment is left: {name}" for name in _segments() - before.segments]
    now = psutil.Process().num_fds()
    if now > before.descriptors:
        problems.append(f"the driver has {now} descriptors, and had {before.descriptors}")
    return problems


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())}"
    return str(process.pid)
