"""Published artifacts, in a directory.

What is hashed is what is published. A child may keep a copy of its descriptor and write after its answer, so the file
that it wrote to is never published: its bytes are copied to a new file that only the supervisor has, hashed on the way,
and that one gets a name. The copy has no name until it is whole and on disk (O_TMPFILE, then linkat(2)), so that a crash
leaves nothing half-written and nothing to clean up.

Names carry the job and the attempt: `<last two digits of the id>/<id>-<attempt>.<suffix>`. A supervisor that was stopped
and goes on after its job was rescued writes under its own attempt's name; it cannot overwrite the newer attempt's file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from supervisor.errors import ConfigurationError
from supervisor.media_types import essence, is_media_type
from supervisor.model import Artifact

_CHUNK = 1024 * 1024
_ROOM = 1024 * 1024
"""Bytes: a file system with less counts as full."""

_SUFFIXES = {
    "application/json": "json",
    "application/pdf": "pdf",
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/webp": "webp",
    "text/html": "html",
    "text/plain": "txt",
    "video/mp4": "mp4",
    "video/webm": "webm",
}

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


_SHARD = 2
"""Characters of a directory's name."""
_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d+)\.\w+(?:\.new)?")


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """A file of the directory, and the job and attempt that wrote it."""

    path: str
    job_id: str
    attempt: int


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

    def close(self) -> None:
        """Give it up; what was written and not published is gone."""
        os.close(self.fd)
        os.close(self.own)


class ArtifactDirectory:
    """A directory of artifacts. Safe for several supervisors at once, on one file system."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def prepare(self) -> None:
        """Make the directory and prove that it takes a file. Raises ConfigurationError."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            os.close(self._unnamed())
        except OSError as error:
            raise ConfigurationError(
                f"RENDER_ARTIFACTS_URL: the directory must be there and writable: {self._root}: {error.strerror}"
            ) from None

    def open_output(self, *, wanted: bool = True) -> OutputFile:
        """Return a new file for one attempt; for a kind that writes none, a descriptor that takes everything."""
        # With O_EXCL the child cannot give it a name either (open(2)).
        shared = self._unnamed(os.O_EXCL) if wanted else os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            return OutputFile(shared, os.open(f"/proc/self/fd/{shared}", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            os.close(shared)
            raise

    def publish(self, output: OutputFile, job_id: str, attempt: int, content_type: str) -> Artifact:
        """Check, copy, hash and publish what was written. Raises BadOutput, or OSError for the disk's faults."""
        if not stat.S_ISREG(os.fstat(output.own).st_mode):
            raise BadOutput("the output must stay a regular file")
        if not is_media_type(content_type):
            raise BadOutput(f"content_type must be a media type, got {content_type[:100]!r}; image/png is one")
        copy = self._unnamed()
        try:
            digest, size = _copy(output.own, copy, content_type)
            # Asked of the copy: the child may still cut the file that it wrote to.
            if not size:
                raise BadOutput("the renderer wrote nothing to its output; write the artifact to `out`")
            path = self._path(job_id, attempt, content_type)
            self._name(copy, path)
        finally:
            os.close(copy)
        return Artifact(f"file://{quote(str(path))}", digest, size, content_type)

    def withdraw(self, artifact: Artifact, job_id: str, attempt: int) -> None:
        """Take back what was published for an attempt whose result does not count."""
        self._path(job_id, attempt, artifact.content_type).unlink(missing_ok=True)

    def remove(self, url: str) -> bool:
        """Remove an artifact by its URL; True when it was there. One of another place is left alone."""
        parts = urlsplit(url)
        path = Path(unquote(parts.path))
        if parts.scheme != "file" or not path.is_relative_to(self._root.absolute()):
            return False
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    def stored(self, older_than: float) -> Iterator[StoredArtifact]:
        """Yield the artifacts that were last written before a time of the wall clock, whoever refers to them."""
        for directory in self._root.iterdir():
            if len(directory.name) != _SHARD or not directory.is_dir():
                continue
            with os.scandir(directory) as entries:
                for entry in entries:
                    match = _NAME.fullmatch(entry.name)
                    if match and entry.stat(follow_symlinks=False).st_mtime < older_than:
                        yield StoredArtifact(entry.path, match[1], int(match[2]))

    def _path(self, job_id: str, attempt: int, content_type: str) -> Path:
        suffix = _SUFFIXES.get(essence(content_type), "bin")
        return self._root.absolute() / job_id[-2:] / f"{job_id}-{attempt}.{suffix}"

    def _unnamed(self, flags: int = 0) -> int:
        try:
            return os.open(self._root, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC | flags, 0o644)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
                raise
            raise OSError(
                error.errno, "its file system must support unnamed files (O_TMPFILE), as ext4, xfs, btrfs and tmpfs do"
            ) from None

    @staticmethod
    def _name(descriptor: int, path: Path) -> None:
        """Give the unnamed file its name, durably: the file first, then its directory."""
        os.fsync(descriptor)
        path.parent.mkdir(exist_ok=True)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _link(descriptor, path.name, directory)
            os.fsync(directory)
        finally:
            os.close(directory)


def _link(descriptor: int, name: str, directory: int) -> None:
    """Link an unnamed file into a directory; an older file of that name gives way in one step."""
    # /proc/self/fd is the way to name a file without a name (open(2), O_TMPFILE). The link there must be followed, and
    # os.link does that only when it is given directory descriptors: without them it calls link(2), which does not.
    source = f"/proc/self/fd/{descriptor}"
    try:
        os.link(source, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=True)
    except FileExistsError:
        # The same attempt published before its answer was lost.
        beside = f"{name}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=directory)
        os.link(source, beside, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=True)
        os.replace(beside, name, src_dir_fd=directory, dst_dir_fd=directory)


def _copy(source: int, target: int, content_type: str) -> tuple[str, int]:
    """Copy and hash; return SHA-256 in hex and the size. Raises BadOutput when the first bytes belie the type."""
    digest = hashlib.sha256()
    size = 0
    # Read by position: the offset is the child's too, and it may still move it.
    while chunk := os.pread(source, _CHUNK, size):
        if not size:
            _check_type(chunk, content_type)
        digest.update(chunk)
        size += len(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(target, view) :]
    return digest.hexdigest(), size


def _check_type(start: bytes, content_type: str) -> None:
    offset, beginnings = _MAGIC.get(essence(content_type), (0, (b"",)))
    if not start[offset:].startswith(beginnings):
        raise BadOutput(f"content_type says {content_type}, the bytes are not: they begin with {start[:12]!r}")
