"""Files in directories that the server's user owns, or did: root works in them without being led out of them.

Whoever owns a directory may put a link in it, to a file that only root may write, or a second name of such a file. So no link is
followed here, nothing that exists is written to, and what has two names changes no hands.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from supervisor.embedded.binaries import EmbeddedUnavailable

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_READ = 4096


def hand_over(path: Path, uid: int, gid: int) -> None:
    """Give a file, or a directory and all that is in it, to a user. Raises OSError, EmbeddedUnavailable.

    A directory is closed to its last owner before anything in it is looked at, so that this one changes nothing meanwhile; and it
    is root's until all of it is done, so that a second try begins anew.
    """
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        with _opened(path.parent) as parent:
            _give(path.name, path, uid, gid, parent)
        return
    with _opened(path) as directory:
        os.fchmod(directory, 0o700)
        os.fchown(directory, os.geteuid(), os.getegid())
        _give_all(directory, path, uid, gid)
        os.fchown(directory, uid, gid)


def replace(directory: Path, name: str, text: str, owner: tuple[int, int] | None = None) -> None:
    """Write a file of mode 0600 in the place of what has its name. Raises OSError."""
    with _opened(directory) as parent:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=parent), "w", encoding="utf-8") as file:
            file.write(text)
            if owner is not None:
                os.fchown(file.fileno(), *owner)


def read(directory: Path, name: str) -> str:
    """Return the first lines of a small file; nothing for what is no file. Raises OSError."""
    with _opened(directory) as parent:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        except OSError as error:
            if error.errno == errno.ELOOP:
                return ""
            raise
        with os.fdopen(fd, "rb") as file:
            return file.read(_MOST_READ).decode(errors="replace") if stat.S_ISREG(os.fstat(fd).st_mode) else ""


@contextlib.contextmanager
def _opened(path: str | Path, parent: int | None = None) -> Iterator[int]:
    fd = os.open(path, _DIRECTORY, dir_fd=parent)
    try:
        yield fd
    finally:
        os.close(fd)


def _give_all(directory: int, path: Path, uid: int, gid: int) -> None:
    for name in os.listdir(directory):
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            _give(name, path / name, uid, gid, directory)
            continue
        with _opened(name, directory) as inner:
            os.fchmod(inner, 0o700)
            os.fchown(inner, uid, gid)
            _give_all(inner, path / name, uid, gid)


def _give(name: str, path: Path, uid: int, gid: int, directory: int) -> None:
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if found.st_nlink > 1:
        raise EmbeddedUnavailable(
            f"what is given to the server's user must have no second name elsewhere: {path} has {found.st_nlink}. "
            "Remove it, or keep the server's data in another directory"
        )
    os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)
