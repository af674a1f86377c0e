"""The filter of system calls, tried by real processes that entered it."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from renderer.needs import Needs
from renderer.sandbox import ForbiddenCalls
from renderer.sandbox.seccomp import families, numbers, policy
from tests.renderer.cage import Cage, Ending, Layer

NO_NEW_PRIVILEGES: Layer = ("no_new_privileges", {})
REFUSE: Layer = ("seccomp", {"unknown": "refuse"})
KILL: Layer = ("seccomp", {"unknown": "kill"})
SUBPROCESSES: Layer = ("seccomp", {"unknown": "kill", "subprocesses": True})

REFUSED = Ending(errno=errno.EPERM, raised="PermissionError(1, 'Operation not permitted')")
KILLED = Ending(signal=signal.SIGSYS)

on_x86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="a convention of x86_64")

ANY = 2**64 - 1
NAMESPACES = {
    "NEWNS": 0x00020000,
    "NEWCGROUP": 0x02000000,
    "NEWUTS": 0x04000000,
    "NEWIPC": 0x08000000,
    "NEWUSER": 0x10000000,
    "NEWPID": 0x20000000,
    "NEWNET": 0x40000000,
}
THREAD = 0x100 | 0x800 | 0x10000


FORBIDDEN = {
    "the network": "bind listen accept accept4 connect recvmmsg setsockopt",
    "descriptors under way": "sendmsg sendmmsg",
    "timers that no descriptor bounds": "timer_create timer_settime timer_gettime timer_getoverrun timer_delete",
    "shared memory": "memfd_create memfd_secret shmget shmat shmctl shmdt msgget msgsnd semget semop mq_open mq_unlink",
    "behind the filter's back": "io_uring_setup io_uring_enter io_uring_register io_setup io_submit",
    "keys": "keyctl add_key request_key",
    "programs in the kernel": "bpf perf_event_open userfaultfd seccomp landlock_create_ruleset",
    "other processes": "ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_open pidfd_getfd"
    " pidfd_send_signal kcmp get_robust_list rt_sigqueueinfo rt_tgsigqueueinfo tkill migrate_pages move_pages",
    "mounts": "mount umount2 pivot_root fsopen fsconfig fsmount fspick move_mount open_tree mount_setattr statmount"
    " listmount chroot unshare setns",
    "files past their paths": "mknodat name_to_handle_at open_by_handle_at fanotify_init fanotify_mark inotify_init1",
    "identity": "setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capset capget",
    "the machine": "personality swapon swapoff reboot init_module finit_module delete_module kexec_load kexec_file_load acct"
    " quotactl quotactl_fd syslog settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname vhangup"
    " nfsservctl lookup_dcookie",
    "the neighbours' share": "sync syncfs ioprio_set sched_setscheduler sched_setattr set_mempolicy mlock mlockall",
    "what nobody needs": "splice vmsplice tee setxattr removexattr pkey_alloc remap_file_pages mincore",
    "programs": "execve execveat wait4 waitid setsid setpgid",
    "old calls": "fork vfork ioperm iopl modify_ldt uselib mknod ustat sysfs inotify_init",
}
"""Calls that are refused whatever they are told, by what they would open. Those that a machine never had are passed over."""

FORBIDDEN_ARGUMENTS: list[tuple[Any, ...]] = [
    ("socket", 0, 0, 0),
    ("socket", 2, 1, 0),  # AF_INET: TCP
    ("socket", 2, 1, 262),  # MPTCP
    ("socket", 2, 2, 0),  # UDP
    ("socket", 10, 1, 0),  # AF_INET6
    ("socket", 16, 3, 0),  # AF_NETLINK
    ("socket", 17, 3, 0),  # AF_PACKET
    ("socket", 38, 5, 0),  # AF_ALG
    ("socket", 40, 1, 0),  # AF_VSOCK
    ("clone", 0),
    *(("clone", THREAD | flag) for flag in NAMESPACES.values()),
    ("clone", signal.SIGCHLD),
    ("clone", 0x100 | 0x4000 | signal.SIGCHLD),  # vfork: CLONE_VM | CLONE_VFORK
    ("clone", 0x100 | 0x800),  # shares memory and handlers, and is no thread
    ("clone", THREAD | 0x8000),  # CLONE_PARENT
    ("socketpair", 1, 2, 0),  # AF_UNIX datagrams, which can be sent to any address
    ("socketpair", 1, 3, 0),  # SOCK_RAW, which is the same
    ("socketpair", 1, 2 | 0o2004000, 0),  # with SOCK_CLOEXEC | SOCK_NONBLOCK
    ("socketpair", 2, 1, 0),  # AF_INET
    ("socketpair", 16, 3, 0),  # AF_NETLINK
    ("sendto", 3, 0, 0, 0, 1, 16),  # an address in the lower half of the pointer
    ("sendto", 3, 0, 0, 0, 1 << 32, 16),  # and in the upper
    ("prctl", 1, 0),  # PR_SET_PDEATHSIG
    ("prctl", 4, 1),  # PR_SET_DUMPABLE
    ("prctl", 8, 1),  # PR_SET_KEEPCAPS
    ("prctl", 22, 2, 0),  # PR_SET_SECCOMP
    ("prctl", 35, 1, 0),  # PR_SET_MM
    ("prctl", 36, 1),  # PR_SET_CHILD_SUBREAPER
    ("prctl", 0x59616D61, ANY),  # PR_SET_PTRACER
    ("prctl", 1 << 32 | 1, 0),  # the kernel drops the upper half
    ("ioctl", 0, 0x5412, 0),  # TIOCSTI
    ("ioctl", 0, 1 << 32 | 0x5412, 0),
    ("ioctl", 0, 0x541C, 0),  # TIOCLINUX
    ("ioctl", 0, 0x540E, 0),  # TIOCSCTTY
    ("ioctl", 0, 0x5452, 0),  # FIOASYNC
    ("fcntl", 0, 8, 1),  # F_SETOWN
    ("fcntl", 0, 15, 0),  # F_SETOWN_EX
    ("fcntl", 0, 10, 9),  # F_SETSIG
    ("fcntl", 0, 1024, 2),  # F_SETLEASE
    ("fcntl", 0, 1026, 0),  # F_NOTIFY
    ("fcntl", 0, 1031, 1 << 20),  # F_SETPIPE_SZ
    ("fcntl", 0, 1033, 0),  # F_ADD_SEALS
    ("kill", 1, 0),
    ("kill", ANY, 0),  # everybody
    ("tgkill", 1, 1, 0),
    ("prlimit64", 1, 7, 0, 0),
    ("sched_setaffinity", 1, 0, 0),
    ("setpriority", 0, 1, 0),
    ("setpriority", 2, 0, 0),  # PRIO_USER
    ("mbind", 0, 0, 2, 0, 0, 0),  # MPOL_BIND
    ("mbind", 0, 0, 1, 1, 8, 0),
    ("close_range", 900, 900, 2),  # CLOSE_RANGE_UNSHARE: a table of descriptors for each thread
    ("pipe2", 0, 0x80),  # O_NOTIFICATION_PIPE: a watch queue
    ("pipe2", 0, 0x4000),  # O_DIRECT: a page for each byte
    ("mmap", 0, 4096, 3, 0x40022, ANY, 0),  # MAP_HUGETLB
    ("mmap", 0, 4096, 3, 0x2022, ANY, 0),  # MAP_LOCKED
    ("mmap", 0, 4096, 3, 0x28, ANY, 0),  # MAP_DROPPABLE
    ("mmap", 0, 4096, 3, 0x122, ANY, 0),  # MAP_GROWSDOWN
    ("clone", THREAD | 0x200 | 0x400 | 0x1000),  # CLONE_PIDFD
    ("clone", THREAD | 0x200 | 0x400 | 0x80000000),  # CLONE_IO
    ("madvise", 0, 0, 12),  # MADV_MERGEABLE
    ("madvise", 0, 0, 100),  # MADV_HWPOISON
    ("membarrier", 1, 0),  # MEMBARRIER_CMD_GLOBAL
    ("futex", 0, 6, 0, 0, 0, 0),  # FUTEX_LOCK_PI
    ("futex", 0, 12 | 128, 0, 0, 0, 0),  # FUTEX_CMP_REQUEUE_PI
    ("sendto", 3, 0, 0, 1, 0, 0),  # MSG_OOB
    ("sendto", 3, 0, 0, 0x4000000, 0, 0),  # MSG_ZEROCOPY
    ("recvfrom", 3, 0, 0, 1, 0, 0),  # MSG_OOB
    ("recvmsg", 3, 0, 0x2000),  # MSG_ERRQUEUE
    ("fcntl", 0, 4, 0x2000),  # F_SETFL with FASYNC
    ("fcntl", 0, 37, 0),  # F_OFD_SETLK
    ("fcntl", 0, 38, 0),  # F_OFD_SETLKW
    ("flock", 0, 32),  # LOCK_MAND
    ("renameat2", 0, 0, 0, 0, 4),  # RENAME_WHITEOUT
    ("timerfd_create", 8, 0),  # CLOCK_REALTIME_ALARM
    ("socketpair", 1, 1, 5),
]

FLAGS: dict[str, tuple[int, tuple[int, ...]]] = {
    "mmap": (3, (0, 4096, 3, 0x22, ANY, 0)),
    "mprotect": (2, (0, 0, 0)),
    "mremap": (3, (0, 0, 0, 0, 0)),
    "msync": (2, (0, 0, 0)),
    "membarrier": (1, (0, 0)),
    "madvise": (2, (0, 0, 0)),
    "close_range": (2, (900, 900, 0)),
    "dup3": (2, (0, 0, 0)),
    "pipe2": (1, (0, 0)),
    "preadv2": (5, (ANY, 0, 0, 0, 0, 0)),
    "pwritev2": (5, (ANY, 0, 0, 0, 0, 0)),
    "copy_file_range": (5, (ANY, 0, ANY, 0, 0, 0)),
    "sync_file_range": (3, (ANY, 0, 0, 0)),
    "fadvise64": (3, (ANY, 0, 0, 0)),
    "fallocate": (1, (ANY, 0, 0, 0)),
    "open": (1, (0, 0)),
    "openat": (2, (ANY, 0, 0)),
    "newfstatat": (3, (ANY, 0, 0, 0)),
    "statx": (2, (ANY, 0, 0, 0, 0)),
    "faccessat2": (3, (ANY, 0, 0, 0)),
    "unlinkat": (2, (ANY, 0, 0)),
    "renameat2": (4, (ANY, 0, ANY, 0, 0)),
    "linkat": (4, (ANY, 0, ANY, 0, 0)),
    "fchmodat2": (3, (ANY, 0, 0, 0)),
    "fchownat": (4, (ANY, 0, 0, 0, 0)),
    "utimensat": (3, (ANY, 0, 0, 0)),
    "futex": (1, (0, 1, 0, 0, 0, 0)),
    "futex_waitv": (2, (0, 0, 0, 0, 0)),
    "epoll_create1": (0, (0,)),
    "epoll_ctl": (1, (ANY, 1, 0, 0)),
    "eventfd2": (1, (0, 0)),
    "signalfd4": (3, (ANY, 0, 8, 0)),
    "timerfd_create": (1, (1, 0)),
    "timerfd_settime": (1, (ANY, 0, 0, 0)),
    "clock_nanosleep": (1, (1, 0, 0, 0)),
    "rseq": (2, (0, 0, 0, 0)),
    "getrandom": (2, (0, 0, 0)),
    "socketpair": (1, (1, 1, 0, 0)),
    "sendto": (3, (ANY, 0, 0, 0, 0, 0)),
    "recvfrom": (3, (ANY, 0, 0, 0, 0, 0)),
    "recvmsg": (2, (ANY, 0, 0)),
}
"""Calls with flags: which argument they are, and arguments that pass the filter."""
NO_FLAG_YET = (1 << 27, 1 << 31)
"""Bits that no call but clone and open knows, and that a later kernel may give a meaning."""

ACTIVITIES = """
    threads event_loop files database arrays codecs chance_and_time waiting memory signals diagnostics limits imports
    job_socket
