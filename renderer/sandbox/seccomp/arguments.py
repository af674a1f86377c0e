"""What the arguments of a call must be, where the call as a whole is neither harmless nor useless.

Values are the kernel's, by the header they stand in; they are the same on all machines of numbers.tbl.
"""

from __future__ import annotations

import fcntl
import socket
import termios

from renderer.sandbox.seccomp.rules import Null, OneOf, flags

# linux/sched.h
_CLONE_VM, _CLONE_FS, _CLONE_FILES, _CLONE_SIGHAND, _CLONE_THREAD = 0x100, 0x200, 0x400, 0x800, 0x10000
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. CLONE_NEWTIME exists for clone3 and unshare only.
_NEW_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
# CLONE_PARENT makes a sibling, which the fork server would take for its own; CLONE_PTRACE, CLONE_UNTRACED are a debugger's.
_NEVER_CLONE = _NEW_NAMESPACES | 0x00008000 | 0x00002000 | 0x00800000

_AS_PTHREAD = _CLONE_VM | _CLONE_FS | _CLONE_FILES | _CLONE_SIGHAND | _CLONE_THREAD

THREAD = (flags(0, required=_AS_PTHREAD, forbidden=_NEVER_CLONE),)
"""clone makes a thread of this process, as pthread_create(3) does, and nothing else. One with descriptors of its own would
have as many again as a child may have, and fill as many pipes and sockets."""

NO_NAMESPACE = (flags(0, forbidden=_NEVER_CLONE),)
"""clone makes a thread or a process, in the namespaces that are there."""

PAIR_OF_STREAMS = (
    OneOf(0, (socket.AF_UNIX,)),
    # The low bits are the type, above are SOCK_CLOEXEC and SOCK_NONBLOCK (socket(2)). A datagram socket, though paired, can
    # send to any address by sendmsg, which no filter sees: the system's log and service manager listen for those.
    OneOf(1, (socket.SOCK_STREAM, socket.SOCK_SEQPACKET), mask=0xF),
)
"""socketpair, of a type that can never speak to anyone but its other end (unix(7))."""

LOCAL_SOCKET = (OneOf(0, (socket.AF_UNIX,)),)
"""socket(AF_UNIX)."""

NO_ADDRESS = (Null(4),)
"""sendto is send(2): to the other end."""

OWN_PRIORITY = (OneOf(0, (0,)), OneOf(1, (0,)))
"""setpriority for the caller (PRIO_PROCESS, 0); PRIO_USER would slow all the neighbours down."""

_SHARED, _PRIVATE, _VALIDATED, _ANONYMOUS = 0x01, 0x02, 0x03, 0x20
COUNTED_MEMORY = (OneOf(3, (_SHARED, _VALIDATED, _PRIVATE, _PRIVATE | _ANONYMOUS), mask=_VALIDATED | _ANONYMOUS),)
"""mmap of a file, or of private memory. Anonymous shared memory stays as long as one page of it is mapped, and is counted by
neither RLIMIT_DATA nor, once unmapped but for that page, by RLIMIT_AS or as resident."""

LIMITED_SPACE = (OneOf(1, (0,)),)
"""fallocate that makes a file as large as what it takes: with FALLOC_FL_KEEP_SIZE it goes past RLIMIT_FSIZE."""

SOCKET_FACTS = (OneOf(1, (1,)), OneOf(2, (3, 4, 7, 8, 30, 38, 39)))
"""getsockopt for SOL_SOCKET: type, error, buffer sizes, whether it listens, protocol and domain. SO_PEERPIDFD would hand out
a descriptor of the supervisor's process."""

MEMORY_POLICY = (OneOf(2, (0, 1)), Null(3))
"""mbind with MPOL_DEFAULT or MPOL_PREFERRED and no set of nodes: "here", which is the default anyway."""

PRCTL = (
    OneOf(
        0,
        (
            15,  # PR_SET_NAME: process titles
            16,  # PR_GET_NAME
            0x53564D41,  # PR_SET_VMA: libc names its mappings
            2,  # PR_GET_PDEATHSIG
            3,  # PR_GET_DUMPABLE
            7,  # PR_GET_KEEPCAPS
            21,  # PR_GET_SECCOMP
            23,  # PR_CAPBSET_READ
            27,  # PR_GET_SECUREBITS
            30,  # PR_GET_TIMERSLACK
            38,  # PR_SET_NO_NEW_PRIVS: it stands already
            39,  # PR_GET_NO_NEW_PRIVS
            42,  # PR_GET_THP_DISABLE
            52,  # PR_GET_SPECULATION_CTRL
        ),
    ),
)
"""prctl asks, or sets a name. PR_SET_PDEATHSIG 0 would let a child outlive us, PR_SET_DUMPABLE open it to its neighbours."""

_TCGETS2 = 0x802C542A  # asm-generic/ioctls.h: isatty(3) of newer libcs

IOCTL = (
    OneOf(
        1,
        (
            termios.TCGETS,
            _TCGETS2,
            termios.TIOCGWINSZ,
            termios.FIONREAD,
            termios.FIONBIO,
            termios.FIOCLEX,
            termios.FIONCLEX,
        ),
    ),
)
"""ioctl asks whether this is a terminal, and sets the two flags of a descriptor. TIOCSTI would type for the operator."""

FCNTL = (
    OneOf(
        1,
        (
            fcntl.F_GETFD,
            fcntl.F_SETFD,
            fcntl.F_GETFL,
            fcntl.F_SETFL,
            fcntl.F_DUPFD_CLOEXEC,
            fcntl.F_DUPFD,
            fcntl.F_SETLK,
            fcntl.F_SETLKW,
            fcntl.F_GETLK,
            fcntl.F_OFD_SETLK,
            fcntl.F_OFD_SETLKW,
            fcntl.F_OFD_GETLK,
            fcntl.F_GETPIPE_SZ,
            fcntl.F_GET_SEALS,
        ),
    ),
)
"""fcntl on flags, copies and locks. F_SETOWN with F_SETSIG has the kernel send any signal to any process of the user, and
F_SETLEASE on the output makes the supervisor wait when it opens it."""
