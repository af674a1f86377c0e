"""What a child gives up before it reads its first job.

Theory of operation. The fork server forks; between the fork and the first job the child walks down CHECKLIST, in order.
Nothing of a stranger's has run in it yet. Each step is a function that either works or raises OSError. A step that is a
*layer* may be missing on a machine (a kernel without it, a container that forbids it): the mode says what happens then.
Any other step that fails ends the child: that is our fault, `internal`, and never charged to a job.

The order is not free:

 1. `die_with_parent` first: until it is done, a child may outlive the fork server.
 2. `own_session` before anything can fork: the kill goes to the process group.
 3. `only_given_descriptors` before any layer: a layer that fails must not leave a descriptor behind.
 4. `namespaces` before `not_dumpable`: the files in /proc/self belong to root once a process is not dumpable, and the
    maps of the new user namespace are written there.
 5. `no_capabilities` after `namespaces`: a new user namespace comes with all capabilities in it.
 6. `no_new_privileges` last of the ones here: after it nothing can be gained by exec; Landlock and seccomp, which
    need it, come behind it, and seccomp is the very last, since it forbids what the steps before it do.

Places that are kept for what is not here yet: an unprivileged uid per child (before `namespaces`), mount, pid, uts and
cgroup namespaces (in `namespaces`), Landlock and seccomp (at the end), nice, ionice and oom_score_adj (in
`fixed_limits`).
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from renderer import syscalls

JOB_SOCKET = 3
"""The one descriptor besides 0, 1 and 2 that a child keeps."""

OPEN_FILES = 64
"""Descriptors that a child may have: its own few, and what a renderer opens (fonts, none today)."""

_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "TZ": "UTC",
    # One thread per library: a child forks from a process without threads, and N children share the processors.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
}


class SandboxMode(StrEnum):
    """The setting RENDER_SANDBOX."""

    REQUIRED = "required"
    BEST_EFFORT = "best-effort"
    OFF = "off"


class LayerMissing(Exception):  # noqa: N818 - it names a state of the machine, not a fault
    """A layer that the mode `required` asks for cannot be had here."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What the fork server hands to a child: its sockets, whose child it is, and the mode."""

    parent: int
    job_socket: int
    log_pipe: int
    mode: SandboxMode


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the checklist. `layer` is a name for operators where the step may be missing on a machine."""

    run: Callable[[Birth], None]
    reason: str
    layer: str | None = None


def environment() -> dict[str, str]:
    """Return the whole environment of the fork server and its children: no setting, no secret, nothing inherited."""
    return dict(_ENVIRONMENT)


def die_with_parent(birth: Birth) -> None:
    """Have the kernel kill this process when its parent ends (PR_SET_PDEATHSIG, prctl(2))."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have ended before the call took effect; then nobody would ever send the signal.
    if os.getppid() != birth.parent:
        os._exit(1)


def own_session(birth: Birth) -> None:  # noqa: ARG001 - every step has the same form
    """Lead a session and process group of its own: a kill reaches what it forked, a terminal's Ctrl-C does not."""
    os.setsid()


def default_signals(birth: Birth) -> None:  # noqa: ARG001
    """Take the default action for every signal but SIGPIPE and SIGXFSZ, which Python reports as OSError."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def only_given_descriptors(birth: Birth) -> None:
    """Keep the job socket (3), the log pipe (1, 2) and /dev/null (0); close all others."""
    null = os.open("/dev/null", os.O_RDONLY)
    # The three may stand on each other's numbers: copy them out of the way, then into place.
    spares = [os.dup(descriptor) for descriptor in (null, birth.log_pipe, birth.job_socket)]
    top = [_above(descriptor, JOB_SOCKET) for descriptor in spares]
    os.dup2(top[0], 0, inheritable=True)
    os.dup2(top[1], 1, inheritable=True)
    os.dup2(top[1], 2, inheritable=True)
    os.dup2(top[2], JOB_SOCKET, inheritable=False)
    syscalls.close_from(JOB_SOCKET + 1)


def _above(descriptor: int, floor: int) -> int:
    """Return a copy of a descriptor with a number above `floor`."""
    taken = []
    while descriptor <= floor:
        taken.append(descriptor)
        descriptor = os.dup(descriptor)
    for number in taken:
        os.close(number)
    return descriptor


def scrubbed_environment(birth: Birth) -> None:  # noqa: ARG001
    """Leave only the allow-list, should a plug-in's import have set anything."""
    os.environ.clear()
    os.environ.update(environment())


