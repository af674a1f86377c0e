"""Open files: a supervisor takes as many as it may have, refuses to start with too few, and charges no job for its own lack of them."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import resource
import select
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from supervisor import descriptors
from supervisor.errors import ConfigurationError
from tests.commands import environment
from tests.prepared import COMMAND
from tests.service.support import ByScript, Queue, artifact
from tests.web.support import SQUARE, free_port

NOFILE = resource.RLIMIT_NOFILE


class Limited(ByScript):
    """A supervisor that is started with a soft limit of 1,024, as a login has it."""

    command = ("prlimit", "--nofile=1024:8192", *ByScript.command)


def limit_for(pid: int, spare: int) -> int:
    """Return the limit with which a process can open so many files more: a number is free where no file has it."""
    taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}  # noqa: PTH208 - numbers
    free = (number for number in itertools.count() if number not in taken)
    return next(itertools.islice(free, spare, None))


def in_a_moment(queue: Queue, jobs: list[str]) -> None:
    """Give some jobs a second to end, or to be sent back."""
    pause, deadline = select.poll(), time.monotonic() + 1
    while time.monotonic() < deadline:
        if all(queue.job(job)["status"] in {"completed", "failed"} or queue.job(job)["failure"] for job in jobs):
            return
        pause.poll(20)


def test_the_rule() -> None:
    """What is needed grows with the children, and a limit that is too low is named with the way out."""
    _, hard = resource.getrlimit(NOFILE)
    assert descriptors.needed(64) - descriptors.needed(63) == descriptors.PER_CHILD
    most = descriptors.limit() or 10**9
    descriptors.require((most - descriptors.OTHERS) // descriptors.PER_CHILD)
    with pytest.raises(ConfigurationError, match=r"RENDER_CONCURRENCY: \d+ children need \d+ open files.*LimitNOFILE="):
        descriptors.require(most)
    assert resource.getrlimit(NOFILE)[1] == hard


@pytest.mark.parametrize(("children", "way_out"), [(64, "or set RENDER_CONCURRENCY to at most 9"), (10, "at most 9")])
def test_a_hard_limit_that_is_too_low(children: int, way_out: str, database: str, tmp_path: Path) -> None:
    """It is refused at the start and told by doctor, instead of found out by a job."""
    settings = {"DATABASE_URL": database, "RENDER_CONCURRENCY": str(children), "RENDER_SANDBOX": "off"}
    limited = ["prlimit", "--nofile=1024:1024", str(COMMAND)]
    ran = subprocess.run(
        [*limited, "run"],
        env=environment(tmp_path, **settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"{children} children need {descriptors.needed(children)} open files" in ran.stderr
    assert way_out in ran.stderr
    assert "Traceback" not in ran.stderr
    told = subprocess.run(
        [*limited, "doctor"],
        env=environment(tmp_path, **settings, COLUMNS="300"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert "open files" in told.stdout
    assert way_out in told.stdout


def test_many_children_under_a_soft_limit(database: str, tmp_path: Path) -> None:
    """With 1,024, as a login has it, and 24 children: the soft limit is raised, all come up, no job is charged for it.

    With 64 of them jobs were charged, and the supervisor ended with a traceback.
    """
    with Limited(database, tmp_path, RENDER_CONCURRENCY=24) as service, Queue(database) as queue:
        service.ready()
        assert resource.prlimit(service.process.pid, NOFILE) == (8192, 8192)
        jobs = [queue.enqueue("write", {"text": str(number)}) for number in range(100)]
        assert [artifact(queue.final(job)) for job in jobs] == [str(number).encode() for number in range(100)]
        assert {outcome for job in jobs for outcome in queue.outcomes(job)} == {"ok"}
        assert service.stop() == 0
        assert "Traceback" not in service.log.read_text()


def test_no_job_is_charged_for_ours(database: str, tmp_path: Path) -> None:
    """The limit is set to what is open, and a few more: wherever the supervisor meets it, jobs wait or go back uncharged.

    It lives, says so without a traceback, answers HTTP again, and completes everything once there is room.
    """
    port = free_port()
    with ByScript(database, tmp_path, HTTP_PORT=port, RENDER_CONCURRENCY=3) as service, Queue(database) as queue:
        service.ready()
        pid = service.process.pid
        _, hard = resource.prlimit(pid, NOFILE)
        first = queue.enqueue("write", {"text": "so that all is imported"})
        queue.final(first)
        jobs: list[str] = []
        for spare in (0, 1, 2, 3, 4, 5, 7, 9, 12):
            resource.prlimit(pid, NOFILE, (limit_for(pid, spare), hard))
            jobs += [queue.enqueue("write", {"text": f"{spare}"}), queue.enqueue("svg", SQUARE)]
            jobs += [queue.enqueue("signal_itself", {"number": 9}, max_attempts=1)]
            for path in ("api/jobs", f"api/jobs/{first}/artifact", "", "api/health", "api/metrics"):
                with contextlib.suppress(OSError, http.client.HTTPException):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=0.3).read()
            in_a_moment(queue, jobs[-3:])
            resource.prlimit(pid, NOFILE, (hard, hard))
            queue.execute("update jobsupervisor.job set run_at = now() where state = 'delayed'")
            queue.execute("notify jobsupervisor_wake")
        for job in jobs:
            queue.final(job)
        found = {outcome for job in jobs for outcome in queue.outcomes(job)}
        assert found <= {"ok", "internal", "crash"}, found
        for job in jobs:
            row = queue.job(job)
            assert row["attempts"] == 1, row
        health = urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=60)
        assert health.status == 200
        assert service.stop() == 0
        assert "Traceback" not in service.log.read_text()


def test_no_job_is_charged_for_the_fork_server_s(database: str, tmp_path: Path) -> None:
    """As above, with the limit on the fork server: it cannot take the sockets of a child, or fork one, for a while."""
    with ByScript(database, tmp_path, RENDER_CONCURRENCY=3) as service, Queue(database) as queue:
        service.ready()
        queue.final(queue.enqueue("write", {"text": "so that all is imported"}))
        pid = service.fork_server().pid
        _, hard = resource.prlimit(pid, NOFILE)
        jobs: list[str] = []
        for spare in range(6):
            resource.prlimit(pid, NOFILE, (limit_for(pid, spare), hard))
            jobs += [queue.enqueue("write", {"text": f"{spare}"}), queue.enqueue("svg", SQUARE)]
            jobs += [queue.enqueue("signal_itself", {"number": 9}, max_attempts=1)]
            in_a_moment(queue, jobs[-3:])
            resource.prlimit(pid, NOFILE, (hard, hard))
        for job in jobs:
            queue.final(job)
        assert {outcome for job in jobs for outcome in queue.outcomes(job)} <= {"ok", "internal", "crash"}
        assert {queue.job(job)["attempts"] for job in jobs} == {1}
        assert service.fork_server().pid == pid
        assert service.stop() == 0
        assert "Traceback" not in service.log.read_text()
