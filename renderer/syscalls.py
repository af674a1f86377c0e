"""System calls that Python's standard library does not wrap. Each raises OSError with the call's errno."""

from __future__ import annotations

import ctypes
import os
import platform
import signal

libc = ctypes.CDLL(None, use_errno=True)

# From linux/prctl.h.
PR_SET_PDEATHSIG = 1
_PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

# From linux/sched.h.
_CLONE_VM = 0x00000100
_CLONE_FILES = 0x00000400
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_LOWEST_BEST_EFFORT = 2 << 13 | 7  # class and level, linux/ioprio.h

_STACK_BYTES = 65536
_waiting_stack = ctypes.create_string_buffer(_STACK_BYTES)

# From linux/capability.h.
CAP_SETGID = 6
CAP_SETUID = 7

_CAPABILITY_VERSION_3 = 0x20080522  # capget(2): 64-bit sets, in two halves


def checked(result: int, call: str) -> int:
    """Return the result of a call, or raise what it left in errno."""
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{call}: {os.strerror(error)}")
    return result


def prctl(option: int, value: int) -> None:
    """Set one of the attributes of this process (prctl(2))."""
    unused = ctypes.c_ulong(0)
    checked(libc.prctl(option, ctypes.c_ulong(value), unused, unused, unused), f"prctl({option}, {value})")


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones (unshare(2))."""
    checked(libc.unshare(flags), f"unshare({flags:#x})")


def clone_waiting(flags: int) -> int:
    """Start a process that only waits for its end, and return its number. `flags` name its new namespaces (clone(2)).

    It shares memory and descriptors with this one, so that it costs a twentieth of a fork and holds nothing open. It runs
    pause(2) and never comes back from it: all such processes can stand on one stack.
    """
    function = ctypes.cast(libc.pause, ctypes.c_void_p)
    top = ctypes.addressof(_waiting_stack) + _STACK_BYTES & ~15
    number = libc.clone(
        function, ctypes.c_void_p(top), flags | _CLONE_VM | _CLONE_FILES | signal.SIGCHLD, ctypes.c_void_p(0)
    )
    return checked(number, f"clone({flags:#x})")


def enter_namespace(descriptor: int, kind: int) -> None:
    """Join the namespace that a descriptor names; for processes: this one's future children do (setns(2))."""
    checked(libc.setns(descriptor, kind), f"setns({kind:#x})")


def yield_the_disk() -> None:
    """Have everybody else's reads and writes go first (ioprio_set(2)); libc has no wrapper."""
    if number := _IOPRIO_SET.get(platform.machine()):
        checked(libc.syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_LOWEST_BEST_EFFORT), "ioprio_set")


def is_dumpable() -> bool:
    """Whether processes of the same user may look into this one."""
    return checked(libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0), "prctl") != 0


def capabilities() -> list[int]:
    """Return the effective, permitted and inheritable capabilities of this thread, in 32-bit halves (capget(2))."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    checked(libc.capget(header, sets), "capget")
    return list(sets)


def drop_capabilities() -> None:
    """Empty all three capability sets of this thread (capset(2))."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    checked(libc.capset(header, sets), "capset")


def close_from(first: int) -> None:
    """Close every descriptor from `first` on."""
    os.closerange(first, 2**31 - 1)  # close_range(2) underneath: one call, whatever the number
