"""The flags that a call may have, where it has any. All are lists of what is allowed: what a kernel learns later is refused.

A flag can make a harmless call another one: close_range with CLOSE_RANGE_UNSHARE gives each thread a table of descriptors of
its own, and as many pipes and sockets as the whole child may have; pipe2 with O_NOTIFICATION_PIPE makes a watch queue.

Values are the kernel's, by the header they stand in. Those of open(2) differ between the machines of numbers.tbl in four bits
(O_DIRECT, O_DIRECTORY, O_NOFOLLOW, O_LARGEFILE), of which all are allowed.
"""

from __future__ import annotations

from collections.abc import Mapping

from renderer.sandbox.seccomp.rules import OneOf, Rule, only

_CLOEXEC, _NONBLOCK = 0o2000000, 0o4000  # O_CLOEXEC and O_NONBLOCK are EFD_, EPOLL_, SFD_, SOCK_ and TFD_ ones too

# asm-generic/fcntl.h: access mode, CREAT, EXCL, NOCTTY, TRUNC, APPEND, NONBLOCK, DSYNC, the four, NOATIME, CLOEXEC, SYNC,
# PATH, TMPFILE. Not FASYNC (a signal to whoever, for each byte that comes).
_OPEN = 0o3 | 0o100 | 0o200 | 0o400 | 0o1000 | 0o2000 | 0o4000 | 0o10000 | 0o40000 | 0o100000 | 0o200000 | 0o400000
_OPEN |= 0o1000000 | _CLOEXEC | 0o4000000 | 0o10000000 | 0o20000000

_AT_NOFOLLOW, _AT_EACCESS, _AT_REMOVEDIR, _AT_FOLLOW, _AT_NO_AUTOMOUNT, _AT_EMPTY = (
    0x100,
    0x200,
    0x200,
    0x400,
    0x800,
    0x1000,
)
_AT_STAT = _AT_NOFOLLOW | _AT_NO_AUTOMOUNT | _AT_EMPTY | 0x6000  # AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC

_READ_WRITE_EXEC, _PROT_BTI = 0x7, 0x10  # the latter is aarch64's, of the code of libraries
# linux/mman.h: SHARED, PRIVATE, FIXED, ANONYMOUS, 32BIT, DENYWRITE, EXECUTABLE, NORESERVE, POPULATE, STACK, FIXED_NOREPLACE.
# Not GROWSDOWN, LOCKED, HUGETLB (the machine's pool of large pages, which no limit counts), SYNC, DROPPABLE.
_MMAP = 0x1 | 0x2 | 0x10 | 0x20 | 0x40 | 0x800 | 0x1000 | 0x4000 | 0x8000 | 0x20000 | 0x100000
# NORMAL to DONTNEED, FREE, REMOVE, DONTFORK, DOFORK, HUGEPAGE, NOHUGEPAGE, DONTDUMP, DODUMP, WIPEONFORK, KEEPONFORK, COLD,
# PAGEOUT, POPULATE_READ, POPULATE_WRITE, GUARD_INSTALL, GUARD_REMOVE. Not MERGEABLE, by which one process tells what
# another's memory holds; HWPOISON and SOFT_OFFLINE, which take memory from the machine; COLLAPSE.
_ADVICE = (0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 102, 103)

# linux/futex.h: WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP, WAIT_BITSET, WAKE_BITSET, each with PRIVATE and CLOCK_REALTIME.
# The others lend priorities: more than a bug a year, and nothing that renders uses them.
_FUTEX = (0, 1, 3, 4, 5, 9, 10)
_FUTEX_FLAGS = 0x80 | 0x100

# linux/socket.h. Not MSG_OOB, MSG_ERRQUEUE, MSG_ZEROCOPY.
_MSG_PEEK, _MSG_TRUNC, _MSG_DONTWAIT, _MSG_EOR, _MSG_WAITALL, _MSG_NOSIGNAL, _MSG_MORE, _MSG_CMSG_CLOEXEC = (
    0x2,
    0x20,
    0x40,
    0x80,
    0x100,
    0x4000,
    0x8000,
    0x40000000,
)
_RECEIVE = _MSG_PEEK | _MSG_TRUNC | _MSG_DONTWAIT | _MSG_WAITALL | _MSG_NOSIGNAL | _MSG_CMSG_CLOEXEC

# asm-generic/signal.h, sched.h: VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID, CHILD_CLEARTID, DETACHED,
# CHILD_SETTID; of which a thread has the first five.
_CLONE_THREAD = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000
_CLONE = _CLONE_THREAD | 0x40000 | 0x80000 | 0x100000 | 0x200000 | 0x400000 | 0x1000000
_CLONE_VFORK, _SIGNAL = 0x4000, 0xFF

THREAD = (only(0, _CLONE, required=_CLONE_THREAD),)
"""clone makes a thread of this process, as pthread_create(3) does, and nothing else. One with descriptors of its own would
have as many again as a child may have, and fill as many pipes and sockets."""

