"""Cases 15, 24 and 25: what hostile code does to its parents, or to a service whose parents are killed."""

from __future__ import annotations

import functools
import signal
from pathlib import Path

import psutil
import pytest

from tests.hostile.aftermath import HOSTILE
from tests.prepared import CHECKOUT
from tests.service.support import PATIENCE, Queue, Service, artifact, service_and_queue

WRITE = "write=tests.kinds.behaviour:write"
RAISES_LATER = """
import os
from pathlib import Path
FLAG = Path(__file__).with_name("flag")
def fail():
    if FLAG.exists():
        os._exit(7)
os.register_at_fork(after_in_child=fail)
def render(spec, config, out): pass
"""


@pytest.mark.parametrize("who", ["supervisor", "fork server"])
def test_24_processes_that_want_to_stay_die_with_their_parents(database: str, tmp_path: Path, who: str) -> None:
    """Jobs undo what ties them to their parents and leave their sessions; SIGKILL of a parent ends all of them at once.

    The job of a supervisor that was killed is rescued by the next one, and was not charged.
    """
    settings = {"RENDER_PLUGINS": HOSTILE, "RENDER_ALLOW_NEEDS": "family:subprocesses", "RENDER_CONCURRENCY": 2}
    with Queue(database, plugins=HOSTILE) as queue:
        stay = {"do": "outlive"}
        jobs = [queue.enqueue("family", stay), queue.enqueue("processes", stay | {"alone": True})]
        with Service(database, tmp_path, **settings) as service:
            service.ready()
            for job in jobs:
                queue.running(job)
            processes = service.processes()
            outer = psutil.Process(service.process.pid).children()
            if who == "supervisor":
                service.process.kill()
                service.process.wait()
            else:
                for process in outer:
                    process.kill()
            _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
            assert not alive
            if who == "fork server":
                for job in jobs:
                    queue.until(job, functools.partial(_ended_once, queue, job))
                    assert queue.outcomes(job)[0] == "internal"
                    queue.rows("select cancel_render(%s)", job)
                assert service.stop() == 0
                return
        for job in jobs:
            assert queue.job(job)["status"] == "processing"
        with Service(database, tmp_path, **settings) as successor:
            successor.ready()
            for job in jobs:
                queue.until(job, functools.partial(_ended_once, queue, job))
                assert queue.outcomes(job)[0] == "lost"
                assert queue.job(job)["attempts"] <= 1  # the attempt that runs by now
                queue.rows("select cancel_render(%s)", job)
                assert queue.final(job)["status"] == "cancelled"
            assert successor.stop() == 0


def _ended_once(queue: Queue, job: str, row: object) -> bool:  # noqa: ARG001 - what `until` hands over
    return queue.outcomes(job)[0] is not None


def test_25_children_that_fail_to_boot_charge_nobody(database: str, tmp_path: Path) -> None:
    """While every new child dies at its birth, jobs wait uncharged and the log says so once; then they complete."""
    (tmp_path / "at_fork.py").write_text(RAISES_LATER)
    plugins = f"{WRITE},gate=at_fork:render"
    settings = {"RENDER_PLUGINS": plugins, "PYTHONPATH": f"{tmp_path}:{CHECKOUT}", "RENDER_CONCURRENCY": 2}
    with (
        Service(database, tmp_path, **settings, RENDER_ALLOW_NEEDS=f"gate:read={tmp_path}") as service,
        Queue(database, plugins=plugins) as queue,
    ):
        service.ready()
        # One after the other until every child is up, so that three of them are used up below.
        assert artifact(queue.final(queue.enqueue("write", {"text": "before"}))) == b"before"
        (tmp_path / "flag").touch()
        jobs = [queue.enqueue("write", {"text": str(number)}) for number in range(8)]
        queue.until(jobs[0], lambda _: service.events("child.cannot_start"))
        (first,) = service.events("child.cannot_start")
        assert "ended before it was ready" in first["problem"]
        waiting = [job for job in jobs if queue.outcomes(job) in ([], [None])]
        assert len(waiting) >= 4
        assert {queue.job(job)["failure"] for job in waiting} == {None}
        (tmp_path / "flag").unlink()
        for number, job in enumerate(jobs):
            row = queue.final(job)
            assert artifact(row) == str(number).encode()
            assert (row["attempts"], queue.outcomes(job)) == (1, ["ok"]), queue.attempts(job)
        assert service.stop() == 0


def test_15_an_import_that_never_ends_costs_its_own_kind(database: str, tmp_path: Path) -> None:
    """Imports that hang, deaf, with processes of their own, are ended at their deadline; the service serves the others."""
    (tmp_path / "hangs.py").write_text(
        "import os, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n    os.setsid()\n    os.fork()\n"
        "while True:\n    signal.pause()\n"
    )
    (tmp_path / "dies.py").write_text("import ctypes\nctypes.string_at(0)\n")
    plugins = f"{WRITE},hangs=hangs:render,dies=dies:render"
    with service_and_queue(
        database,
        tmp_path,
        RENDER_PLUGINS=plugins,
        PYTHONPATH=f"{tmp_path}:{CHECKOUT}",
        RENDER_PLUGIN_IMPORT_SECONDS=5,
        RENDER_ALLOW_NEEDS="",
    ) as (service, queue):
        assert artifact(queue.final(queue.enqueue("write", {"text": "served"}))) == b"served"
        problems = {line["kind"]: line["problem"] for line in service.events("kind.unavailable")}
        assert problems.keys() == {"hangs", "dies"}
        assert "importing it must take at most 5 s; it was ended" in problems["hangs"]
        assert f"importing it ended the process (wait status {int(signal.SIGSEGV)})" in problems["dies"]
        assert service.stop() == 0
