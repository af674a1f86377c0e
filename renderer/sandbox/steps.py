"""The steps of the checklist, one function each. Each works or raises OSError."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from renderer import syscalls, wire
from renderer.needs import Needs
from renderer.sandbox import (
    FILES,
    JOB_SOCKET,
    OPEN_FILES,
    PENDING_SIGNALS,
    PROCESSES,
    ForbiddenCalls,
    SandboxMode,
    jail,
    joblimits,
    landlock,
    nest,
    seccomp,
)
from renderer.sandbox.nest import Nest

SECOND = 2
"""A child's number in its process namespace: the first is the one that keeps it (renderer.forkserver)."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What a child is forked with: whose child it is, its user, the socket that it is given its others over, the mode, and the nest."""

    parent: int
    user: int
    """Counted from 0; another than that of every child that lives."""
    socket: int
    mode: SandboxMode
    nest: Nest
    needs: Needs
    forbidden_calls: ForbiddenCalls
    signals: tuple[int, ...] = ()
    """Those that the fork server does not take by default."""
    prove: bool = False
    """Whether each layer is to be tried once it is entered."""


def die_with_parent(birth: Birth) -> None:
    """Have the kernel kill this process when its parent ends (PR_SET_PDEATHSIG, prctl(2))."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have ended before the call took effect; then nobody would ever send the signal. In a process namespace
    # of its own this one has no parent that it can see, and dies with the one around it.
    if os.getppid() not in ({0} if birth.nest.entered else {birth.parent}):
        os._exit(1)


def own_session(birth: Birth) -> None:  # noqa: ARG001 - every step has the same form
    """Lead a session and process group of its own: a kill reaches what it forked, a terminal's Ctrl-C does not."""
    os.setsid()


def handled_signals() -> tuple[int, ...]:
    """Return the signals that this process does not take by default, but for SIGPIPE and SIGXFSZ: Python reports these as OSError.

    Asked once, in the fork server: to go through all signals costs a child 60 pages that it would have to copy.
    """
    others = signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}
    # None is a handler that is not Python's: the one that tells of crashes.
    return tuple(sorted(int(number) for number in others if signal.getsignal(number) not in {signal.SIG_DFL, None}))


def default_signals(birth: Birth) -> None:
    """Take the default action for every signal that the fork server handles or ignores."""
    signal.set_wakeup_fd(-1)
    for number in birth.signals:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def only_given_descriptors(birth: Birth) -> None:
    """Keep the socket (3) and /dev/null (0 to 2), until `take_sockets`; close all others."""
    os.dup2(birth.socket, JOB_SOCKET, inheritable=False)
    null = os.open("/dev/null", os.O_RDWR)  # the output, too, of a kind that writes none
    for number in range(JOB_SOCKET):
        os.dup2(null, number, inheritable=True)
    syscalls.close_from(JOB_SOCKET + 1)


def take_sockets() -> int | None:
    """Wait until this child is wanted, take its job socket (3) and its log pipe (1, 2), and return its number.

    Return None when nobody wants it any more: the fork server is gone.
    """
    with socket.socket(fileno=JOB_SOCKET) as waiting:
        received = wire.receive(waiting, wire.MAX_REPLY_FRAME)
        waiting.detach()
    if received is None:
        return None
    message, (job_socket, log_pipe) = received
    os.dup2(log_pipe, 1, inheritable=True)
    os.dup2(log_pipe, 2, inheritable=True)
    os.dup2(job_socket, JOB_SOCKET, inheritable=False)
    wire.close_all((job_socket, log_pipe))
    return int(message["child"])


def no_directory(birth: Birth) -> None:  # noqa: ARG001
    """Stand in the root directory: a relative path means nothing of the service's, in any mode."""
    os.chdir("/")


def measure(birth: Birth) -> None:  # noqa: ARG001
    """Read what is mapped before any job, while there is a /proc for certain."""
    joblimits.remember_mapped()


def polite(birth: Birth) -> None:  # noqa: ARG001
    """Let others go first: the kernel's choice when memory runs out, and last in line for processor and disk."""
    with contextlib.suppress(OSError):  # a kindness, and no reason not to render
        _write("/proc/self/oom_score_adj", b"900")
        os.nice(5)
        with contextlib.suppress(OSError):  # where the kernel groups by session, niceness counts only within the group
            _write("/proc/self/autogroup", b"5")
        syscalls.yield_the_disk()