NO_NAMESPACE = (only(0, _CLONE | _CLONE_VFORK | _SIGNAL),)
"""clone makes a thread or a process, in the namespaces that are there."""

ANONYMOUS = 0x20
MMAP = (only(2, _READ_WRITE_EXEC | _PROT_BTI), only(3, _MMAP))
OPEN_FLAGS = _OPEN
SOCKET_TYPE_FLAGS = _CLOEXEC | _NONBLOCK
SEND = (only(3, _MSG_DONTWAIT | _MSG_EOR | _MSG_NOSIGNAL | _MSG_MORE),)

MEMORY: Mapping[str, tuple[Rule, ...]] = {
    "mprotect": (only(2, _READ_WRITE_EXEC | _PROT_BTI),),
    "mremap": (only(3, 0x3),),  # MAYMOVE, FIXED
    "madvise": (OneOf(2, _ADVICE),),
    "msync": (only(2, 0x7),),
    # QUERY, PRIVATE_EXPEDITED and its registration, the same for code. The global ones interrupt the whole machine.
    "membarrier": (OneOf(0, (0, 0x8, 0x10, 0x20, 0x40)), OneOf(1, (0,))),
}

DESCRIPTORS: Mapping[str, tuple[Rule, ...]] = {
    "close_range": (OneOf(2, (0, 4)),),  # CLOEXEC
    "dup3": (only(2, _CLOEXEC),),
    "pipe2": (only(1, _CLOEXEC | _NONBLOCK),),
    "preadv2": (only(5, 0x1E),),  # DSYNC, SYNC, NOWAIT, APPEND
    "pwritev2": (only(5, 0x1E),),
    "copy_file_range": (OneOf(5, (0,)),),
    "sync_file_range": (only(3, 0x7),),
    "fadvise64": (OneOf(3, (0, 1, 2, 3, 4, 5)),),
    "flock": (OneOf(1, (1, 2, 8), mask=0xFFFFFFFF & ~4),),  # shared, exclusive, none; with LOCK_NB
}

PATHS: Mapping[str, tuple[Rule, ...]] = {
    "open": (only(1, _OPEN),),
    "openat": (only(2, _OPEN),),
    "newfstatat": (only(3, _AT_STAT),),
    "statx": (only(2, _AT_STAT),),
    "faccessat2": (only(3, _AT_EACCESS | _AT_NOFOLLOW | _AT_EMPTY),),
    "unlinkat": (only(2, _AT_REMOVEDIR),),
    "renameat2": (only(4, 0x3),),  # NOREPLACE, EXCHANGE; WHITEOUT is a device
    "linkat": (only(4, _AT_FOLLOW | _AT_EMPTY),),
    "fchmodat2": (only(3, _AT_NOFOLLOW | _AT_EMPTY),),
    "fchownat": (only(4, _AT_NOFOLLOW | _AT_EMPTY),),
    "utimensat": (only(3, _AT_NOFOLLOW | _AT_EMPTY),),
}

WAITING: Mapping[str, tuple[Rule, ...]] = {
    "futex": (OneOf(1, _FUTEX, mask=0xFFFFFFFF & ~_FUTEX_FLAGS),),
    "futex_waitv": (OneOf(2, (0,)),),
    "epoll_create1": (only(0, _CLOEXEC),),
    "epoll_ctl": (OneOf(1, (1, 2, 3)),),
    "eventfd2": (only(1, 1 | _CLOEXEC | _NONBLOCK),),  # SEMAPHORE
    "clock_nanosleep": (only(1, 1),),  # ABSTIME
}

TIME: Mapping[str, tuple[Rule, ...]] = {
    # REALTIME, MONOTONIC, BOOTTIME: not those that wake a machine that sleeps.
    "timerfd_create": (OneOf(0, (0, 1, 7)), only(1, _CLOEXEC | _NONBLOCK)),
    "timerfd_settime": (only(1, 0x3),),  # ABSTIME, CANCEL_ON_SET
}

SIGNALS: Mapping[str, tuple[Rule, ...]] = {"signalfd4": (only(3, _CLOEXEC | _NONBLOCK),)}

THREADS: Mapping[str, tuple[Rule, ...]] = {"rseq": (only(2, 1),)}  # UNREGISTER

ITSELF: Mapping[str, tuple[Rule, ...]] = {"getrandom": (only(2, 0x7),)}

SOCKETS: Mapping[str, tuple[Rule, ...]] = {
    "recvfrom": (only(3, _RECEIVE),),
    "recvmsg": (only(2, _RECEIVE),),
    "shutdown": (OneOf(1, (0, 1, 2)),),
}

PROGRAMS: Mapping[str, tuple[Rule, ...]] = {
    "execveat": (only(4, _AT_NOFOLLOW | _AT_EMPTY),),
    # NOHANG, STOPPED, EXITED, CONTINUED, NOWAIT, and three of Linux's own.
    "wait4": (only(2, 0xF | 0x01000000 | 0xE0000000),),
    "waitid": (OneOf(0, (0, 1, 2, 3)), only(3, 0xF | 0x01000000 | 0xE0000000)),
}
