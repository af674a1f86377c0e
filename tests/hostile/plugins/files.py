# ruff: noqa: ARG001 - every function of a plug-in takes the same arguments
"""Files: of others, outside, too many, too large, and such as stay."""

from __future__ import annotations

import builtins
import fcntl
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pydantic

import renderer.kinds.noop
from renderer import Output, wire
from renderer.registry import Kind
from tests.hostile.plugins import Json, call, report

MARK = "jobsupervisor-hostile"


def render(spec: Json, config: Json, out: Output) -> None:
    """Do what `do` names."""
    globals()[spec["do"]](spec, out)


def read_others(spec: Json, out: Output) -> None:
    """Read what belongs to the machine, to the service and to others."""
    paths = [
        *("/etc/shadow", "/etc/passwd", "/etc/hostname", "/root/.ssh", "/root/.bashrc", "/var/log", "/var/lib", "/run"),
        *("/sys/kernel", "/boot", "/proc/1/environ", "/proc/self/environ", "/proc/cpuinfo", "/proc/net/tcp"),
        *(
            "/proc/sysvipc/shm",
            "/proc/sys/kernel/hostname",
            "/proc/keys",
            "/dev/mem",
            "/dev/kmsg",
            "/dev/tty",
            "/dev/vda",
        ),
        *("/etc/../etc/shadow", "/proc/self/root/etc/shadow", "/proc/self/cwd/etc/shadow", "/usr/lib/../../etc/shadow"),
        *spec["secrets"],
    ]
    report(out, {path: partial(_read, path) for path in paths})


def _read(path: str) -> object:
    return sorted(os.listdir(path)) if Path(path).is_dir() else Path(path).read_bytes()[:20]  # noqa: PTH208


def write_outside(spec: Json, out: Output) -> None:
    """Write wherever it may be useful to somebody, and make what is no file or directory."""
    names = [
        *("/", "/usr/lib", "/etc", "/dev", "/proc", "/lib", "/usr/share/fonts", str(Path(json.__file__).parent)),
        *(
            str(Path(__file__).parent),
            str(Path(pydantic.__file__).parent),
            f"{sys.base_prefix}/lib",
            str(Path.cwd()),
            "/proc/self/fd",
        ),
    ]
    Path("/tmp/link").symlink_to("/usr/lib")
    report(
        out,
        {
            **{name: partial(_make, f"{name}/{MARK}") for name in names},
            "through a link": lambda: _make(f"/tmp/link/{MARK}"),
            "by the output's directory": lambda: os.open(f"/proc/self/fd/{out.fileno()}/../{MARK}", os.O_CREAT),
            "code of the renderer": lambda: Path(wire.__file__).write_bytes(b""),
            "mode of the code": lambda: Path(wire.__file__).chmod(0o666),
            "times of the code": lambda: os.utime(wire.__file__),
            "removal of the code": lambda: Path(wire.__file__).unlink(),
            "own limits": lambda: Path("/proc/self/oom_score_adj").write_text("0", encoding="ascii"),
            "own map": lambda: Path("/proc/self/uid_map").write_text("0 0 1", encoding="ascii"),
            "fifo": lambda: os.mkfifo("/tmp/fifo"),
            "device": lambda: os.mknod("/tmp/device", 0o020666, os.makedev(1, 1)),
            "whiteout": lambda: os.mknod("/tmp/whiteout", 0o020000, 0),
            "attribute": lambda: os.setxattr("/tmp", "user.x", b"x"),
            "name for the output": lambda: _name(out.fileno()),
            "core pattern": lambda: Path("/proc/sys/kernel/core_pattern").write_text("|/tmp/x", encoding="ascii"),
        },
    )


def _make(name: str) -> None:
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def _name(descriptor: int) -> None:
    os.link(f"/proc/self/fd/{descriptor}", f"/tmp/{MARK}-named", follow_symlinks=True, src_dir_fd=3, dst_dir_fd=3)


def flood(spec: Json, out: Output) -> None:
    """Write to the output for ever."""
    while True:
        out.write(b"x" * (1 << 20))


def sparse(spec: Json, out: Output) -> None:
    """Make the output a terabyte of nothing."""
    os.ftruncate(out.fileno(), 1 << 40)


def far_away(spec: Json, out: Output) -> None:
    """Write one byte at the end of a terabyte."""
    os.pwrite(out.fileno(), b"x", 1 << 40)


def allocate(spec: Json, out: Output) -> None:
    """Allocate a terabyte."""
    os.posix_fallocate(out.fileno(), 0, 1 << 40)


def allocate_unseen(spec: Json, out: Output) -> None:
    """Allocate space beyond the end of the file, which no limit on its size counts."""
    call("fallocate", out.fileno(), 1, 0, 4 << 30)