""".split()  # noqa: SIM905 - a list that is read

RENDERS: list[tuple[str, dict[str, Any], str]] = [
    ("noop", {}, "application/octet-stream"),
    ("svg", {}, "image/png"),
    *(
        ("scene", {"format": format_, "width": 320, "height": 180, **more}, content_type)
        for format_, more, content_type in (
            ("png", {}, "image/png"),
            ("gif", {"fps": 5}, "image/gif"),
            ("mp4", {"fps": 10}, "video/mp4"),
            ("webm", {"fps": 5}, "video/webm"),
        )
    ),
]


@pytest.fixture(scope="module")
def cage() -> Iterator[Cage]:
    """Provide the process that the trials are forked from."""
    with Cage() as cage:
        yield cage


@pytest.fixture(scope="module")
def studio() -> Iterator[Cage]:
    """Provide another, with all that draws loaded: larger, and slower to fork from."""
    with Cage() as studio:
        yield studio


def both_modes(cage: Cage, trial: str, *arguments: Any) -> tuple[Ending, Ending]:
    """Return how a trial ends where the filter refuses, and where it kills."""
    refused, killed = (cage.attempt([NO_NEW_PRIVILEGES, layer], trial, *arguments) for layer in (REFUSE, KILL))
    return refused, killed


def all_refused(cage: Cage, calls: list[tuple[Any, ...]]) -> None:
    """Check that each call fails with EPERM, and in the other mode ends the process, which nothing but a filter does."""
    ending = cage.attempt([NO_NEW_PRIVILEGES, REFUSE], "attempts:each", calls)
    failed = dict(zip(calls, ending.said, strict=True))
    assert failed == dict.fromkeys(calls, errno.EPERM)
    killed = {call: cage.attempt([NO_NEW_PRIVILEGES, KILL], "attempts:call", *call) for call in calls}
    assert killed == dict.fromkeys(calls, KILLED)


@pytest.mark.parametrize("what", FORBIDDEN)
def test_forbidden_whatever_its_arguments(cage: Cage, what: str) -> None:
    """None of these calls reaches the kernel, by privileged and unprivileged users alike."""
    known = numbers.machine().calls
    all_refused(cage, [(name, 0, 0, 0, 0, 0, 0) for name in FORBIDDEN[what].split() if name in known])


@pytest.mark.parametrize("name", sorted({call[0] for call in FORBIDDEN_ARGUMENTS}))
def test_forbidden_with_these_arguments(cage: Cage, name: str) -> None:
    """A call that is allowed otherwise is refused for what it is told to do."""
    all_refused(cage, [call for call in FORBIDDEN_ARGUMENTS if call[0] == name])


@pytest.mark.parametrize("name", FLAGS)
def test_flags_that_nobody_knows_yet(cage: Cage, name: str) -> None:
    """Lists of flags say what is allowed: a flag that is not on one is refused, whatever it will mean."""
    if name not in numbers.machine().calls:
        pytest.skip(f"this machine has no {name}")
    place, base = FLAGS[name]
    (passes,) = cage.attempt([NO_NEW_PRIVILEGES, REFUSE], "attempts:each", [[name, *base]]).said
    assert passes != errno.EPERM
    all_refused(cage, [(name, *base[:place], base[place] | bit, *base[place + 1 :]) for bit in NO_FLAG_YET])


def test_locks_of_a_lone_process_are_not_made(cage: Cage, tmp_path: Path) -> None:
    """A job made locks without end, one for each other byte of a file, and all of them are kernel memory.

    They succeed, as those of a process by itself always do, and there are none; where a kind starts programs there would be
    somebody to keep out, and it is told that there are no locks.
    """
    for layer in (REFUSE, KILL):
        assert cage.attempt([NO_NEW_PRIVILEGES, layer], "attempts:lock_parts", str(tmp_path / "a"), 1000).said == 0
    assert cage.attempt([], "attempts:lock_parts", str(tmp_path / "a"), 1000).said == 1000
    ending = cage.attempt([NO_NEW_PRIVILEGES, SUBPROCESSES], "attempts:lock_parts", str(tmp_path / "a"), 1000)
    assert ending.errno == errno.ENOLCK


def test_a_local_socket_never_kills(cage: Cage) -> None:
    """There is none; but libc asks for one where a program only looked up a user's name."""
    assert both_modes(cage, "attempts:call", "socket", 1, 1, 0) == (REFUSED, REFUSED)


