# ruff: noqa: ARG001 - every function of a plug-in takes the same arguments
"""Processes: more of them, of others, and such as stay. `render` may start none; `family` is for a kind that may."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

from renderer import Output
from tests.hostile.plugins import Attempts, Json, call, report

_CLONE_VM, _CLONE_SIGHAND, _CLONE_THREAD = 0x100, 0x800, 0x10000


def render(spec: Json, config: Json, out: Output) -> None:
    """Do what `do` names."""
    globals()[spec["do"]](spec, out)


family = render


def _fork() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def start(spec: Json, out: Output) -> None:
    """Start a process, by each way there is."""
    stack = mmap.mmap(-1, 1 << 16, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    top = ctypes.addressof(ctypes.c_char.from_buffer(stack)) + (1 << 16)
    report(
        out,
        {
            "fork": _fork,
            "run": lambda: subprocess.run(["/bin/true"], check=True),
            "shell": lambda: subprocess.run("true", shell=True, check=True),  # noqa: S602
            "python": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
            "posix_spawn": lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}),
            "execve": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),  # noqa: S606
            "clone": lambda: call("clone", int(signal.SIGCHLD), 0, 0, 0, 0),
            "clone a parent's": lambda: call("clone", 0x8000 | signal.SIGCHLD, 0, 0, 0, 0),
            "a thread with descriptors of its own": lambda: call(
                "clone", _CLONE_VM | _CLONE_SIGHAND | _CLONE_THREAD, ctypes.c_void_p(top), 0, 0, 0
            ),
            "setsid": os.setsid,
            "setpgid": lambda: os.setpgid(0, 1),
        },
    )


def bomb(spec: Json, out: Output) -> None:
    """Fork for ever, in each process that comes of it."""
    while True:
        os.fork()


def broad_bomb(spec: Json, out: Output) -> None:
    """Fork processes that stay, until no more can be had."""
    while True:
        if os.fork() == 0:
            signal.pause()


def threads(spec: Json, out: Output) -> None:
    """Start threads that stay, until no more can be had."""
    while True:
        threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()


def leave(spec: Json, out: Output) -> None:
    """Leave processes behind: in other sessions, without a parent, deaf, stopped, and with the job's descriptors."""
    reader, writer = os.pipe()
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            if os.fork() == 0:
                os.write(writer, b"x")
                os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(1e6)
            os._exit(0)
    for _ in range(3):
        os.read(reader, 1)
    out.write(b"left 3")


def outlive(spec: Json, out: Output) -> None:
    """Undo what ties it to its parents, start others that do the same unless `alone`, and tell; then stay."""
    libc = ctypes.CDLL(None)
    for _ in range(0 if spec.get("alone") else 4):
        if os.fork() == 0:
            os.setsid()
            break
    libc.prctl(1, 0)  # PR_SET_PDEATHSIG: no signal
    libc.prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, *range(32, 65)}:
        signal.signal(number, signal.SIG_IGN)
    out.progress(0.5)
    while True:
        time.sleep(1e6)


def kill_everyone(spec: Json, out: Output) -> None:
    """Kill all that it can reach; one of its own is there to be reached."""
    if spec.get("allowed") and os.fork() == 0:
        signal.pause()
    # Either reaches all that there are: its own, where it may signal those.
    everybody: Attempts = {
        "all": lambda: os.kill(-1, signal.SIGKILL),
        "group of the first": lambda: os.killpg(1, signal.SIGKILL),
    }
    report(
        out,
        {
            **({} if spec.get("allowed") else everybody),
            "parent": lambda: os.kill(os.getppid() or 1, signal.SIGKILL),
            "first": lambda: os.kill(1, signal.SIGKILL),
            "stop the first": lambda: os.kill(1, signal.SIGSTOP),
            "tgkill": lambda: call("tgkill", 1, 1, int(signal.SIGKILL)),
            "tkill": lambda: call("tkill", 1, int(signal.SIGKILL)),
            "queue": lambda: call("rt_sigqueueinfo", 1, int(signal.SIGKILL), None),
            "pidfd": lambda: signal.pidfd_send_signal(os.pidfd_open(1), signal.SIGKILL),
            **{f"process {n}": partial(os.kill, n, signal.SIGKILL) for n in range(4, 400, 7)},
        },
    )
    if spec.get("allowed"):
        os.kill(-1, signal.SIGKILL)


def look_inside(spec: Json, out: Output) -> None:
    """Look into other processes, and into itself by the door of others."""
    buffer = ctypes.create_string_buffer(64)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64)
    report(
        out,
        {
            "traceme": lambda: call("ptrace", 0, 0, None, None),
            "attach": lambda: call("ptrace", 16, 1, None, None),
            "seize": lambda: call("ptrace", 0x4206, 1, None, None),
            "process_vm_readv": lambda: call("process_vm_readv", 1, vector, 1, vector, 1, 0),
            "process_vm_writev": lambda: call("process_vm_writev", 1, vector, 1, vector, 1, 0),
            "pidfd_getfd": lambda: call("pidfd_getfd", os.pidfd_open(1), 0, 0),
            "kcmp": lambda: call("kcmp", 1, 2, 0, 0, 0),
            "process_madvise": lambda: call("process_madvise", 0, vector, 1, 4, 0),
            **{
                path: partial(_read, path)
                for path in (
                    "/proc/1/mem",
                    "/proc/1/environ",
                    "/proc/1/maps",
                    "/proc/1/fd/3",
                    "/proc/1/root/etc/passwd",
                    "/proc/1/cwd/.",
                    "/proc/self/mem",
                    "/proc/thread-self/mem",
                    "/proc/2/mem",
                    "/proc/kcore",
                    "/proc/kallsyms",
                    "/proc/sys/kernel/core_pattern",
                )
            },
        },
    )


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(1)


def be_important(spec: Json, out: Output) -> None:
    """Take the processor, the disk and the memory from the others."""
    report(
        out,
        {
            "nice": lambda: os.nice(-10),
            "nobody else may": lambda: os.setpriority(os.PRIO_USER, 0, 19),
            "the parent may not": lambda: os.setpriority(os.PRIO_PROCESS, 1, 19),
            "real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)),
            "affinity of the first": lambda: os.sched_setaffinity(1, {0}),
            "never killed": lambda: Path("/proc/self/oom_score_adj").write_text("-1000", encoding="ascii"),
            "limits of the first": lambda: call("prlimit64", 1, 7, None, None),
            "disk": lambda: call("ioprio_set", 1, 0, 1 << 13),
        },
    )
