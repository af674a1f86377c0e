"""The file that a child writes to, and the copy of it that is published: checked, hashed, and nobody else's."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from supervisor.media_types import essence, is_media_type

_CHUNK = 1024 * 1024
_ROOM = 1024 * 1024
"""Bytes: a file system with less counts as full."""

_MAGIC: dict[str, tuple[int, tuple[bytes, ...]]] = {
    "application/pdf": (0, (b"%PDF-",)),
    "image/gif": (0, (b"GIF87a", b"GIF89a")),
    "image/jpeg": (0, (b"\xff\xd8\xff",)),
    "image/png": (0, (b"\x89PNG\r\n\x1a\n",)),
    "image/webp": (8, (b"WEBP",)),
    "video/mp4": (4, (b"ftyp",)),
    "video/webm": (0, (b"\x1aE\xdf\xa3",)),
}
"""Offset and first bytes of the types that browsers act upon: a file must be what it says."""


class BadOutput(Exception):  # noqa: N818 - named as the outcome is
    """What the child wrote cannot be published. The job's fault."""


@dataclass(slots=True)
class OutputFile:
    """The file that a child writes to; it never gets a name.

    `own` is ours alone to read by. What a child is given it shares with us, with the flags: one that set O_DIRECT would have
    our reading fail. It is opened first, since the child may be the file's owner and take the right to.
    """

    fd: int
    own: int

    @property
    def disk_is_full(self) -> bool:
        """Whether the file system has no room left, in bytes or files: no fault of a job's."""
        found = os.fstatvfs(self.own)
        return found.f_bavail * found.f_frsize < _ROOM or (found.f_files > 0 and not found.f_favail)

    @property
    def size(self) -> int:
        """Bytes that were written to it."""
        return os.fstat(self.own).st_size

    def empty(self) -> None:
        """Make it as new, for another attempt in the child that has it: its length, its offset, its flags. Raises OSError."""
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)
        fcntl.fcntl(self.fd, fcntl.F_SETFL, 0)

    def close(self) -> None:
        """Give it up; what was written and not published is gone."""
        os.close(self.fd)
        os.close(self.own)


@dataclass(frozen=True, slots=True)
class Copy:
    """The bytes that are published, in an unnamed file of ours: its descriptor, SHA-256 in hex, size in bytes."""

    fd: int
    sha256: str
    size: int


def open_output(directory: int) -> OutputFile:
    """Return a new file for an attempt, on the file system of an open directory. Raises OSError."""
    # With O_EXCL the child cannot give it a name either (open(2)).
    shared = unnamed(directory, os.O_EXCL)
    try:
        return OutputFile(shared, os.open(f"/proc/self/fd/{shared}", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        os.close(shared)
        raise


@contextmanager
def copied(output: OutputFile, directory: int, content_type: str) -> Iterator[Copy]:
    """Check what was written, copy it to an unnamed file in an open directory, and hash the copy.

    Yields the copy, which is closed at the end. Raises BadOutput, or OSError for the disk's faults.
    """
    found = os.fstat(output.own)
    if not stat.S_ISREG(found.st_mode):
        raise BadOutput("the output must stay a regular file")
    if not is_media_type(content_type):
        raise BadOutput(f"content_type must be a media type, got {content_type[:100]!r}; image/png is one")
    target = unnamed(directory)
    try:
        digest, size = _copy(output.own, target, found.st_size, content_type)
        # Asked of the copy: the child may still cut the file that it wrote to.
        if not size:
            raise BadOutput("the renderer wrote nothing to its output; write the artifact to `out`")
        yield Copy(target, digest, size)
    finally:
        os.close(target)


def unnamed(directory: int, flags: int = 0) -> int:
    """Open a new file that has no name, in an open directory. Raises OSError.

    Nobody but this user may open it, should it get a name; who publishes it decides who else may.
    """
    try:
        return os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC | flags, 0o600, dir_fd=directory)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
            raise
        raise OSError(
            error.errno, "its file system must support unnamed files (O_TMPFILE), as ext4, xfs, btrfs and tmpfs do"
        ) from None


def _copy(source: int, target: int, size: int, content_type: str) -> tuple[str, int]:
    """Copy and hash `size` bytes, which is what the file had before; return SHA-256 in hex and the size.

    Raises BadOutput when the first bytes belie the type, and when the file has another size by the end: a child that goes on
    writing after its answer decides neither how much is read nor how long that takes.
    """
    digest = hashlib.sha256()
    done = 0
    # Read by position: the offset is the child's too, and it may still move it.
    while done < size and (chunk := os.pread(source, min(_CHUNK, size - done), done)):
        if not done:
            _check_type(chunk, content_type)
        digest.update(chunk)
        done += len(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(target, view) :]
    now = os.fstat(source).st_size
    if done != size or now != size:
        raise BadOutput(
            f"the output must not change once the renderer has returned: it had {size} bytes, and has {now}"
        )
    return digest.hexdigest(), done


def _check_type(start: bytes, content_type: str) -> None:
    offset, beginnings = _MAGIC.get(essence(content_type), (0, (b"",)))
    if not start[offset:].startswith(beginnings):
        raise BadOutput(f"content_type says {content_type}, the bytes are not: they begin with {start[:12]!r}")