@pytest.mark.parametrize("unknown", ForbiddenCalls)
@pytest.mark.parametrize("name", ["clone3", "openat2", "sendfile", "one past the newest", "far in the future"])
def test_calls_that_do_not_exist(cage: Cage, name: str, unknown: ForbiddenCalls) -> None:
    """What libraries try and can do without does not exist, in both modes: the older way is taken."""
    newest = numbers.machine().newest
    number = {"one past the newest": newest + 1, "far in the future": numbers.X32 - 1}.get(name, name)
    ending = cage.attempt([NO_NEW_PRIVILEGES, ("seccomp", {"unknown": unknown})], "attempts:call", number, 0, 0)
    assert ending.errno == errno.ENOSYS


@on_x86_64
@pytest.mark.parametrize("layer", [REFUSE, KILL, SUBPROCESSES])
def test_other_conventions_end_the_process(cage: Cage, layer: Layer) -> None:
    """A 32-bit call and an x32 call, harmless by their own numbers, end the process in every mode."""
    without = cage.attempt([], "attempts:call_32_bit")
    if without.signal is None:  # else the kernel is built without it, and the processor refuses
        assert isinstance(without.said, int)
        assert cage.attempt([NO_NEW_PRIVILEGES, layer], "attempts:call_32_bit") == KILLED
    getpid = numbers.MACHINES["x86_64"].calls["getpid"]
    assert cage.attempt([NO_NEW_PRIVILEGES, layer], "attempts:call", numbers.X32 | getpid) == KILLED


