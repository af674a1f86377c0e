"""The directory that a server lives in: made, locked, removed, and swept up where its owner was killed.

A home holds `data`, `server.log`, `password`, the socket's directory and sometimes a copy of the binaries. What is temporary
also holds a file `lock`, locked as long as anybody uses it: we hold the lock, and the server inherits it, so that it is
free only when both are gone. The sweep removes directories whose lock is free. It never takes one that is about to be
locked, since the file gets its name after its lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from supervisor.embedded.account import Account, temporary_directories
from supervisor.embedded.binaries import EmbeddedUnavailable

PREFIX = "jobsupervisor-pg-"
LONGEST_SOCKET = 107  # bytes of sun_path, less the terminating zero
SHORT = Path("/tmp")  # noqa: S108 - what we make in it is made private by mkdtemp


class Home:
    """Where one server keeps what it has; the server shall inherit the descriptors in `locks`."""

    def __init__(self, directory: Path | None, account: Account | None, parent: Path | None = None) -> None:
        self.temporary = directory is None
        self.locks: list[int] = []
        self._account = account
        self._to_remove: list[Path] = []
        self._sockets_elsewhere: Path | None = None
        if directory is None:
            self.path = _reachable_temporary(account, parent)
            self._remove_later(self.path)
        else:
            self.path = directory.absolute() if account else directory.resolve()
            _make_kept(self.path, account)
        self.data = self.path / "data"
        self.log = self.path / "server.log"
        self.password = self.path / "password"
        self.log.touch(mode=0o600)

    def make_private(self, name: str) -> Path:
        """Return a directory in the home that only the server's user can enter."""
        return self._private(self.path / name)

    def socket_directory(self, socket_name: str) -> Path:
        """Return a private directory whose sockets have paths that fit into a socket's address."""
        if len(os.fsencode(self.path / "socket" / socket_name)) <= LONGEST_SOCKET:
            return self.make_private("socket")
        if self._sockets_elsewhere is None:
            self._sockets_elsewhere = self.scratch(SHORT)
        return self._private(self._sockets_elsewhere / "socket")

    def scratch(self, parent: Path) -> Path:
        """Return another temporary directory, which goes when the home goes."""
        path = _temporary(parent, self._account)
        self._remove_later(path)
        return path

    def remove(self) -> None:
        """Remove what is temporary."""
        for path in self._to_remove:
            # Removed before it is unlocked: a sweep in between would meet a directory that vanishes under it.
            shutil.rmtree(path)
        for lock in self.locks:
            os.close(lock)
        self._to_remove, self.locks = [], []

    def _private(self, path: Path) -> Path:
        path.mkdir(mode=0o700, exist_ok=True)
        if self._account is not None:
            self._account.own(path)
        return path

    def _remove_later(self, path: Path) -> None:
        self._to_remove.append(path)
        self.locks.append(_lock(path))


def sweep(parent: Path) -> list[Path]:
    """Remove directories whose owners died without doing so; return what was removed."""
    removed = []
    for path in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), _free_lock(path):
            shutil.rmtree(path)
            removed.append(path)
    return removed


@contextlib.contextmanager
def _free_lock(directory: Path) -> Iterator[None]:
    # O_NOFOLLOW and the owner: anybody may put anything into a shared temporary directory under our prefix.
    if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
        raise PermissionError(directory)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _lock(directory: Path) -> int:
    unnamed = directory / "lock.new"
    lock = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    unnamed.rename(directory / "lock")
    return lock


def _temporary(parent: Path, account: Account | None) -> Path:
    sweep(parent)
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    if account is not None:
        path.chmod(0o711)  # the server's user passes through to what is its own; nobody can list it
    return path


def _reachable_temporary(account: Account | None, preferred: Path | None) -> Path:
    for parent in temporary_directories(account, preferred):
        if not os.access(parent, os.W_OK):
            continue
        path = _temporary(parent, account)
        if account is None:
            return path
        os.chown(path, -1, account.gid)
        path.chmod(0o710)  # nobody else passes through, whatever the mode of what is in it
        if account.can('cd "$1"', path):
            return path
        path.rmdir()
    raise EmbeddedUnavailable(
        f"an embedded server needs a temporary directory that its user can enter; {tempfile.gettempdir()} is none. "
        "Set TMPDIR to one, or set DATABASE_URL"
    )


def _make_kept(path: Path, account: Account | None) -> None:
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & stat.S_IWOTH:
        # Whoever could put links into it would have us write and read elsewhere, as root perhaps.
        raise EmbeddedUnavailable(
            f"the directory of a server's data must be ours (uid {os.geteuid()}), no link, and not everybody's to write to: {path} "
            f"has mode {stat.filemode(found.st_mode)} and belongs to uid {found.st_uid}. Name another, or one that is not there yet"
        )
    if account is not None and not account.can('cd "$1"', path):
        raise EmbeddedUnavailable(
            f"the server must run as uid {account.uid}, which cannot enter {path}. "
            "Name a directory whose parents every user may enter (mode 711 or wider), or run as another user"
        )
