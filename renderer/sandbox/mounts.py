"""The system calls that build a tree of mounts. Each raises OSError with the call's errno.

A bind mount is taken whole, with what is mounted below it, and made read-only before it is put in its place: so no moment
exists at which it is there and writable. That is open_tree(2), mount_setattr(2) and move_mount(2), of Linux 5.12; older
kernels have no such layer here.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from renderer.syscalls import checked, libc

# From linux/mount.h.
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
_MNT_DETACH = 2
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_ATTR_RDONLY = 0x1
_ATTR_NOSUID = 0x2
_ATTR_NODEV = 0x4
# From linux/fcntl.h.
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
# The numbers are the same on every architecture (they are younger than the common table).
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_MOUNT_SETATTR = 442


def mount(source: str, target: str | Path, kind: str | None, flags: int, data: str = "") -> None:
    """Mount (mount(2))."""
    where = os.fsencode(target)
    result = libc.mount(
        source.encode(), where, kind.encode() if kind else None, ctypes.c_ulong(flags), data.encode() or None
    )
    checked(result, f"mount {kind or ''} on {os.fsdecode(where)}")


def unmount(target: str | Path) -> None:
    """Take a mount out of the tree; it is gone when nobody uses it (umount2(2))."""
    checked(libc.umount2(os.fsencode(target), _MNT_DETACH), f"umount {target}")


def bind(source: Path, target: Path, *, read_only: bool = True, devices: bool = False) -> None:
    """Show a directory or a file at another place too, with everything mounted below it. The target must be there."""
    with detached(source) as tree:
        attributes = (ctypes.c_uint64 * 4)(
            _ATTR_NOSUID | (_ATTR_RDONLY if read_only else 0) | (0 if devices else _ATTR_NODEV), 0, 0, 0
        )
        checked(
            libc.syscall(
                _SYS_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, attributes, ctypes.sizeof(attributes)
            ),
            f"mount_setattr of {source}",
        )
        attach(tree, target)


def attach(tree: int, target: Path) -> None:
    """Put a copy of mounts into its place."""
    checked(
        libc.syscall(_SYS_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH),
        f"move_mount to {target}",
    )


@contextlib.contextmanager
def detached(source: Path) -> Iterator[int]:
    """Yield a descriptor of a copy of the mounts at and below a path."""
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    tree = checked(libc.syscall(_SYS_OPEN_TREE, _AT_FDCWD, os.fsencode(source), flags), f"open_tree of {source}")
    try:
        yield tree
    finally:
        os.close(tree)


def make_read_only(target: Path) -> None:
    """Let nobody write to the one mount at a path."""
    attributes = (ctypes.c_uint64 * 4)(_ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV, 0, 0, 0)
    checked(
        libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), 0, attributes, ctypes.sizeof(attributes)),
        f"mount_setattr of {target}",
    )


def enter_root(root: Path) -> None:
    """Make a mount the root, and take the old root away (pivot_root(2), "." on top of ".")."""
    os.chdir(root)
    checked(libc.pivot_root(b".", b"."), f"pivot_root to {root}")
    # The old root lies on top of the new one now.
    unmount(".")
    os.chdir("/")
