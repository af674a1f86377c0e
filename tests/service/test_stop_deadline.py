"""A stop has a deadline of its own: whoever it waits for is stopped, silent or gone, and it ends all the same, and says so."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from supervisor.stopping import AFTER_DRAIN_SECONDS, HURRY_SECONDS
from tests.alerts.receiver import Receiver
from tests.commands import environment, open_home
from tests.database.support import migrated_server, wait_until
from tests.prepared import CHECKOUT, start
from tests.service.support import PATIENCE, WITHOUT_SCENE, Queue, Service
from tests.service.test_stop import hours, silent

_SLACK = 20.0
"""Seconds beyond a deadline, on a machine that does other things."""


def everything(service: Service) -> list[psutil.Process]:
    """Return what descends from the service."""
    return psutil.Process(service.process.pid).children(recursive=True)


def ended(service: Service, *, within: float, signals: int = 1) -> tuple[int, list[psutil.Process]]:
    """Ask for the end, so many times; return the exit code, and what is left of the service's processes."""
    processes, began = everything(service), time.monotonic()
    for _ in range(signals):
        service.process.send_signal(signal.SIGTERM)
        # Two that come before one is heard are one.
        threading.Event().wait(0.5)
    code = service.process.wait(within + _SLACK)
    assert time.monotonic() - began < within + _SLACK
    _, left = psutil.wait_procs(processes, timeout=PATIENCE)
    return code, left


def waited_for(service: Service) -> str:
    """Return all that the log names."""
    late = [line["waiting_for"] for line in service.events("supervisor.stop_overdue")]
    last = [name for line in service.events("supervisor.killed_itself") for name in line["waiting_for"]]
    return "; ".join([*late, *last])


def uncharged(queue: Queue, job: str) -> None:
    """Check that the job was given back, and not charged."""
    row = queue.job(job)
    assert (row["status"], row["attempts"]) == ("queued", 0), (row, queue.attempts(job))
    assert set(queue.outcomes(job)) <= {"internal"}


def test_a_child_that_is_stopped(database: str, tmp_path: Path) -> None:
    """SIGSTOP holds a child and not its kill: all is as if it ran."""
    with Service(database, tmp_path, RENDER_SHUTDOWN_SECONDS=0.2) as service, Queue(database) as queue:
        service.ready()
        job = hours(queue)
        service.child_with(job).suspend()
        assert ended(service, within=AFTER_DRAIN_SECONDS) == (0, [])
        assert waited_for(service) == ""
        uncharged(queue, job)


def test_a_fork_server_that_is_stopped(database: str, tmp_path: Path) -> None:
    """It reports no end of a child that was killed: it is killed too, named, and the jobs go back."""
    with Service(database, tmp_path, RENDER_SHUTDOWN_SECONDS=0.2) as service, Queue(database) as queue:
        service.ready()
        job = hours(queue)
        child = service.child_with(job)
        service.fork_server().suspend()
        assert ended(service, within=AFTER_DRAIN_SECONDS) == (1, [])
        assert f"(process {child.pid}) to end" in waited_for(service)
        assert not service.events("supervisor.left_behind")
        uncharged(queue, job)


def test_a_fork_server_that_is_stopped_while_nothing_runs(database: str, tmp_path: Path) -> None:
    """Its idle children are killed, and it is killed for not saying that they are gone."""
    with Service(database, tmp_path) as service:
        service.ready()
        service.fork_server().suspend()
        _, left = ended(service, within=AFTER_DRAIN_SECONDS)
        assert left == []
        assert service.events("forkserver.killed")


def test_a_helper_of_alerts_that_is_stopped(database: str, tmp_path: Path) -> None:
    """The process that tells a channel is stopped in the middle: it is killed, and nothing is left of it."""
    with Receiver().serving() as receiver:
        receiver.behave = receiver.hang
        alerts = {"ALERT_URLS": f"json://{receiver.address}", "ALERT_QUEUE_DEPTH": 0, "ALERT_HOLD_SECONDS": 0.1}
        settings = {"RENDER_CONCURRENCY": 1, "RENDER_POLLING_INTERVAL": 0.2, "RENDER_SHUTDOWN_SECONDS": 0.2, **alerts}
        with Service(database, tmp_path, **settings) as service, Queue(database) as queue:
            service.ready()
            hours(queue)
            for _ in range(3):
                queue.enqueue("noop", {})
            receiver.wait_for(1)
            (helper,) = [
                one for one in psutil.Process(service.process.pid).children() if "errand" in str(one.cmdline())
            ]
            helper.suspend()
            assert ended(service, within=AFTER_DRAIN_SECONDS) == (0, [])


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    """The server takes everything and says nothing: the first signal is enough, and the next start gives the job back."""
    with migrated_server() as server:
        with Service(server.url(), tmp_path, RENDER_SHUTDOWN_SECONDS=0.2) as service:
            with Queue(server.url()) as queue:
                service.ready()
                job = hours(queue)
            with silent(server):
                _, left = ended(service, within=AFTER_DRAIN_SECONDS)
                assert left == []
            assert service.events("supervisor.left_behind")
        with Queue(server.url()) as queue:
            assert queue.job(job)["status"] in {"processing", "queued"}