@pytest.mark.parametrize(
    ("trial", "arguments"),
    [
        ("fork", ()),
        ("multiprocess", ()),
        ("start_a_program", ("/bin/true",)),
        ("bind_tcp", ()),
        ("connect_tcp", (1,)),
        ("send_to_an_address", ()),
        ("send_a_stream_to_an_address", ()),
        ("pass_a_descriptor", ()),
        ("kill_parent", (0,)),
        ("install_again", ()),
    ],
)
def test_python_is_refused_plainly(cage: Cage, trial: str, arguments: tuple[Any, ...]) -> None:
    """What a plug-in does by Python's own means fails with PermissionError, or ends the process."""
    refused, killed = both_modes(cage, f"attempts:{trial}", *arguments)
    assert (refused.errno, (refused.raised or "")[:15]) == (errno.EPERM, "PermissionError")
    assert killed == KILLED


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_what_renderers_do(studio: Cage, activity: str) -> None:
    """It works where everything unknown kills: so nothing unknown was called, not even in vain."""
    assert studio.attempt([NO_NEW_PRIVILEGES, KILL], f"activities:{activity}") == Ending()


def test_what_asks_for_the_network_by_the_way(studio: Cage) -> None:
    """A library that tries a socket and can do without works, but not where that kills."""
    assert studio.attempt([NO_NEW_PRIVILEGES, REFUSE], "activities:unique_by_time") == Ending()


