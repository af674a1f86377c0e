"""The directory that artifacts are kept in, held open: what is written goes where the service began to write.

A path can come to mean another directory while a service runs: a volume that is unmounted leaves the empty directory below it,
and a job would be completed with bytes that nobody finds. So the directory is opened once, everything is done relative to
the descriptor, and each look asks whether the path still means it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

MARKER = ".jobsupervisor-installation"
_MOST_MARKED = 4096
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Root:
    """One directory. Opened when first used. `mode` is that of new files; who may read them may enter new directories."""

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self.mode = mode
        self._fd = -1
        self._mark: str | None = None

    @property
    def directory_mode(self) -> int:
        """The mode of new directories: who may read a file may look for it."""
        return self.mode | (self.mode & 0o444) >> 2

    def make(self) -> None:
        """Make the directory where it is missing, and open it. Raises OSError."""
        if not self.path.is_dir():
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(self.directory_mode)
        self.open()

    def open(self) -> int:
        """Return its descriptor. Raises OSError: where the path means another directory than when it was opened, ESTALE.

        One that bears the mark that was seen before is the same one: a volume that was mounted again.
        """
        if self._fd < 0:
            self._fd = os.open(self.path, _DIRECTORY)
            return self._fd
        ours = os.fstat(self._fd)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            there = self.path.stat()
            if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino) or self._came_back():
                return self._fd
        raise OSError(
            errno.ESTALE,
            f"{self.path} must be the directory that it was when the service started, and is another or gone: was its "
            "volume unmounted? Mount it again, or restart the service",
        )

    def _came_back(self) -> bool:
        """Go on with the directory that the path means now, if it bears the mark. Raises OSError."""
        if self._mark is None:
            return False
        there = os.open(self.path, _DIRECTORY)
        try:
            if _read(there) != self._mark:
                return False
            # Under the same number: whoever has it at this moment goes on in one of the two, both of them whole.
            os.dup2(there, self._fd, inheritable=False)
        finally:
            os.close(there)
        return True

    def shard(self, name: str) -> int:
        """Open a directory in it, which is made where it is missing: there are few of them. Raises OSError."""
        root, flags = self.open(), _DIRECTORY | os.O_NOFOLLOW
        try:
            return os.open(name, flags, dir_fd=root)
        except FileNotFoundError:
            try:
                os.mkdir(name, 0o700, dir_fd=root)
            except FileExistsError:
                return os.open(name, flags, dir_fd=root)
        made = os.open(name, flags, dir_fd=root)
        os.fchmod(made, self.directory_mode)
        return made

    def file(self, shard: str, name: str) -> int | None:
        """Open a file for reading; None where there is none, or a link on the way. Raises OSError for our own lack of something."""
        try:
            directory = os.open(shard, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self.open())
            try:
                # Of something else than a file the opening may block (O_NONBLOCK: not so).
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
            finally:
                os.close(directory)
        except OSError as error:
            if error.errno in _OURS:
                raise
            return None
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        return None

    def read_marker(self) -> str | None:
        """Return what marks whose directory it is; None where nothing does. Raises OSError."""
        self._mark = _read(self.open())
        return self._mark

    def write_marker(self, text: str, *, replace: bool) -> bool:
        """Mark it, whole and on disk; False where it has a mark that is not to be replaced. Raises OSError."""
        root = self.open()
        fd = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=root)
        try:
            os.write(fd, text.encode())
            os.fchmod(fd, self.mode)
            os.fsync(fd)
            name = f"{MARKER}.new" if replace else MARKER
            if replace:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=root)
            try:
                # Linked by its number, as `_link` in directory.py does; only one of two that do this at once succeeds.
                os.link(f"/proc/self/fd/{fd}", name, src_dir_fd=root, dst_dir_fd=root, follow_symlinks=True)
            except FileExistsError:
                return False
            if replace:
                os.replace(name, MARKER, src_dir_fd=root, dst_dir_fd=root)
            os.fsync(root)
        finally:
            os.close(fd)
        return True

    def close(self) -> None:
        """Let it go; it is opened anew when it is used again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    __del__ = close


def _read(directory: int) -> str | None:
    """Return the mark of an open directory. Raises OSError."""
    try:
        fd = os.open(MARKER, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=directory)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read(_MOST_MARKED).decode(errors="replace")
