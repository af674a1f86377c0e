"""The supervisors, as systemd would keep them: one that ends is started again at once."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import psutil

from supervisor.settings import Settings, load
from tests.chaos.watcher import Watcher
from tests.prepared import CHECKOUT, COMMAND
from tests.service.support import PLUGINS, fork_server_of

CONCURRENCY = 2
MAX_ATTEMPTS = 5
OFFENCE_LIMIT = 3
ARTIFACTS = "artifacts"
_END_SECONDS = 60.0

SETTINGS = {
    "RENDER_CONCURRENCY": CONCURRENCY,
    "RENDER_POLLING_INTERVAL": 1,
    "RENDER_RESCUE_GRACE_SECONDS": 1,
    "RENDER_RETRY_DELAY_SECONDS": 0.05,
    "RENDER_MAX_ATTEMPTS": MAX_ATTEMPTS,
    # A supervisor's death is an offence the second time, and here many die: honest jobs get a chance more.
    "RENDER_OFFENCE_LIMIT": OFFENCE_LIMIT,
    "RENDER_OUTPUT_LIMIT_MB": 4,
    "RENDER_TIMEOUT_SECONDS": 20,
    "RENDER_SHUTDOWN_SECONDS": 10,
    "RENDER_LOG_LEVEL": "debug",
    "RENDER_PLUGINS": PLUGINS,
    "HTTP_PORT": 0,
}


def _is_child(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline()).startswith("jobsupervisor: child")
    return False


class Member:
    """One place in the fleet: a name, and the process that has it now."""

    def __init__(self, name: str, environment: dict[str, str], watcher: Watcher) -> None:
        self.name = name
        self._environment = environment | {"RENDER_SUPERVISOR_NAME": name}
        self._watcher = watcher
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        process = subprocess.Popen([COMMAND, "run"], env=self._environment, stdin=subprocess.DEVNULL, stderr=writer)
        os.close(writer)
        self.log = f"{self.name}.{process.pid}"
        self._watcher.follow(self.log, reader)
        return process

    def restart(self) -> None:
        """Wait for the end of the process, and start another."""
        self.process.wait(_END_SECONDS)
        self.process = self._start()

    @property
    def serving(self) -> bool:
        """Whether this process has said that it takes jobs."""
        return self.log in self._watcher.serving

    def fork_servers(self) -> list[psutil.Process]:
        """Return the fork server, if it is there."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [fork_server_of(self.process.pid)]
        return []

    def children(self) -> list[psutil.Process]:
        """Return what the fork server has forked."""
        found: list[psutil.Process] = []
        for fork_server in self.fork_servers():
            with contextlib.suppress(psutil.NoSuchProcess):
                # Beside them it has a process that keeps each one's namespace.
                found += [child for child in fork_server.children() if _is_child(child)]
        return found

    def descriptors(self) -> tuple[int, int]:
        """Return how many descriptors the supervisor has, and how many more are empty output files that children keep."""
        kept = other = 0
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found = descriptor.stat()
                # Without a name and without content, where artifacts are made (supervisor/artifacts/output.py).
                there = ARTIFACTS in descriptor.readlink().parts
                empty = there and stat.S_ISREG(found.st_mode) and found.st_nlink == found.st_size == 0
                kept, other = kept + empty, other + (not empty)
        return other, kept


class Fleet:
    """Three of them."""

    def __init__(self, url: str, directory: Path, watcher: Watcher) -> None:
        self._watcher = watcher
        self.problems: list[str] = []
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "HOME": str(directory)}
        environment |= {"DATABASE_URL": url, "TMPDIR": str(self.temporary), "HTTP_PORT": "0"}
        gates = directory / "gates"
        gates.mkdir(mode=0o755)
        environment |= {"RENDER_ALLOW_NEEDS": f"gate:read={gates}"}
        self._artifacts = f"file://{directory / ARTIFACTS}"
        environment |= {"RENDER_ARTIFACTS_URL": self._artifacts}
        environment |= {name: str(value) for name, value in SETTINGS.items()}
        self.members = [Member(f"chaos-{number}", environment, watcher) for number in (1, 2, 3)]

    def settings(self, url: str) -> Settings:
        """Return the settings that retention needs, for a database at a URL."""
        return load({"DATABASE_URL": url, "RENDER_ARTIFACTS_URL": self._artifacts})

    def one(self, random: Random) -> Member:
        """Return one of them."""
        return random.choice(self.members)

    def kill(self, member: Member) -> None:
        """End a supervisor as a crash does, and start its successor."""
        member.process.kill()
        member.restart()

    def replace(self, member: Member) -> bool:
        """Tell a supervisor that serves to stop, which it must do in order, and start its successor."""
        if not member.serving:
            return False
        self._told_to_stop(member)
        member.restart()
        return True

    def revive(self) -> None:
        """Start again what has ended by itself; only a start that finds no database may."""
        for member in self.members:
            code = member.process.poll()
            if code is None:
                continue
            self._watcher.note("supervisor.ended_itself")
            if code != 1 or member.serving:
                self.problems.append(f"{member.name} ended by itself with exit code {code}")
            member.restart()

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition holds that log lines may bring about; what ends meanwhile is started again."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ended = self._watcher.count("log.ended")
            self._watcher.until(functools.partial(self._so_or_ended, condition, ended), left)
            self.revive()
            if condition():
                return True
        return condition()

    def _so_or_ended(self, condition: Callable[[], bool], ended: int) -> bool:
        return condition() or self._watcher.count("log.ended") > ended

    def stop(self) -> None:
        """End all of them in order."""
        for member in self.members:
            self._told_to_stop(member)

    def _told_to_stop(self, member: Member) -> None:
        member.process.send_signal(signal.SIGTERM)
        try:
            code = member.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.problems.append(f"{member.log} did not stop within {_END_SECONDS:g} s")
            member.process.kill()
            code = member.process.wait()
        if code:
            self.problems.append(f"{member.log} exited with {code} when it was told to stop")

    def close(self) -> None:
        """Kill what is left, whatever happened before."""
        for member in self.members:
            if member.process.poll() is None:
                member.process.kill()
            member.process.wait()


@contextlib.contextmanager
def stopped(process: psutil.Process | subprocess.Popen[bytes]) -> Iterator[None]:
    """Stop a process for the time of the block; one that is gone is no matter."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)