@pytest.mark.parametrize(("kind", "config", "content_type"), RENDERS)
def test_built_in_kinds_render(studio: Cage, kind: str, config: dict[str, Any], content_type: str) -> None:
    """Each kind draws its sample to the end, in each format, where everything unknown kills."""
    assert studio.attempt([NO_NEW_PRIVILEGES, KILL], "activities:render", kind, config) == Ending(said=content_type)


@pytest.mark.parametrize("layer", [REFUSE, KILL])
def test_a_process_may_end_itself(cage: Cage, layer: Layer) -> None:
    """A crash shows as what it is, and not as a forbidden call."""
    assert cage.attempt([NO_NEW_PRIVILEGES, layer], "attempts:abort").signal == signal.SIGABRT
    ended = cage.attempt([NO_NEW_PRIVILEGES, layer], "attempts:kill_self", signal.SIGSEGV)
    assert ended == Ending(signal=signal.SIGSEGV)


def test_subprocesses_for_kinds_that_declare_them(cage: Cage) -> None:
    """Programs start and are waited for, and are under the same filter as what started them."""
    layers = [NO_NEW_PRIVILEGES, SUBPROCESSES]
    assert cage.attempt(layers, "attempts:fork") == Ending(said=7)
    assert cage.attempt(layers, "attempts:signal_a_descendant") == Ending(said=-signal.SIGKILL)
    assert cage.attempt(layers, "attempts:start_a_program", "/bin/sh", "-c", "echo $(echo hello)").said == "hello\n"
    report = cage.attempt(layers, "attempts:start_a_program", "/bin/cat", "/proc/self/status").said
    assert "\nSeccomp:\t2\n" in report
    assert "\nNoNewPrivs:\t1\n" in report


