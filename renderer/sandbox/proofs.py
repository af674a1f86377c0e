"""For each layer, an attempt at what it forbids.

Each runs in a child right after the layer was entered, before the next one is: so it is this layer that forbids it, and not
one that comes later. A proof returns None when it was refused, or says what it could do.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from renderer import syscalls
from renderer.sandbox.steps import SECOND, Birth

_PRIVATE, _TRACEME = 0, 0


def no_other_process(birth: Birth) -> str | None:  # noqa: ARG001 - every proof has the same form
    """Signal every process that there is: none is reached but the one that keeps the namespace, which ignores it."""
    for number in range(1, 32768):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            continue
        except PermissionError:
            return f"it sees process {number}"
        if number > SECOND:
            return f"it can signal process {number}"
    return None


def no_network(birth: Birth) -> str | None:
    """Reach the machine's loopback and the shared memory of the supervisor's ipc namespace."""
    with socket.socket() as sock:
        try:
            sock.connect(("127.0.0.1", 9))
        except OSError as error:
            if error.errno != errno.ENETUNREACH:
                return f"a connection to the loopback fails with {error}, so there is one"
        else:
            return "it can connect to the loopback"
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(f"\0jobsupervisor-proof-{birth.user}")
        except ConnectionRefusedError:
            return None
        return "it reaches an abstract socket of the machine"


def no_other_file(birth: Birth) -> str | None:  # noqa: ARG001
    """Read what belongs to the machine, and write beside what is shown."""
    for name in ("/etc/passwd", "/etc/hostname", "/var/log", "/run/systemd", "/sys/kernel", "/boot"):
        if Path(name).exists():
            return f"{name} is there"
    for name in ("/written", "/usr/lib/written", "/dev/written", "/etc/written"):
        try:
            Path(name).write_text("x", encoding="ascii")
        except OSError:
            continue
        return f"it can write {name}"
    return None


def no_root(birth: Birth) -> str | None:
    """Become somebody else."""
    if birth.nest.own_users and os.geteuid() == 0:
        return "it is root"
    return _possible(lambda: os.setresuid(0, 0, 0), "it can become root") if os.geteuid() else None


def no_bomb(birth: Birth) -> str | None:
    """Fork until it is refused, far above the limit; end all of it."""
    forked: list[int] = []
    try:
        for _ in range(4 * birth.needs.threads):
            pid = os.fork()
            if pid == 0:
                signal.pause()
            forked.append(pid)
    except BlockingIOError:
        return None
    finally:
        for pid in forked:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return f"it can have {len(forked)} processes"


def no_power(birth: Birth) -> str | None:  # noqa: ARG001
    """Count the capabilities, and use the one over the namespace of the host's name."""
    if any(syscalls.capabilities()):
        return "it has capabilities left"
    return _possible(lambda: socket.sethostname("proof"), "it can name the host")


def no_look_inside(birth: Birth) -> str | None:  # noqa: ARG001
    """Open its own memory by path, as another process of the user would."""
    if syscalls.is_dumpable():
        return "others of its user may look into it"
    return _possible(lambda: os.close(os.open("/proc/self/mem", os.O_RDWR)), "its memory can be opened")


def no_gain(birth: Birth) -> str | None:  # noqa: ARG001
    """Take the promise back."""
    return _possible(lambda: syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 0), "it can be taken back")


def no_unshown_file(birth: Birth) -> str | None:  # noqa: ARG001
    """Make what no renderer makes where it may write, and open a port."""
    if (refused := _possible(lambda: os.mkfifo("/tmp/proof"), "it can make a pipe in /tmp")) is not None:  # noqa: S108
        return refused
    with socket.socket() as sock:
        return _possible(lambda: sock.bind(("127.0.0.1", 8)), "it can bind a port", frozenset({errno.EADDRNOTAVAIL}))


def no_other_call(birth: Birth) -> str | None:
    """Make calls that no render needs: a socket, a namespace, a mount, a look into a process, memory out of sight."""
    calls = {
        "socket": lambda: socket.socket().close(),
        "unshare": lambda: syscalls.unshare(syscalls.CLONE_NEWUSER),
        "ptrace": lambda: syscalls.checked(syscalls.libc.ptrace(_TRACEME, 0, None, None), "ptrace"),
        "memfd_create": lambda: os.close(os.memfd_create("proof")),
        "shmget": lambda: syscalls.checked(syscalls.libc.shmget(_PRIVATE, ctypes.c_size_t(4096), 0o600), "shmget"),
        "kill": lambda: os.kill(1, 0),
        "prctl": lambda: syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 0),
    }
    if not birth.needs.subprocesses:
        calls["fork"] = _fork
    for name, call in calls.items():
        if (refused := _possible(call, f"it can call {name}")) is not None:
            return refused
    return None


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _possible(attempt: Callable[[], object], what: str, unless: frozenset[int] = frozenset()) -> str | None:
    """Return `what` unless an attempt is refused; one of the errors `unless` is no refusal of this layer."""
    try:
        attempt()
    except OSError as error:
        return what if error.errno in unless else None
    return what
