"""The calls that a child may make, in families. What is not here is refused, whatever it is and whenever it comes.

What stays out although programs use it, with the consequence of letting it in:

 - socket, connect, bind: a way out of the machine, and to D-Bus, Docker or PostgreSQL beside it
 - memfd_create, shmget, mq_open: memory that the job's limits do not see, and that may outlive it
 - io_uring_setup: its calls run behind the filter's back
 - ptrace, process_vm_readv, pidfd_open, pidfd_getfd, kcmp: other processes of the same user
 - setsockopt: it hands programs to the kernel (SO_ATTACH_FILTER)
 - sendmsg, sendmmsg: they put descriptors under way, which the kernel counts by user: the supervisor, too, is this user
 - timer_create: timers by the thousand; and one can be told to send SIGCONT, which ends the rest of an idle child
 - splice, vmsplice, tee: pipes that hold pages of files
 - mknod, sync, setgroups and the like: no renderer needs them
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field

from renderer.needs import Needs
from renderer.sandbox.seccomp import flags
from renderer.sandbox.seccomp.arguments import (
    COUNTED_MEMORY,
    FCNTL,
    IOCTL,
    LIMITED_SPACE,
    LOCAL_SOCKET,
    LOCKS,
    MEMORY_POLICY,
    NO_ADDRESS,
    OWN_PRIORITY,
    PAIR_OF_STREAMS,
    PRCTL,
    SOCKET_FACTS,
)
from renderer.sandbox.seccomp.rules import OneOf, Rule


@dataclass(frozen=True, slots=True)
class Family:
    """Calls that are allowed for one reason: always, or when their arguments pass the rules."""

    name: str
    reason: str
    calls: str = ""
    ruled: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)


_ALWAYS = (
    Family(
        "memory",
        "every allocation; the sizes are the limits' affair",
        "brk munmap",
        # The memory pools of linear algebra ask for the nearest node.
        {"mbind": MEMORY_POLICY, "mmap": COUNTED_MEMORY, **flags.MEMORY},
    ),
    Family(
        "descriptors",
        "work on what is open already; what may be opened is Landlock's and the mounts' affair",
        "read write readv writev pread64 pwrite64 preadv pwritev lseek close dup dup2 pipe fsync fdatasync ftruncate"
        " fstat getdents getdents64 fchdir fchmod fstatfs",
        {"fcntl": FCNTL, "ioctl": IOCTL, "fallocate": LIMITED_SPACE, **flags.DESCRIPTORS},
    ),
    Family(
        "paths",
        "modules, fonts and private temporary files are found by path; Landlock and the mounts say which",
        "creat stat lstat access faccessat readlink readlinkat getcwd chdir mkdir mkdirat rmdir unlink rename renameat"
        " link symlink symlinkat truncate chmod fchmodat umask utime utimes futimesat statfs"
        # As root, without the capability for it, what unpacks an archive or keeps a database gives files to itself.
        " chown lchown fchown"
        # Copying a file with its metadata lists these and must not fail.
        " listxattr llistxattr flistxattr getxattr lgetxattr fgetxattr",
        flags.PATHS,
    ),
    Family(
        "waiting",
        "event loops, timeouts and locks",
        "poll ppoll select pselect6 epoll_create epoll_wait epoll_pwait epoll_pwait2 eventfd nanosleep pause"
        " sched_yield restart_syscall",
        flags.WAITING,
    ),
    Family(
        "time",
        "clocks and timers of its own; none can be set",
        "clock_gettime clock_getres gettimeofday time times alarm getitimer setitimer timerfd_gettime",
        flags.TIME,
    ),
    Family(
        "signals",
        "handlers, faulthandler, and abort(3) of native libraries",
        "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack signalfd",
        flags.SIGNALS,
    ),
    Family(
        "threads",
        "encoders and linear algebra work in threads",
        "set_robust_list exit exit_group sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_min"
        " sched_get_priority_max getcpu",
        flags.THREADS,
    ),
    Family(
        "itself",
        "what a process may know of itself and its machine, and the limits that it can only lower",
        "getpid gettid getppid getpgrp getpgid getsid getuid geteuid getgid getegid getgroups getresuid getresgid uname"
        " sysinfo getrusage getrlimit setrlimit getpriority",
        # By number these reach every process of the same user: nothing but 0, which is the caller.
        {
            "prlimit64": (OneOf(0, (0,)),),
            "sched_setaffinity": (OneOf(0, (0,)),),
            "setpriority": OWN_PRIORITY,
            "prctl": PRCTL,
            **flags.ITSELF,
        },
    ),
    Family(
        "pipes to itself and the job socket",
        "the job comes and the answer goes by one socket; an event loop wakes itself by a pair",
        "getsockname getpeername",
        {"socketpair": PAIR_OF_STREAMS, "sendto": NO_ADDRESS, "getsockopt": SOCKET_FACTS, **flags.SOCKETS},
    ),
)

_SUBPROCESSES = Family(
    "subprocesses",
    "declared by the kind: it starts programs, waits for them and ends them",
    "fork vfork execve setsid setpgid kill tgkill arch_prctl set_tid_address",
    {"clone": flags.NO_NAMESPACE, **flags.PROGRAMS},
)

MISSING = "clone3 openat2 sendfile"
"""Calls that do not exist (ENOSYS), whatever else a filter does with what is not allowed: each has an older way beside it that
all who use it know. The flags of the first two stand behind a pointer, where no filter sees; sendfile puts pages of files, of
any size, into pipes and sockets, which count them as small."""


ASKED_IN_VAIN: Mapping[str, tuple[Rule, ...]] = {"socket": LOCAL_SOCKET}
"""Calls that libc makes unasked and can do without: refused, as everything that is not allowed, but never with a kill.
Who looks up a user's name, be it to pack an archive, asks a name service first, by a local socket."""


def locks(needs: Needs) -> tuple[tuple[Rule, ...], int]:
    """Return for which fcntl the kernel is not asked, and with which error it ends: 0 is success.

    Such a lock keeps out other processes and never its own. A child that can start none has nobody to keep out: its lock
    always succeeds, and need not be made. Where there are others it would be a lie.
    """
    return LOCKS, errno.ENOLCK if needs.subprocesses else 0


def allowed(needs: Needs, process: int) -> tuple[Family, ...]:
    """Return the families for a process of this number, as it sees itself."""
    if needs.subprocesses:
        return (*_ALWAYS, _SUBPROCESSES)
    # Without a process namespace a number may be a neighbour's.
    signals = {"kill": (OneOf(0, (0, process)),), "tgkill": (OneOf(0, (process,)),)}
    own = Family(
        "own threads and signals", "abort(3) and a job that ends itself", ruled={"clone": flags.THREAD, **signals}
    )
    return (*_ALWAYS, own)