@contextlib.contextmanager
def deaf_listener() -> Iterator[str]:
    """Yield the address of a server that takes connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_an_object_store_that_hangs_while_the_service_starts(database: str, tmp_path: Path) -> None:
    """The thread that tries the store cannot be cancelled: the process says where it stands, and ends itself."""
    with deaf_listener() as address:
        store = {
            "RENDER_ARTIFACTS_URL": "s3://renders/hangs",
            "AWS_ENDPOINT_URL": address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_REGION": "us-east-1",
        }
        with Service(database, tmp_path, **store) as service:
            service.wait_for_notice("STATUS=starting")
            code, left = ended(service, within=AFTER_DRAIN_SECONDS)
            assert (code, left) == (1, [])
            assert "prepare" in waited_for(service)


# What a site of the operator's may do to a process; here it makes a part of the service hang where a test says so.
_HANG = """
import os, signal, threading, time
where = os.environ["HANGS"]
gate = os.environ["HANG_GATE"]

def hang(*_, **__):
    open(gate, "w").close()
    time.sleep(3600)

def patch():
    if where == "the loop":
        import asyncio
        from supervisor.core import Supervisor
        reload = Supervisor.reload
        Supervisor.reload = hang
    elif where == "publishing":
        from supervisor.artifacts.directory import ArtifactDirectory
        names = [name for name in dir(ArtifactDirectory) if name.startswith("_publish")]
        for name in names:
            setattr(ArtifactDirectory, name, hang)
    elif where == "alerts":
        async def for_ever(*_, **__):
            open(gate, "w").close()
            import asyncio
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    pass
        from supervisor.alerts.alerts import Alerts
        Alerts.stop = for_ever
patch()
from supervisor.launcher import main
raise SystemExit(main())
"""


class Hanging(Service):
    """A service with a part that hangs."""

    def __init__(self, where: str, url: str, directory: Path, **settings: object) -> None:
        self.gate = directory / "hangs"
        self.command = (sys.executable, "-c", _HANG, "run")
        super().__init__(url, directory, HANGS=where, HANG_GATE=self.gate, **settings)

    def hangs(self) -> None:
        """Wait until it does."""
        wait_until(self.gate.exists, self.log.read_text)


def test_a_loop_that_hangs_hears_signals(database: str, tmp_path: Path) -> None:
    """Nothing acts on signals any more: the second one ends the process in its time, all processes with it."""
    with Hanging("the loop", database, tmp_path) as service:
        service.ready()
        service.process.send_signal(signal.SIGHUP)
        service.hangs()
        assert ended(service, within=HURRY_SECONDS, signals=2) == (1, [])
        assert "thread MainThread in" in waited_for(service)


def test_the_third_signal_ends_it_at_once(database: str, tmp_path: Path) -> None:
    """It waits for nothing."""
    with Hanging("the loop", database, tmp_path) as service:
        service.ready()
        service.process.send_signal(signal.SIGHUP)
        service.hangs()
        began = time.monotonic()
        assert ended(service, within=HURRY_SECONDS, signals=3) == (1, [])
        assert time.monotonic() - began < HURRY_SECONDS
        assert service.events("supervisor.killed_itself")[0]["reason"] == "it was asked for three times"


def test_a_thread_that_publishes_for_ever(database: str, tmp_path: Path) -> None:
    """An artifact store that hangs in the kernel: the job goes back uncharged, and the log names the artifact and the thread."""
    with Hanging("publishing", database, tmp_path, RENDER_SHUTDOWN_SECONDS=0.2) as service, Queue(database) as queue:
        service.ready()
        job = queue.enqueue("write", {"text": "never stored"})
        service.hangs()
        assert ended(service, within=AFTER_DRAIN_SECONDS) == (1, [])
        assert f"the artifact store (publish {job})" in waited_for(service)
        assert not service.events("supervisor.left_behind")
        uncharged(queue, job)


def test_a_step_that_does_not_even_heed_its_cancellation(database: str, tmp_path: Path) -> None:
    """It is named, and left; the other steps are done, and the process ends itself."""
    with Hanging("alerts", database, tmp_path) as service, Queue(database) as queue:
        service.ready()
        assert queue.final(queue.enqueue("noop", {}))["status"] == "completed"
        assert ended(service, within=AFTER_DRAIN_SECONDS) == (1, [])
        assert "channels of alerts" in waited_for(service)
        assert not queue.rows("select from jobsupervisor.supervisor")


def test_a_one_shot_run_whose_own_database_is_stopped(tmp_path: Path) -> None:
    """SIGTERM while nothing of the embedded server answers: the command and the server are gone, and their files."""
    with open_home() as home:
        (home / "spec.json").write_text("{}")
        with (tmp_path / "said").open("wb") as said:
            process = start(
                ["render", "spec.json", "--kind", "sleep", "-o", "out.txt"],
                environment(home, RENDER_PLUGINS=WITHOUT_SCENE, PYTHONPATH=str(CHECKOUT)),
                directory=home,
                stderr=said.fileno(),
            )
        try:
            child = wait_until(lambda: _renders(process.pid), (tmp_path / "said").read_text)
            descendants = psutil.Process(process.pid).children(recursive=True)
            assert child in descendants
            for one in descendants:
                if one.name() == "postgres":
                    one.suspend()
            process.terminate()
            assert process.wait(AFTER_DRAIN_SECONDS + _SLACK) != 0
            _, left = psutil.wait_procs(descendants, timeout=PATIENCE)
            assert left == []
        finally:
            process.kill()
        assert {path.name for path in home.iterdir()} == {"spec.json"}


def _renders(pid: int) -> psutil.Process | None:
    """Return the child of a command that is at its job, once there is one."""
    for one in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            title = " ".join(one.cmdline())
            if "child" in title and "[sleep" in title:
                return one
    return None
