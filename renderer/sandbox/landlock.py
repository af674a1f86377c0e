"""Which files a child may reach: Landlock, entered by its own system calls (landlock(7)).

A ruleset names the rights that it handles; what is handled and not granted is denied to this process and all that it
starts, for ever. Granted rights hang on a file or a whole tree. The kernel's version of the interface (its ABI) says which
rights it knows, and a right that it does not know must not be named: the older the kernel, the less is handled.

What it does not do, with the consequence:

 - A descriptor that was open before keeps what it could do. The output and the job socket go on working, and one that was
   left open by mistake is a hole: close them first.
 - It knows open, not stat: a child can still ask whether a path exists, and when it was changed.
 - A library is mapped with the right to read. `execute` is for programs that are started.
 - Mounts cannot be changed any more: enter a mount namespace first.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from renderer.syscalls import checked, libc

# One number on every machine but alpha (asm-generic/unistd.h).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1  # LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_RULE_PATH_BENEATH

# linux/landlock.h, LANDLOCK_ACCESS_FS_*.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG, _MAKE_SYM = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FIRST_RIGHTS = (1 << 13) - 1

_ON_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""The rights that a file can carry; the kernel takes no rule that gives it another."""

_READ = _READ_FILE | _READ_DIR
# No devices, sockets or pipes: what a renderer makes are files, directories and links. Commands to devices (_IOCTL_DEV) are
# granted nowhere.
_WRITE = _READ | _WRITE_FILE | _TRUNCATE | _REFER | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM
_START = _READ | _EXECUTE

_TCP = 0b11  # LANDLOCK_ACCESS_NET_BIND_TCP, LANDLOCK_ACCESS_NET_CONNECT_TCP
_SCOPES = 0b11  # LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, LANDLOCK_SCOPE_SIGNAL
_LOG_SAME_EXEC_OFF = 1  # LANDLOCK_RESTRICT_SELF_*: a job that tries for ever must not fill the machine's audit log

# The ABI that each came with.
_TCP_SINCE, _SCOPES_SINCE, _QUIET_SINCE = 4, 6, 7

_UNREACHABLE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES})

NEWEST = 7
"""The newest ABI that this module knows. A newer kernel handles the same rights as at this one."""


def abi() -> int:
    """Return the version of Landlock's interface that is used here: the kernel's, up to the newest one known.

    Raises OSError: ENOSYS on a kernel built without it, EOPNOTSUPP on one started without it.
    """
    version = _call("landlock_create_ruleset", _CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    return min(version, NEWEST)


def restrict(read: Iterable[Path], write: Iterable[Path], execute: Iterable[Path] = ()) -> int:
    """Deny this thread, and what it starts, all files but these, all TCP, and signals and abstract sockets of others.

    Each path is a file or a tree: `read` to read; `write` to read, change, make and remove; `execute` to read and start.
    A path that does not exist, or that this process cannot get to anyway, is passed over. Returns the ABI: rights younger
    than it are not held. PR_SET_NO_NEW_PRIVS must stand. Raises OSError as `abi` does, and EPERM without no_new_privs.
    """
    version = abi()
    files = _handled(version)
    ruleset = _create(version, files)
    try:
        for paths, rights in ((read, _READ), (write, _WRITE), (execute, _START)):
            for path in paths:
                _allow(ruleset, path, rights & files)
        quiet = ctypes.c_uint32(_LOG_SAME_EXEC_OFF if version >= _QUIET_SINCE else 0)
        _call("landlock_restrict_self", _RESTRICT_SELF, ctypes.c_int(ruleset), quiet)
    finally:
        os.close(ruleset)
    return version


def _handled(version: int) -> int:
    """Return the rights on files that this ABI knows: all of them are to be denied where they are not granted."""
    rights = _FIRST_RIGHTS
    # Before ABI 2 nothing can be moved between directories at all: the kernel denies it without being asked.
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if version >= since:
            rights |= right
    return rights


def _create(version: int, files: int) -> int:
    """Make a ruleset; return its descriptor.

    struct landlock_ruleset_attr grew with the ABI. A kernel takes a longer one only if what it does not know is zero.
    """
    network = _TCP if version >= _TCP_SINCE else 0
    scopes = _SCOPES if version >= _SCOPES_SINCE else 0
    attributes = struct.pack("=QQQ", files, network, scopes)
    size = ctypes.c_size_t(len(attributes))
    return _call("landlock_create_ruleset", _CREATE_RULESET, attributes, size, ctypes.c_uint32(0))


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _UNREACHABLE:
            return
        raise
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _ON_A_FILE
        rule = struct.pack("=Qi", rights, place)
        no_flags = ctypes.c_uint32(0)
        _call("landlock_add_rule", _ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, no_flags)
    finally:
        os.close(place)


def _call(name: str, number: int, *arguments: object) -> int:
    return checked(libc.syscall(ctypes.c_long(number), *arguments), name)