def many_files(spec: Json, out: Output) -> None:
    """Make files, directories and links until there are no more."""
    for number in range(1_000_000):
        os.mkdir(f"{spec['where']}/{MARK}-{number}")  # noqa: PTH102
        os.symlink("x" * 200, f"{spec['where']}/{MARK}-{number}/{'y' * 250}")  # noqa: PTH211


def deep_directories(spec: Json, out: Output) -> None:
    """Nest directories until there are no more."""
    os.chdir("/tmp")
    while True:
        os.mkdir("x" * 250)  # noqa: PTH102
        os.chdir("x" * 250)


def descriptors(spec: Json, out: Output) -> None:
    """Open files until there are no more."""
    while True:
        os.dup(0)


def instead_of_the_output(spec: Json, out: Output) -> None:
    """Put something else in the place of the output's descriptor: `what`."""
    Path("/tmp/linked").write_text("other", encoding="ascii")
    others: dict[str, Callable[[], int]] = {
        "directory": lambda: os.open("/tmp", os.O_RDONLY),
        "fifo": lambda: os.pipe()[1],
        "device": lambda: os.open("/dev/zero", os.O_RDONLY),
        "link": lambda: _through_a_link("/tmp/linked"),
        "socket": lambda: 3,
    }
    os.dup2(others[spec["what"]](), out.fileno())


def _through_a_link(target: str) -> int:
    Path("/tmp/link").symlink_to(target)
    return os.open("/tmp/link", os.O_RDWR)


def odd_descriptor(spec: Json, out: Output) -> None:
    """Write, and leave the descriptor that it shares with the supervisor in an odd state."""
    out.content_type = "text/plain"
    out.write(b"answered")
    out.flush()
    flags = os.O_DIRECT | os.O_APPEND | os.O_NONBLOCK | os.O_NOATIME | getattr(os, "O_ASYNC", 0)
    for flag in (flags, os.O_DIRECT | os.O_APPEND, os.O_DIRECT):  # the last one that is taken stays
        try:
            fcntl.fcntl(out.fileno(), fcntl.F_SETFL, flag)
        except OSError:
            continue
    fcntl.lockf(out.fileno(), fcntl.LOCK_EX)
    fcntl.flock(out.fileno(), fcntl.LOCK_EX)
    os.lseek(out.fileno(), 1 << 20, os.SEEK_SET)
    try:
        os.fchmod(out.fileno(), 0)
    except PermissionError:
        return  # it is another user's


def cut_after_the_answer(spec: Json, out: Output) -> None:
    """Write a lot, answer, and cut and stretch the file from a thread that goes on."""
    import threading

    out.content_type = "text/plain"
    out.write(b"checked " * 100_000)
    out.flush()
    copy = os.dup(out.fileno())

    def spoil() -> None:
        while True:
            os.ftruncate(copy, 0)
            os.pwrite(copy, b"SPOILED ", 4_000_000)

    threading.Thread(target=spoil, daemon=True).start()


def leave_state(spec: Json, out: Output) -> None:
    """Leave something for the next job in every place that it can reach."""
    for directory in ("/tmp", "/dev/shm", tempfile.gettempdir()):
        (Path(directory) / f"{MARK}-state").write_text("left", encoding="ascii")
    os.environ["HOSTILE"] = "left"
    os.chdir("/tmp")
    os.umask(0)
    sys.hostile = builtins.hostile = "left"  # type: ignore[attr-defined]
    sys.path.insert(0, "/tmp")
    sys.modules["json"] = sys
    renderer.kinds.noop.render = flood  # type: ignore[assignment]
    Kind.__init__ = lambda *_: None  # type: ignore[method-assign]
    wire.send = print  # type: ignore[assignment]
    wire.JobReader.next = print  # type: ignore[assignment,method-assign]
    os.kill(os.getpid(), 9)


def find_state(spec: Json, out: Output) -> None:
    """Report what is there that no job before may have left, and where it starts."""
    found = {
        "files": [str(path) for name in ("/tmp", "/dev/shm") for path in Path(name).glob(f"*{MARK}*")],
        "environment": os.environ.get("HOSTILE"),
        "directory": os.getcwd(),  # noqa: PTH109
        "umask": os.umask(0o22),
        "modules": [hasattr(sys, "hostile"), hasattr(builtins, "hostile"), json.__name__, sys.path[0] == "/tmp"],
        "renderer": [renderer.kinds.noop.render.__name__, wire.send.__name__],
    }
    out.content_type = "application/json"
    out.write(json.dumps(found, sort_keys=True).encode())
