"""Runs hostile cases in one service, all at once and beside honest jobs; keeps what was recorded and what was left.

It runs once for all workers of a test run: the first one that asks does it, the others wait for its file.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from renderer import samples
from tests.hostile.cases import Case, Ended
from tests.hostile.machine_memory import KernelMemory
from tests.hostile.plugins.files import MARK
from tests.service.support import PATIENCE, PLUGINS, Queue, Service, artifact

FAMILIES = ("memory", "deadlines", "processes", "endings", "files", "privileges", "network", "protocol", "kernel")
HOSTILE = ",".join(
    [f"{name}=tests.hostile.plugins.{name}:render" for name in FAMILIES]
    + ["family=tests.hostile.plugins.processes:family", "spread=tests.hostile.plugins.spread:render"]
)
CHILDREN = 4
ABSTRACT = f"{MARK}-abstract"


@dataclass(frozen=True, slots=True)
class Left:
    """What there was of the service before the hostile jobs and after them, and what they left outside of it."""

    processes: tuple[int, int]
    descriptors: tuple[dict[str, int], dict[str, int]]
    resident: tuple[int, int]
    files: list[str]
    """Files of the artifact directory that no completed job refers to."""
    elsewhere: list[str]
    kernel: tuple[int, int]
    """Memory of the kernel's own, in bytes: before, and the most that was seen."""
    exit_code: int
    errors: list[dict[str, Any]]
    log_bytes: int
    secrets: list[str]
    """Processes of the service that know of the database: in their environment, command line or what they mapped."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The hostile jobs by the id of their case, the honest ones, and what was left."""

    hostile: dict[str, Ended]
    honest: list[Ended]
    left: Left


def once(directory: Path, run: Callable[[], Aftermath]) -> Aftermath:
    """Return what `run` does, or what it did in another worker."""
    with (directory / "hostile.json").open("a+") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        kept.seek(0)
        if not (text := kept.read()):
            text = json.dumps(asdict(run()), default=str)
            kept.write(text)
    found = json.loads(text)
    return Aftermath(
        {name: Ended(**ended) for name, ended in found["hostile"].items()},
        [Ended(**ended) for ended in found["honest"]],
        Left(**found["left"]),
    )


def run(url: str, directory: Path, cases: Sequence[Case]) -> Aftermath:
    """Run the cases and some honest jobs in one service."""
    secret = directory / "secret"
    secret.write_text("for nobody")
    settings = {
        "RENDER_CONCURRENCY": CHILDREN,
        "RENDER_OUTPUT_LIMIT_MB": 8,
        "RENDER_PLUGINS": f"{PLUGINS},{HOSTILE}",
        "RENDER_ALLOW_NEEDS": "family:subprocesses,spread:subprocesses",
    }
    with (
        _targets(directory) as targets,
        Service(url, directory, **settings) as service,
        Queue(url, plugins=f"{PLUGINS},{HOSTILE}") as queue,
        KernelMemory() as kernel,
    ):
        targets["secrets"] = [str(secret), str(service.log), f"/proc/{service.process.pid}/environ", str(directory)]
        service.ready()
        queue.final(queue.enqueue("noop", {}))
        before = _settled(service, None)
        secrets = list(_secrets(service))
        jobs = {}
        honest = []
        for number, case in enumerate(cases):
            spec = case.spec
            if isinstance(spec, dict) and "do" in spec:
                spec = spec | targets
            jobs[case.id] = queue.enqueue(case.kind, spec, **case.options)
            if number % 4 == 0:
                honest.append(queue.enqueue(*_honest(number)))
        ended = {name: _ended(queue, job) for name, job in jobs.items()}
        beside = [_ended(queue, job) for job in honest]
        after = _settled(service, before)
        urls = {row.job["output_url"] for row in (*ended.values(), *beside)}
        left = _left(service, before, after, urls, secrets, (kernel.first, kernel.most))
        return Aftermath(ended, beside, left)


def _honest(number: int) -> tuple[str, dict[str, Any]]:
    return ("svg", samples.svg()) if number % 8 == 0 else ("write", {"text": "honest"})


def _ended(queue: Queue, job: str) -> Ended:
    row = queue.final(job)
    letters = queue.rows("select failure, attempts from render_dead_letters where id = %s", job)
    content = artifact(row).decode(errors="replace") if row["status"] == "completed" else None
    return Ended(row, queue.attempts(job), letters, content)


@contextlib.contextmanager
def _targets(directory: Path) -> Iterator[dict[str, Any]]:
    """Open what no job may reach: a port, an abstract socket and one with a path."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as named,
    ):
        name = f"{ABSTRACT}-{os.getpid()}"
        abstract.bind(f"\0{name}")
        abstract.listen()
        path = str(directory / "socket")
        named.bind(path)
        named.listen()
        Path(path).chmod(0o777)
        yield {"port": server.getsockname()[1], "abstract": name, "path": path}


@dataclass(frozen=True, slots=True)
class _State:
    processes: int
    descriptors: dict[str, int]
    resident: int


def _settled(service: Service, goal: _State | None) -> _State:
    """Wait until all children are up, and until there is as much as there was before; return what there is."""
    deadline = time.monotonic() + PATIENCE
    while True:
        # Two for the fork server and the process around it; for each child, with the spare, its keeper and itself.
        state = _State(len(service.processes()), _descriptors(service.process.pid), _resident(service.process.pid))
        whole = 2 + 2 * (CHILDREN + 1)
        same = goal is None or state.descriptors == goal.descriptors
        if (state.processes == whole and same) or time.monotonic() > deadline:
            return state
        select.poll().poll(20)


def _descriptors(pid: int) -> dict[str, int]:
    """Count a process's descriptors by what they are."""
    found = collections.Counter[str]()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[str(entry.readlink()).split(":[")[0]] += 1
    return dict(sorted(found.items()))


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _secrets(service: Service) -> Iterator[str]:
    for process in service.processes():
        for name in ("environ", "cmdline", "maps"):
            # Of a child its own user may not look at all, no more than another of its jobs.
            with contextlib.suppress(PermissionError):
                text = Path(f"/proc/{process.pid}/{name}").read_bytes()
                if any(word in text for word in (b"DATABASE_URL", b"postgresql", b"psycopg")):
                    yield f"{name} of {' '.join(process.cmdline())}"


def _left(
    service: Service, before: _State, after: _State, urls: set[str], secrets: list[str], kernel: tuple[int, int]
) -> Left:
    known = {url.removeprefix("file://") for url in urls if url}
    files = [str(path) for path in service.published() if str(path) not in known]
    exit_code = service.stop()
    return Left(
        (before.processes, after.processes),
        (before.descriptors, after.descriptors),
        (before.resident, after.resident),
        files,
        list(_elsewhere()),
        kernel,
        exit_code,
        [line for line in service.lines() if line["level"] in {"error", "critical"}],
        service.log.stat().st_size,
        secrets,
    )


def _elsewhere() -> Iterator[str]:
    """Yield what bears the mark of a hostile job on the machine: files, shared memory, queues, sockets."""
    for place in ("/", "/tmp", "/dev/shm", "/usr/lib", "/etc", "/dev"):
        yield from map(str, Path(place).glob(f"*{MARK}*"))
        yield from map(str, Path(place).glob("*hostile-[fmp]*"))
    for kind in ("shm", "sem", "msg"):
        for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]:
            if int(line.split()[0]) == 0x6A6F6273:
                yield f"{kind} {line}"
