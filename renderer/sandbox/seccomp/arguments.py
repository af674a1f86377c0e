"""What the arguments of a call must be, where the call as a whole is neither harmless nor useless.

Values are the kernel's, by the header they stand in; they are the same on all machines of numbers.tbl.
"""

from __future__ import annotations

import fcntl
import socket
import termios

from renderer.sandbox.seccomp.flags import ANONYMOUS, MMAP, OPEN_FLAGS, SEND, SOCKET_TYPE_FLAGS
from renderer.sandbox.seccomp.rules import Either, Null, OneOf, only

PAIR_OF_STREAMS = (
    OneOf(0, (socket.AF_UNIX,)),
    # A datagram socket, though paired, can send to any address by a message that no filter sees into: the system's log and
    # service manager listen for those.
    OneOf(1, (socket.SOCK_STREAM, socket.SOCK_SEQPACKET), mask=0xFFFFFFFF & ~SOCKET_TYPE_FLAGS),
    OneOf(2, (0,)),
)
"""socketpair, of a type that can never speak to anyone but its other end (unix(7))."""

LOCAL_SOCKET = (OneOf(0, (socket.AF_UNIX,)),)
"""socket(AF_UNIX)."""

NO_ADDRESS = (*SEND, Null(4))
"""sendto is send(2): to the other end."""

OWN_PRIORITY = (OneOf(0, (0,)), OneOf(1, (0,)))
"""setpriority for the caller (PRIO_PROCESS, 0); PRIO_USER would slow all the neighbours down."""

_SHARED, _PRIVATE, _TYPE = 0x01, 0x02, 0x0F
COUNTED_MEMORY = (
    *MMAP,
    OneOf(3, (_SHARED, _PRIVATE, _PRIVATE | ANONYMOUS), mask=_TYPE | ANONYMOUS),
)
"""mmap of a file, or of private memory. Anonymous shared memory stays as long as one page of it is mapped, and is counted by
neither RLIMIT_DATA nor, once unmapped but for that page, by RLIMIT_AS or as resident."""

LIMITED_SPACE = (OneOf(1, (0,)),)
"""fallocate that makes a file as large as what it takes: with FALLOC_FL_KEEP_SIZE it goes past RLIMIT_FSIZE."""

SOCKET_FACTS = (OneOf(1, (1,)), OneOf(2, (3, 4, 7, 8, 30, 38, 39)))
"""getsockopt for SOL_SOCKET: type, error, buffer sizes, whether it listens, protocol and domain. SO_PEERPIDFD would hand out
a descriptor of the supervisor's process."""

MEMORY_POLICY = (OneOf(2, (0, 1)), Null(3), OneOf(5, (0,)))
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

_FREE_COMMANDS = (
    fcntl.F_GETFD,
    fcntl.F_GETFL,
    fcntl.F_DUPFD_CLOEXEC,
    fcntl.F_DUPFD,
    fcntl.F_GETLK,
    fcntl.F_OFD_GETLK,
    fcntl.F_GETPIPE_SZ,
    fcntl.F_GET_SEALS,
)

FCNTL = (
    Either(
        (
            (OneOf(1, _FREE_COMMANDS),),
            (OneOf(1, (fcntl.F_SETFD,)), only(2, fcntl.FD_CLOEXEC)),
            (OneOf(1, (fcntl.F_SETFL,)), only(2, OPEN_FLAGS)),
        )
    ),
)
"""fcntl on flags and copies. F_SETOWN with F_SETSIG has the kernel send any signal to any process of the user, and F_SETLEASE
on the output makes the supervisor wait when it opens it."""

LOCKS = (OneOf(1, (fcntl.F_SETLK, fcntl.F_SETLKW)),)
"""fcntl that locks a part of a file for its process. The kernel keeps each part by itself, bounds them by nothing
(RLIMIT_LOCKS has no meaning since Linux 2.4.25), and other children see those on the files that all can read."""