@pytest.mark.parametrize(
    "call",
    [
        *(("clone", flag | signal.SIGCHLD) for flag in NAMESPACES.values()),
        ("clone", 0x8000 | signal.SIGCHLD),
        ("unshare", 0x10000000),
        ("setns", 0, 0),
        ("socket", 2, 1, 0),
        ("ptrace", 0, 0, 0, 0),
        ("pidfd_open", 1, 0),
        ("prctl", 1, 0),
    ],
    ids=lambda call: "-".join(format(part) for part in call),
)
def test_subprocesses_open_nothing_else(cage: Cage, call: tuple[Any, ...]) -> None:
    """No namespace, no sibling, no socket: a new user namespace would bring all capabilities with it."""
    assert cage.attempt([NO_NEW_PRIVILEGES, SUBPROCESSES], "attempts:call", *call) == KILLED


def test_it_needs_no_new_privileges(cage: Cage) -> None:
    """Without, an unprivileged process gets no filter, and is told so."""
    assert cage.attempt([("no_capabilities", {}), REFUSE], "attempts:fork").errno == errno.EACCES


def test_an_unknown_machine_has_no_filter(cage: Cage) -> None:
    """Where no table fits, the layer cannot be had: an error, and no filter of wrong numbers."""
    if os.uname().machine == "aarch64":
        pytest.skip("a 64-bit kernel without 32-bit programs cannot pretend to be another machine")
    assert cage.attempt([NO_NEW_PRIVILEGES], "attempts:pretend_32_bit").errno == errno.ENOSYS


@pytest.mark.parametrize("subprocesses", [False, True])
def test_every_family_is_known_and_explained(subprocesses: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Each name is a call of some machine, stands in one family only, and each family says why."""
    found = families.allowed(Needs(subprocesses=subprocesses), 1)
    calls = [call for family in found for call in (*family.calls.split(), *family.ruled)]
    known = {call for machine in numbers.MACHINES.values() for call in machine.calls}
    assert set(calls) <= known
    assert len(calls) == len(set(calls))
    assert all(len(family.reason.split()) > 3 for family in found)


@pytest.mark.parametrize("machine", numbers.MACHINES.values(), ids=lambda machine: machine.name)
def test_each_machine_has_a_program(machine: numbers.Machine) -> None:
    """The program assembles for machines that this is not, and stays far below the kernel's limit."""
    program = policy.build(machine, ForbiddenCalls.REFUSE, Needs(), 1)
    assert len(program) % 8 == 0
    assert 100 < len(program) // 8 < 700
