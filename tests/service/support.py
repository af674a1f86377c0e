"""Starts the service, enqueues in SQL, waits on its events."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import psutil
import psycopg
from psycopg.rows import dict_row

from supervisor.artifacts.root import MARKER
from supervisor.store.kinds import register_plugins
from tests.kinds import behaviour
from tests.prepared import CHECKOUT, COMMAND, Running, start

PATIENCE = 60.0
"""Seconds after which a wait gives up. No test passes or fails by how long something took."""

BEHAVIOURS = [name for name, found in vars(behaviour).items() if inspect.isfunction(found)]
PLUGINS = ",".join(f"{name}=tests.kinds.behaviour:{name}" for name in BEHAVIOURS)
WITHOUT_SCENE = f"{PLUGINS},scene=renderer.kinds.noop:render"
"""A plug-in wins over a built-in kind: scene's imports, half of what a start takes, are left out where none is rendered."""


class Service:
    """A supervisor in a process of its own."""

    command: Sequence[str | Path] = (COMMAND, "run")
    process: Running
    stderr: int | None = None
    """Where its standard error leads; None for a file."""

    def __init__(self, url: str, directory: Path, **settings: object) -> None:
        self.artifacts = directory / "artifacts"
        self.log = directory / f"log-{settings.get('RENDER_SUPERVISOR_NAME', 'main')}"
        notify_path = str(directory / f"notify-{self.log.name}")
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        Path(notify_path).unlink(missing_ok=True)  # a predecessor's, in the same test
        self._notify.bind(notify_path)
        defaults = {
            "RENDER_CONCURRENCY": 2,
            "RENDER_RETRY_DELAY_SECONDS": 0.05,
            "RENDER_SUPERVISOR_NAME": "main",
            "RENDER_SHUTDOWN_SECONDS": PATIENCE,
            "RENDER_POLLING_INTERVAL": 3600,
            "RENDER_LOG_LEVEL": "debug",
            "RENDER_PLUGINS": WITHOUT_SCENE,
            "RENDER_ALLOW_NEEDS": f"gate:read={directory}",
            "RENDER_ARTIFACTS_URL": f"file://{self.artifacts}",
        }
        directory.chmod(0o755)  # a child that is another user looks for its gate there
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "HOME": str(directory)}
        environment |= {"DATABASE_URL": url, "NOTIFY_SOCKET": notify_path, "HTTP_PORT": "0"}
        environment |= {name: str(value) for name, value in (defaults | settings).items()}
        with self.log.open("ab") as log:
            if self.command == Service.command:
                self.process = start(["run"], environment, stderr=self.stderr or log.fileno())
            else:
                self.process = subprocess.Popen(self.command, env=environment, stderr=log, stdin=subprocess.DEVNULL)
        self._pidfd = os.pidfd_open(self.process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._notify.close()
        os.close(self._pidfd)

    def ready(self) -> Self:
        """Wait until it says that it serves."""
        self.wait_for_notice("READY=1")
        return self

    def wait_for_notice(self, text: str) -> str:
        """Wait for a message to the service manager that holds this text; return it."""
        while True:
            readable = select.select([self._notify.fileno(), self._pidfd], [], [], PATIENCE)[0]
            assert self._notify.fileno() in readable, f"no {text} from the service:\n{self.log.read_text()}"
            said = self._notify.recv(4096).decode()
            if text in said:
                return said

    def published(self) -> list[Path]:
        """Return the artifacts that are published: all files of the store but its marker."""
        return [path for path in self.artifacts.rglob("*") if path.is_file() and path.name != MARKER]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the log, without what others than the supervisor wrote into it."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of one event."""
        return [line for line in self.lines() if line["event"] == name]

    def processes(self) -> list[psutil.Process]:
        """Return the fork server and the children."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def fork_server(self) -> psutil.Process:
        """Return the fork server."""
        return fork_server_of(self.process.pid)

    def child_with(self, job_id: str) -> psutil.Process:
        """Return the child whose title names a job."""
        found = [process for process in self.processes() if job_id in " ".join(process.cmdline())]
        assert len(found) == 1, [process.cmdline() for process in self.processes()]
        return found[0]


class ByScript(Service):
    """A supervisor that is the installed script, started from here: in the namespaces of this thread, which a fork is not in."""

    command = ("env", *Service.command)


def fork_server_of(supervisor: int) -> psutil.Process:
    """Return the fork server of a supervisor: its child, or inside the process around it. Raises NoSuchProcess."""
    for process in psutil.Process(supervisor).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.cmdline() and process.cmdline()[0].strip() == "jobsupervisor: fork server":
                return process
    raise psutil.NoSuchProcess(supervisor)


def reload(service: Service, event: str) -> dict[str, Any]:
    """Send the signal; return the line of the log that tells what came of it."""
    before = len(service.events(event))
    service.process.send_signal(signal.SIGHUP)
    begun = dict(line.split("=") for line in service.wait_for_notice("RELOADING=1").splitlines())
    # By this the manager tells the answer to its request from an earlier one.
    assert int(begun["MONOTONIC_USEC"]) > 0
    service.wait_for_notice("READY=1")
    return service.events(event)[before]


class Queue:
    """A client: one connection that enqueues, reads and listens."""

    def __init__(self, url: str, plugins: str = PLUGINS) -> None:
        # As `jobsupervisor migrate` does: a client may enqueue before any supervisor ran.
        register_plugins(url, dict(pair.split("=") for pair in plugins.split(",")))
        self._connection = psycopg.connect(url, autocommit=True, row_factory=dict_row)
        self._connection.execute("listen render_events")
        self._seen: dict[str, str] = {}
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def rows(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """Run a statement and return its rows."""
        return self._connection.execute(statement.encode(), parameters or None).fetchall()

    def execute(self, statement: str) -> None:
        """Run a statement that has no rows."""
        self._connection.execute(statement.encode())

    def enqueue(self, kind: str, spec: object, **options: object) -> str:
        """Enqueue one job through the public function."""
        extra = "".join(f", {name} => %({name})s" for name in options)
        statement = f"select enqueue_render(kind => %(kind)s, spec => %(spec)s::jsonb{extra}) as id"
        # A text is JSON already, such as no encoder here would write.
        parameters = {"kind": kind, "spec": spec if isinstance(spec, str) else json.dumps(spec), **options}
        row = self._connection.execute(statement.encode(), parameters).fetchone()
        assert row is not None
        return str(row["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job's row of render_jobs."""
        (row,) = self.rows("select * from render_jobs where id = %s", job_id)
        return row

    def attempts(self, job_id: str) -> list[dict[str, Any]]:
        """Return a job's rows of render_attempts, in order."""
        return self.rows("select * from render_attempts where job_id = %s order by attempt", job_id)

    def outcomes(self, job_id: str) -> list[str]:
        """Return the outcomes of a job's attempts, in order."""
        return [row["outcome"] for row in self.attempts(job_id)]

    def final(self, job_id: str) -> dict[str, Any]:
        """Wait for the event of a job's final status; return its row."""
        while job_id not in self._seen:
            notices = list(self._connection.notifies(timeout=PATIENCE, stop_after=1))
            assert notices, f"no final status: {self.job(job_id)}"
            for notice in notices:
                event = json.loads(notice.payload)
                self._seen[event["id"]] = event["status"]
        row = self.job(job_id)
        assert row["status"] == self._seen[job_id]
        return row

    def until(self, job_id: str, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until a job's row is so; its progress is written once a second, which no notification tells."""
        return self.until_row("select * from render_jobs where id = %s", condition, job_id)

    def until_row(
        self, statement: str, condition: Callable[[dict[str, Any]], object], *parameters: object
    ) -> dict[str, Any]:
        """Run a statement until its one row is so."""
        pause = select.poll()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            (row,) = self.rows(statement, *parameters)
            if condition(row):
                return row
            pause.poll(20)
        raise AssertionError(f"never: {row}")

    def running(self, job_id: str) -> dict[str, Any]:
        """Wait until a job's first progress is written: its renderer is at work."""
        return self.until(job_id, lambda row: row["status"] == "processing" and row["progress"] > 0)


def artifact(row: dict[str, Any]) -> bytes:
    """Return the bytes of a completed job's artifact."""
    assert row["status"] == "completed", row
    return Path(unquote(urlsplit(row["output_url"]).path)).read_bytes()


@contextlib.contextmanager
def service_and_queue(url: str, directory: Path, **settings: object) -> Iterator[tuple[Service, Queue]]:
    """Run a service that is ready, and a client of it."""
    with Service(url, directory, **settings) as service, Queue(url) as queue:
        yield service.ready(), queue
