"""The supervisor as the first process of a process namespace, as in a container that has no init of its own."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from supervisor import launcher
from tests.service.support import PATIENCE, Queue, Service, artifact

_UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
# Who is not root may have a process namespace inside a user namespace only; in it the service is the user that it was.
_NEW_NAMESPACE = _UNSHARE if os.geteuid() == 0 else [*_UNSHARE, "--user", "--map-current-user"]


class FirstProcess(Service):
    """A supervisor that is number 1."""

    command = (*_NEW_NAMESPACE, *Service.command)


class Container:
    """A service that is number 1, and what is seen of it from outside."""

    def __init__(self, service: Service) -> None:
        (self.first,) = psutil.Process(service.process.pid).children()
        self._service = service

    def number_inside(self, process: psutil.Process) -> int:
        """Return the number that a process has in the container."""
        status = Path(f"/proc/{process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("NSpid:"))
        return int(line.split()[2])

    def leave_an_orphan(self) -> psutil.Process:
        """Start a process in the container, as `docker exec` does, which starts another and ends; return that one."""
        enter = ["nsenter", "--target", str(self.first.pid), "--pid"]
        if os.geteuid() != 0:
            enter += ["--user", "--preserve-credentials"]
        # `read` waits for the end of the pipe, which the test holds.
        reader, writer = os.pipe()
        with os.fdopen(writer, "w"), os.fdopen(reader) as pipe:
            subprocess.run([*enter, "sh", "-c", "exec 3<&0; (read -r nothing <&3) & exit 0"], stdin=pipe, check=True)
            return self._until_adopted()

    def _until_adopted(self) -> psutil.Process:
        while True:
            for process in self.first.children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.name() == "sh":
                        return process

    def until_gone(self, *processes: psutil.Process) -> None:
        """Wait until nothing is left of processes, not even a zombie."""
        pause, deadline = select.poll(), time.monotonic() + PATIENCE
        while left := [process for process in processes if psutil.pid_exists(process.pid)]:
            assert time.monotonic() < deadline, [(process.name(), process.status()) for process in left]
            pause.poll(20)

    def stop(self) -> int:
        """Send SIGTERM to the service, as an engine does; return its exit code."""
        self.first.send_signal(signal.SIGTERM)
        return self._service.process.wait(PATIENCE)


@contextlib.contextmanager
def contained(database: str, directory: Path, **settings: object) -> Iterator[tuple[Service, Container, Queue]]:
    """Run a service as number 1; it is ready."""
    with FirstProcess(database, directory, **settings) as service, Queue(database) as queue:
        service.ready()
        yield service, Container(service), queue


def test_it_drains_and_leaves_nothing(database: str, tmp_path: Path) -> None:
    """SIGTERM reaches number 1: what runs is finished, the exit code is 0, and no process is left of it."""
    with contained(database, tmp_path) as (service, container, queue):
        assert container.number_inside(container.first) == 1
        inside = container.first.children(recursive=True)
        job = queue.enqueue("gate", {"gate": str(tmp_path / "open")})
        queue.running(job)
        container.first.send_signal(signal.SIGTERM)
        service.wait_for_notice("STOPPING=1")
        (tmp_path / "open").touch()
        assert service.process.wait(PATIENCE) == 0
        assert artifact(queue.job(job))
        container.until_gone(container.first, *inside)


def test_it_reaps_what_others_left(database: str, tmp_path: Path) -> None:
    """Orphans become number 1's: of one that `exec` left behind, and of a fork server whose outer process was killed, no zombie stays."""
    with contained(database, tmp_path) as (service, container, queue):
        container.until_gone(container.leave_an_orphan())
        fork_server = service.fork_server()
        outer = fork_server.parent()
        assert outer is not None
        outer.kill()
        container.until_gone(outer, fork_server)
        # The next one is another process, and works.
        assert queue.final(queue.enqueue("noop", {}))["status"] == "completed"
        assert [process for process in container.first.children() if process.status() == psutil.STATUS_ZOMBIE] == []
        assert container.stop() == 0


TELL_AND_WAIT = "import os; os.write(1, b'here'); os.read(0, 1)"
LAUNCH = f"import runpy; runpy.run_path({launcher.__file__!r}, run_name='__main__')"


@pytest.mark.parametrize(
    ("before", "python", "package"),
    [
        # While our own package is imported.
        ([], LAUNCH, TELL_AND_WAIT),
        # Before the launcher's first line, where the signal was blocked as the image does it.
        (["env", "--block-signal=TERM"], f"{TELL_AND_WAIT}; {LAUNCH}", ""),
    ],
)
def test_it_can_be_stopped_while_it_starts(tmp_path: Path, before: list[str], python: str, package: str) -> None:
    """SIGTERM is not lost while Python starts: number 1 ends by it, at the latest when it can."""
    # In place of ours, which would start a service; the launcher ends with 2 where no signal comes.
    (tmp_path / "supervisor").mkdir()
    (tmp_path / "supervisor" / "__init__.py").write_text(package)
    command = [*_NEW_NAMESPACE, *before, sys.executable, "-c", python]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=tmp_path
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.read(4) == b"here"
        (first,) = psutil.Process(process.pid).children()
        first.send_signal(signal.SIGTERM)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"!")
            process.stdin.flush()
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
