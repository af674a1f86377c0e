"""The namespaces that the fork server lives in, and with it all of its children.

See renderer.sandbox for the theory of operation. `enter` is called once, when the kinds are imported: what follows it runs
in the fork server proper, and the process that called it waits in there for its end.

Who is who. Started as root, or by a user with CAP_SETUID and CAP_SETGID, the fork server is root in its user namespace and
who it was outside; there the user 1 and those that follow are nobody's outside, and each child becomes one of them. Started as
another user, it is that one inside as well, and so are its children. Either way it has all capabilities over the namespaces it
made, and none over the machine.

Why it matters whose user a child is: the kernel keeps some counts by user, over all namespaces, of which the supervisor and the
other children need their part (docs/kernel-memory.md).
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import setproctitle

from renderer import syscalls
from renderer.needs import Needs
from renderer.sandbox import FILES, PROCESSES, SandboxMode, jail
from renderer.sandbox.view import outermost, visible

OFF = "off"
OK = "ok"

FIRST_USER = 1
USERS = 65000
_OUTSIDE = 0x70000000
"""The first user outside that a child's is mapped to. No distribution, service manager or container runtime gives these
away; two services on a machine may share one, and find nothing of each other's behind their namespaces."""


@dataclass(frozen=True, slots=True)
class Nest:
    """What there is: layer → "ok", "off" or why it is missing; whether children can be users of their own."""

    layers: dict[str, str]
    own_users: bool = False
    processes: int = -1
    """A descriptor of the fork server's own process namespace, -1 where it has none."""
    shown: tuple[Path, ...] = ()
    """What the children's file system shows."""
    granted: tuple[Path, ...] = ()
    """Of that, what only the kinds may see that it was allowed to."""

    @property
    def entered(self) -> bool:
        """Whether the fork server lives in namespaces of its own."""
        return self.layers[PROCESSES] == OK


def enter(mode: SandboxMode, control: socket.socket, allowed: Collection[Needs]) -> Nest:
    """Enter the namespaces and the file system; return in the process that is the fork server from here on.

    Never raises for what the machine refuses: that is in `layers`.
    """
    if mode is SandboxMode.OFF:
        return Nest({PROCESSES: OFF, FILES: OFF})
    granted = tuple(Path(path) for needs in allowed for path in needs.read)
    programs = any(needs.subprocesses for needs in allowed)
    shown = tuple(outermost([*visible(programs=programs), *filter(Path.exists, granted)]))
    try:
        own_users = _unshare(maps_others=may_map_others())
    except OSError as error:
        # Landlock still goes by what is shown and to whom.
        return Nest({PROCESSES: str(error), FILES: f"needs {PROCESSES}"}, shown=shown, granted=granted)
    _fork_inside(control)
    processes = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    files = OK
    try:
        jail.build_and_enter(shown)
    except OSError as error:
        files = str(error)
    return Nest({PROCESSES: OK, FILES: files}, own_users, processes, shown, granted)


def may_map_others() -> bool:
    """Whether this process may put users that are not its own into a user namespace (user_namespaces(7))."""
    effective = syscalls.capabilities()[0]
    return all(effective >> capability & 1 for capability in (syscalls.CAP_SETGID, syscalls.CAP_SETUID))


def _unshare(*, maps_others: bool) -> bool:
    """Open the namespaces: process for those that it forks, all others for this process.

    The children have network, ipc and host name of their own; that the fork server is cut off too leaves nothing of the
    machine's to be seen through it. Return whether the children can be users of their own.
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID
    flags |= syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWCGROUP
    if not maps_others:
        syscalls.unshare(flags)
        write_own_maps(uid, gid)
        return False
    # Only who has CAP_SETUID outside may map several users, and that is nobody who is inside already.
    reader, writer = os.pipe()
    helper = _fork_map_writer(os.getpid(), uid, gid, reader, writer)
    os.close(reader)
    try:
        syscalls.unshare(flags)
        os.write(writer, b"x")
    finally:
        os.close(writer)
        _, status = os.waitpid(helper, 0)
    if status:
        write_own_maps(uid, gid)
    return not status


def _fork_map_writer(target: int, uid: int, gid: int, reader: int, writer: int) -> int:
    """Fork a process that maps the users of `target`, who is this one, once it is told that the namespace is there."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.close(writer)
        if os.read(reader, 1):
            for name, own in (("uid_map", uid), ("gid_map", gid)):
                text = f"0 {own} 1\n{FIRST_USER} {_OUTSIDE} {USERS}\n"
                Path(f"/proc/{target}/{name}").write_text(text, encoding="ascii")
        status = 0
    finally:
        os._exit(status)


def write_own_maps(uid: int, gid: int) -> None:
    """Map this process's user and group, and nobody else, into the user namespace that it has just made."""
    # setgroups must be denied before an unprivileged process may write the group map (user_namespaces(7)).
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        # Through the descriptor where /proc is covered: opened before the namespace, the files would be the old one's.
        directory = None if jail.own_entries < 0 else jail.own_entries
        entry = os.open(name if directory else f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.write(entry, text.encode("ascii"))
        finally:
            os.close(entry)


def _fork_inside(control: socket.socket) -> None:
    """Fork the first process of the new process namespace, and go on in it; this one waits for its end."""
    alive, held = os.pipe()
    pid = os.fork()
    if pid:
        os.close(alive)
        control.close()
        _wait(pid)
    os.close(held)
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    # The outer process may have ended before the call took effect: then nobody holds the other end of the pipe. Its number
    # would not tell: from in here it has none.
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)
    os.close(alive)


def _wait(pid: int) -> NoReturn:
    """End as the fork server ends."""
    setproctitle.setproctitle("jobsupervisor: outer process of the fork server")
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
