"""A machine: systemd as the first process of namespaces of its own, and what a test does with it (see boot.sh)."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import psutil

CHECKOUT = Path(__file__).parents[2]
SYSTEMD = Path("/lib/systemd/systemd")
PATIENCE = 90.0
"""Seconds after which a wait gives up. No test passes or fails by how long something took."""

UNIT = "jobsupervisor.service"
ENVIRONMENT = "/etc/jobsupervisor/environment"
CREDENTIAL = "/etc/jobsupervisor/credentials/database_url"
APP = "/opt/jobsupervisor"
GATES = "/opt/gates"
_PROGRAM = f"""#!{APP}/bin/python
import sys
from supervisor.launcher import main
sys.exit(main())
"""
# As a line of Python: a plain path would have the .pth files there read too, and with them the checkout's real place.
_PATHS = 'import sys; sys.path += ["/opt/checkout", "/opt/packages/site-packages"]\n'


def missing() -> str | None:
    """Return what this machine lacks to boot another one, None where nothing does."""
    for program in ("unshare", "nsenter", "systemctl", "journalctl", "make"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not SYSTEMD.exists():
        return "systemd is not installed"
    if _control_groups() is None:
        return "no unified control groups (cgroup v2) that can be written"
    # In a container that may not: the reason it gives.
    tried = subprocess.run(
        ["unshare", "-m", "-p", "-f", "-C", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"namespaces and mounts are forbidden here: {tried.stderr.strip()}" if tried.returncode else None


def _control_groups() -> Path | None:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    place = next((Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"), None)
    own = next(
        (line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None
    )
    if place is None or own is None:
        return None
    group = place / own.lstrip("/")
    return group if os.access(group, os.W_OK) else None


class Machine:
    """A context manager that boots it, and leaves nothing of it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        groups = _control_groups()
        assert groups is not None
        self._group = groups / f"jobsupervisor-test-{os.getpid()}"
        self._group.mkdir()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, (directory / "boot.log").open("wb") as log:
            address = f"\0jobsupervisor-test-{os.getpid()}"
            notify.bind(address)
            self._outer = subprocess.Popen(
                [
                    *("bash", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self._group),
                    *("unshare", "-m", "-p", "-i", "-u", "-C", "--fork", "--kill-child=KILL"),
                    *("bash", Path(__file__).with_name("boot.sh"), directory, CHECKOUT),
                    *(sys.base_prefix, sysconfig.get_path("purelib"), "@" + address[1:]),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                self._wait_for_boot(notify)
            except BaseException:
                self.close()
                raise

    def _wait_for_boot(self, notify: socket.socket) -> None:
        pidfd = os.pidfd_open(self._outer.pid)
        try:
            said = ""
            while "READY=1" not in said:
                readable = select.select([notify.fileno(), pidfd], [], [], PATIENCE)[0]
                assert notify.fileno() in readable, (self._directory / "boot.log").read_text()
                said = notify.recv(4096).decode()
        finally:
            os.close(pidfd)
        (self.first,) = psutil.Process(self._outer.pid).children()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the machine. With its first process all others end, and its mounts are gone."""
        first = psutil.Process(self._outer.pid).children()
        for process in first:
            process.kill()
        if not first:
            self._outer.kill()
        self._outer.wait()  # it ends when the first process has, and that when all others have
        for directory, _, _ in os.walk(self._group, topdown=False):
            Path(directory).rmdir()

    def run(self, *command: str, stdin: str | None = None, check: bool = True) -> str:
        """Run a command in the machine; return what it prints."""
        entered = ["nsenter", "-t", str(self.first.pid), "-m", "-p", "-i", "-u", "-C", "--", *command]
        result = subprocess.run(entered, input=stdin, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert not check or result.returncode == 0, f"{command}: {result.stdout}{result.stderr}\n{self.log()}"
        return result.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file in the machine."""
        self.run("sh", "-c", 'mkdir -p "$(dirname "$0")" && cat >"$0"', path, stdin=text)

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """Run systemctl."""
        return self.run("systemctl", "--no-pager", *arguments, check=check)

    def shown(self, name: str) -> str:
        """Return a property of the unit."""
        return self.systemctl("show", "--value", "--property", name, UNIT).strip()

    def log(self) -> str:
        """Return what the unit said, for people."""
        entered = [
            "nsenter",
            "-t",
            str(self.first.pid),
            "-m",
            "-p",
            "-C",
            "--",
            "journalctl",
            "-o",
            "cat",
            "-t",
            "jobsupervisor",
        ]
        return subprocess.run(entered, capture_output=True, text=True, check=False, timeout=PATIENCE).stdout

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Return the entries of the journal with these fields."""
        printed = self.run("journalctl", "--output=json", "--no-pager", "--quiet", *matches)
        return [json.loads(line) for line in printed.splitlines()]

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something is so: systemd and its journal tell no client of ours."""
        pause = select.poll()
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}\n{self.log()}"
            pause.poll(50)

    def install(self, url: str) -> None:
        """Install the service as an operator does."""
        self.run("ldconfig")
        self.run("/opt/python/bin/python3", "-m", "venv", "--without-pip", APP)
        (site,) = self.run("sh", "-c", f"echo {APP}/lib/python3*/site-packages").split()
        self.write(f"{site}/paths.pth", _PATHS)
        self.write(f"{APP}/bin/jobsupervisor", _PROGRAM)
        self.run("chmod", "+x", f"{APP}/bin/jobsupervisor")
        self.run("make", "-C", "/opt/checkout", "install-systemd")
        self.write(CREDENTIAL, url + "\n")
        self.configure()

    def configure(self, **settings: object) -> None:
        """Write the environment file: for a test, and with no setting of the one before."""
        values = {
            "RENDER_CONCURRENCY": 2,
            "RENDER_RETRY_DELAY_SECONDS": 0.05,
            "RENDER_PLUGINS": "gate=tests.kinds.behaviour:gate,sleep=tests.kinds.behaviour:sleep",
            "RENDER_ALLOW_NEEDS": f"gate:read={GATES}",
            "RENDER_SUPERVISOR_NAME": "unit",
            "HTTP_PORT": 0,
        } | settings
        self.write(ENVIRONMENT, "".join(f"{name}={value}\n" for name, value in values.items()))

    @property
    def main_process(self) -> psutil.Process:
        """The supervisor, as seen from outside."""
        inner = int(self.shown("MainPID"))
        for process in self.first.children(recursive=True):
            status = Path(f"/proc/{process.pid}/status").read_text()
            numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
            if len(numbers) == 3 and int(numbers[2]) == inner:  # NSpid: here, there
                return process
        raise AssertionError(f"no process {inner}")

    @contextlib.contextmanager
    def service(self, drop_in: str = "", **settings: object) -> Iterator[None]:
        """Run the service, with lines for its unit and settings of the test's own."""
        self.configure(**settings)
        self.write(f"/run/systemd/system/{UNIT}.d/test.conf", f"[Service]\n{drop_in}\n")
        self.systemctl("daemon-reload")
        self.systemctl("start", UNIT)
        try:
            yield
        finally:
            self.systemctl("kill", "--signal=KILL", UNIT, check=False)
            self.systemctl("stop", UNIT, check=False)
            self.systemctl("reset-failed", UNIT, check=False)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor alone."""
        self.main_process.send_signal(number)
