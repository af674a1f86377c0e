"""The file system of the children: a small read-only tree, and what is private to each.

The fork server builds the tree once, in a mount namespace of its own, and enters it: for each child that leaves three
mounts to be made. Nothing in it can be written but /tmp and /dev/shm, which belong to one child and are bounded in bytes
and in files; no device is there but the five that hold no state.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from renderer.sandbox import mounts

_PRIVATE = {Path("/tmp"): 64 * 1024 * 1024, Path("/dev/shm"): 16 * 1024 * 1024}  # noqa: S108 - each child's own
"""Directories that a child may write to, and their bytes."""
WRITABLE = tuple(_PRIVATE)
READABLE = (Path("/proc"), Path("/dev"))
_FILES = 2048
_DEVICES = ("null", "zero", "full", "random", "urandom")
# Always there, never among what is shown, and not needed while the tree is built.
_BUILDING_SITE = Path("/proc")
own_entries = -1
"""This process's directory in the system's /proc, where that is covered."""
_QUIET = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC


def build_and_enter(shown: Sequence[Path]) -> None:
    """Make the tree of the paths that are shown, and make it the root. Raises OSError.

    The process must be alone in its mount namespace, with CAP_SYS_ADMIN there.
    """
    mounts.mount("none", "/", None, mounts.MS_REC | mounts.MS_PRIVATE)
    root = _BUILDING_SITE
    with mounts.detached(Path("/proc")) as system_proc:
        mounts.mount("tmpfs", root, "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV, "size=1m,mode=0755")
        try:
            _build(root, shown, system_proc)
            mounts.enter_root(root)
        except OSError:
            # What was refused half way must not leave its site behind: without this layer a child still reads /proc.
            with contextlib.suppress(OSError):
                mounts.unmount(root)
            raise


def _build(root: Path, shown: Sequence[Path], system_proc: int) -> None:
    """Fill a mount with the tree; it is read-only when this returns."""
    for name in ("tmp", "proc", "dev", "dev/shm"):
        (root / name).mkdir()
    for name in _DEVICES:
        (root / "dev" / name).touch()
        mounts.bind(Path("/dev") / name, root / "dev" / name, read_only=False, devices=True)
    for path in shown:
        _show(path, root)
    if not _mount_proc(root / "proc"):
        # The fork server, and a child until it has taken this away, read their own entries in the system's.
        mounts.attach(system_proc, root / "proc")
    mounts.make_read_only(root)


def mount_private_parts(shown: Sequence[Path], hidden: Sequence[Path]) -> None:
    """Give a child, in a mount namespace of its own, its /tmp, /dev/shm and /proc; take away what it was not granted.

    What is shown of the system's /tmp (an environment that was installed there) stays in its place.

    Without a /proc of its own (the kernel allows none where a part of the system's is masked, as in a container) it has
    none at all: the fork server's is covered. Its own entries stay within reach until `forget_own_entries`.
    """
    for path in hidden:
        mounts.unmount(path)
    for target, size in _PRIVATE.items():
        below = f"{target}/"
        inside = [path for path in shown if os.fspath(path).startswith(below) and path not in hidden]
        site = _BUILDING_SITE if inside else target
        mounts.mount("tmpfs", site, "tmpfs", _QUIET, f"size={size},nr_inodes={_FILES},mode=1777")
        for path in inside:
            _show(path, site, target)
        if inside:
            mounts.mount(os.fspath(site), target, None, mounts.MS_MOVE)
    if not _mount_proc(Path("/proc")):
        global own_entries  # noqa: PLW0603 - a process has one birth
        own_entries = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        mounts.mount("tmpfs", "/proc", "tmpfs", _QUIET, "size=4k,nr_inodes=2,mode=0555")


def forget_own_entries() -> None:
    """Close what is left of the system's /proc, once its last user has written there."""
    global own_entries  # noqa: PLW0603 - as above
    if own_entries >= 0:
        os.close(own_entries)
        own_entries = -1


def _mount_proc(target: Path) -> bool:
    """Mount the process namespace's own /proc, its own processes only; False where that is not allowed.

    What is not ours to trace is hidden: the keeper is of the fork server's namespaces, and what /proc shows of a process's
    network asks for no permission.
    """
    with contextlib.suppress(OSError):
        mounts.mount("proc", target, "proc", _QUIET, "subset=pid,hidepid=ptraceable")
        return True
    return False


def _show(path: Path, root: Path, base: Path = Path("/")) -> None:
    """Show one path in the new tree, with the symbolic links that lead to it; `root` is to be what `base` is now."""
    if not path.is_relative_to(base):
        return
    here = base
    for depth, part in enumerate(path.relative_to(base).parts, start=len(base.parts)):
        here /= part
        there = root / here.relative_to(base)
        if here.is_symlink():
            if not there.is_symlink():
                there.symlink_to(here.readlink())
            rest = path.parts[depth + 1 :]
            target = Path(os.path.normpath(here.parent / here.readlink())).joinpath(*rest)
            _show(target, root, base)
            return
        if here != path:
            there.mkdir(exist_ok=True)
    _bind(path, root / path.relative_to(base))


def _bind(path: Path, there: Path) -> None:
    if os.path.ismount(there) or there.is_symlink():
        return
    if path.is_dir():
        there.mkdir(exist_ok=True)
    else:
        there.touch()
    mounts.bind(path, there)
