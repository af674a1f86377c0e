"""System calls that Python's standard library does not wrap. Each raises OSError with the call's errno."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

# From linux/prctl.h.
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

# From linux/sched.h.
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

_CAPABILITY_VERSION_3 = 0x20080522  # capget(2): 64-bit sets, in two halves


def _checked(result: int, call: str) -> None:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{call}: {os.strerror(error)}")


def prctl(option: int, value: int) -> None:
    """Set one of the attributes of this process (prctl(2))."""
    unused = ctypes.c_ulong(0)
    _checked(_libc.prctl(option, ctypes.c_ulong(value), unused, unused, unused), f"prctl({option}, {value})")


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones (unshare(2))."""
    _checked(_libc.unshare(flags), f"unshare({flags:#x})")


def drop_capabilities() -> None:
    """Empty all three capability sets of this thread (capset(2))."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    _checked(_libc.capset(header, sets), "capset")


def close_from(first: int) -> None:
    """Close every descriptor from `first` on."""
    os.closerange(first, 2**31 - 1)  # close_range(2) underneath: one call, whatever the number
