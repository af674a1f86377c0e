"""A process that ends itself when nothing else of it gets on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.prepared import CHECKOUT

PATIENCE = 60.0
_START = """
import ctypes, signal, subprocess, sys, threading, time
from supervisor import last_resort
last_resort.ALARM_SECONDS = 0.3
resort = last_resort.LastResort()
resort.start()
"""


def run(program: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that has a last resort."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(
        [sys.executable, "-c", _START + program],
        env=environment,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_library_that_holds_the_interpreter(tmp_path: Path) -> None:
    """No thread gets on: the kernel's alarm ends the process, and standard error says where it stands."""
    ended = run("resort.within(0.3)\nwhile True: ctypes.PyDLL(None).sleep(3600)", tmp_path)
    assert ended.returncode == -signal.SIGALRM
    assert 'File "<string>", line' in ended.stderr


def test_the_alarm_does_not_wait_for_a_reader(tmp_path: Path) -> None:
    """Standard error is a full pipe that nobody reads: with a descriptor that does not block the alarm ends the process."""
    program = """
import os
reader, writer = os.pipe()
os.set_blocking(writer, False)
try:
    while True:
        os.write(writer, b"x" * 4096)
except BlockingIOError:
    pass
os.dup2(writer, 2)
os.set_blocking(2, True)
log = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY | os.O_NONBLOCK)
other = last_resort.LastResort(log)
other.within(0.3)
while True: ctypes.PyDLL(None).sleep(3600)
"""
    assert run(program, tmp_path).returncode == -signal.SIGALRM


@pytest.mark.parametrize(
    ("hangs", "named"),
    [
        ("time.sleep(3600)", "thread MainThread in <module>"),
        ("while True: pass", "thread MainThread in <module>"),
        (
            "threading.Thread(target=time.sleep, args=(3600,), name='a thread of some library').start()",
            "a thread of some",
        ),
    ],
)
def test_the_deadline_kills_descendants_and_says_what_is_waited_for(hangs: str, named: str, tmp_path: Path) -> None:
    """Blocked, busy, or at the end of the interpreter, which waits for its threads: the process ends, its processes first."""
    program = f"""
child = subprocess.Popen(["sh", "-c", "sleep 3600 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline(), flush=True)
resort.waits_for = lambda: ["somebody by name"]
resort.within(0.3)
resort_alarm = signal.setitimer(signal.ITIMER_REAL, 30)
{hangs}
"""
    ended = run(program, tmp_path)
    assert ended.returncode == 1, ended.stderr
    assert "supervisor.killed_itself" in ended.stdout
    assert "somebody by name" in ended.stdout
    assert named in ended.stdout
    numbers = [int(number) for number in ended.stdout.split("\n\n")[0].split()]
    assert not [number for number in numbers if _lives(number)]


def _lives(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_deadline_that_is_called_off_or_far_away(tmp_path: Path) -> None:
    """A process that goes on is not ended; no number of seconds is too large."""
    ended = run(
        "resort.within(1e300)\nresort.within(0.2)\nresort.call_off()\ntime.sleep(1.5)\nresort.restore()\nresort.close()",
        tmp_path,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