def namespaces(birth: Birth) -> None:  # noqa: ARG001
    """Enter a user, network and ipc namespace of its own: no interface but a loopback that is down, no shared memory.

    The user namespace maps nobody but this user (user_namespaces(7)), and is what lets an unprivileged process have
    the others.
    """
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC)
    # setgroups must be denied before an unprivileged process may write the group map.
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")


def fixed_limits(birth: Birth) -> None:  # noqa: ARG001
    """Set the limits that are the same for every job: no core file, few descriptors, no locked memory."""
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def no_capabilities(birth: Birth) -> None:  # noqa: ARG001
    """Give up every capability, those over its own user namespace included."""
    syscalls.drop_capabilities()


def not_dumpable(birth: Birth) -> None:  # noqa: ARG001
    """Make /proc/self and ptrace off limits to processes of the same user, siblings among them; no core file."""
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)


def no_new_privileges(birth: Birth) -> None:  # noqa: ARG001
    """Never gain by exec what this process has not (set-user-id files, file capabilities)."""
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)


CHECKLIST: tuple[Step, ...] = (
    Step(die_with_parent, "a child must not outlive the supervisor"),
    Step(own_session, "one kill must reach all that a job forked"),
    Step(default_signals, "the fork server's handlers are not the child's"),
    Step(only_given_descriptors, "what is not open cannot be read"),
    Step(scrubbed_environment, "a secret that is not there cannot leak"),
    Step(namespaces, "a job needs no network and no shared memory", layer="user, network and ipc namespaces"),
    Step(fixed_limits, "a crash must not write the memory of a job to disk"),
    Step(no_capabilities, "root in a namespace is still root in it", layer="no capabilities"),
    Step(not_dumpable, "jobs of two tenants run as the same user", layer="not dumpable"),
    Step(no_new_privileges, "set-user-id programs are a way out", layer="no new privileges"),
)


def enter(birth: Birth) -> dict[str, str]:
    """Walk down the checklist; return layer → "ok", "off" or why it is missing.

    Raises LayerMissing in the mode `required`, OSError when a step fails that is not a layer.
    """
    layers: dict[str, str] = {}
    for step in CHECKLIST:
        if step.layer is None:
            step.run(birth)
        elif birth.mode is SandboxMode.OFF:
            layers[step.layer] = "off"
        else:
            try:
                step.run(birth)
                layers[step.layer] = "ok"
            except OSError as error:
                layers[step.layer] = str(error)
                if birth.mode is SandboxMode.REQUIRED:
                    raise LayerMissing(f"{step.layer}: {error}") from error
    return layers


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Limits of one attempt that the kernel holds.

    memory: bytes, above what the child maps before it starts; cpu: seconds; output: bytes of the largest file.
    """

    memory: int
    cpu: float
    output: int

    def apply(self, *, final: bool) -> None:
        """Set them on this process. `final` also lowers the hard limits: no way back, for a child that is used once.

        Memory is RLIMIT_DATA: private writable memory, which is what people mean by it. RLIMIT_AS stands on top, since
        RLIMIT_DATA does not see a reservation or a shared mapping; it is relative and wide, since libraries reserve
        far more than they use (setrlimit(2)).
        """
        size, data = mapped_bytes()
        spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        self._set(resource.RLIMIT_DATA, data + self.memory, final=final)
        self._set(resource.RLIMIT_AS, size + 2 * self.memory + 1024 * 1024 * 1024, final=final)
        self._set(resource.RLIMIT_CPU, int(spent + self.cpu) + 1, final=final)
        self._set(resource.RLIMIT_FSIZE, self.output, final=final)

    @staticmethod
    def _set(limit: int, value: int, *, final: bool) -> None:
        _, hard = resource.getrlimit(limit)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # Where the operator's own hard limit is lower already, that one holds.
        with contextlib.suppress(ValueError):
            resource.setrlimit(limit, (value, value if final else hard))


def mapped_bytes() -> tuple[int, int]:
    """Return the address space of this process and the private writable part of it (statm, proc(5))."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    page = resource.getpagesize()
    return int(fields[0]) * page, int(fields[5]) * page