def _write(name: str, text: bytes) -> None:
    entry = os.open(name, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(entry, text)
    finally:
        os.close(entry)


def own_namespaces(birth: Birth) -> None:
    """Enter network, ipc, host name and cgroup namespaces of its own: no interface but a loopback that is down.

    Without the fork server's namespaces around it, it needs a user namespace to be allowed that.
    """
    flags = syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWCGROUP
    if birth.nest.entered:
        syscalls.unshare(flags)
    else:
        uid, gid = os.geteuid(), os.getegid()
        syscalls.unshare(syscalls.CLONE_NEWUSER | flags)
        nest.write_own_maps(uid, gid)
    # The machine's own says where a child is. A service manager may have forbidden the call to all of the service
    # (systemd's ProtectHostname=): then it stays, and is not the child's to change either.
    with contextlib.suppress(PermissionError):
        socket.sethostname("renderer")


def own_files(birth: Birth) -> None:
    """Have the read-only tree of the fork server, and /tmp, /dev/shm and /proc that nobody else sees."""
    if birth.nest.layers[FILES] != nest.OK:
        raise OSError(birth.nest.layers[FILES])
    syscalls.unshare(syscalls.CLONE_NEWNS)
    jail.mount_private_parts(birth.nest.shown, _not_granted(birth))


def _not_granted(birth: Birth) -> list[Path]:
    """Return what other kinds may see and this child's may not."""
    mine = [Path(path) for path in birth.needs.read]
    return [path for path in birth.nest.granted if path in birth.nest.shown and path not in mine]


def own_processes(birth: Birth) -> None:
    """See and reach no process but those it forks; the kernel ends them with it (pid_namespaces(7)).

    The fork server made the namespace; here it is proved.
    """
    if not birth.nest.entered:
        raise OSError(birth.nest.layers[PROCESSES])
    if os.getpid() != SECOND:
        raise OSError(f"a child must be number {SECOND} of its namespace, it is {os.getpid()}")


def own_user(birth: Birth) -> None:
    """Be a user that owns nothing, and another one than every other child."""
    if not birth.nest.own_users:
        if os.geteuid() == 0:
            raise OSError("started as root, without the right to map other users")
        return
    user = nest.FIRST_USER + birth.user % nest.USERS
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # The change of user made /proc/self root's, where the next step writes; and it took the signal of `die_with_parent` back.
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
    die_with_parent(birth)


def limited_processes(birth: Birth) -> None:
    """Bound threads and processes together.

    They are counted by user and user namespace: with one of its own nobody else's count (since Linux 5.14). The namespace
    also takes away the power over the others, which belong to the one around it.
    """
    if not birth.nest.entered:
        raise OSError(f"needs {PROCESSES}")
    uid, gid = os.geteuid(), os.getegid()
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        nest.write_own_maps(uid, gid)
    finally:
        jail.forget_own_entries()
    resource.setrlimit(resource.RLIMIT_NPROC, (birth.needs.threads, birth.needs.threads))


def fixed_limits(birth: Birth) -> None:  # noqa: ARG001
    """Set the limits that are the same for every job: no core file, few descriptors and signals, no locked memory."""
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        # Signals that wait: of those of real time the kernel keeps each. Some hundred thousand are usual.
        (resource.RLIMIT_SIGPENDING, PENDING_SIGNALS),
    ):
        resource.setrlimit(limit, (value, value))


def no_capabilities(birth: Birth) -> None:  # noqa: ARG001
    """Give up every capability, those over its own user namespace included."""
    syscalls.drop_capabilities()


def not_dumpable(birth: Birth) -> None:  # noqa: ARG001
    """Make /proc/self and ptrace off limits to processes of the same user, siblings among them; no core file."""
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)


def only_shown_files(birth: Birth) -> None:
    """Deny by Landlock what the tree would deny, once more and by another mechanism; and TCP, and signals to others."""
    writable = jail.WRITABLE if birth.nest.layers[FILES] == nest.OK else ()
    programs = birth.nest.shown if birth.needs.subprocesses else ()
    hidden = _not_granted(birth)
    read = [path for path in birth.nest.shown if path not in hidden]
    landlock.restrict(read=[*read, *jail.READABLE], write=[*writable, Path("/dev/null")], execute=programs)


def only_listed_calls(birth: Birth) -> None:
    """Leave the system calls that rendering needs (renderer.sandbox.seccomp)."""
    seccomp.install(birth.forbidden_calls, birth.needs)


def no_new_privileges(birth: Birth) -> None:  # noqa: ARG001
    """Never gain by exec what this process has not (set-user-id files, file capabilities)."""
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
