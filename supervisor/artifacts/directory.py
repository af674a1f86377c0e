"""Artifacts in a directory.

The copy has no name until it is whole and on disk (O_TMPFILE, then linkat(2)), so that a crash leaves nothing half-written
and nothing to clean up. Names are `<last two digits of the id>/<id>-<attempt>.<suffix>`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from supervisor.artifacts.names import SHARD, StoredArtifact, name_of, parsed
from supervisor.artifacts.output import OutputFile, copied, open_output, unnamed
from supervisor.errors import ConfigurationError
from supervisor.model import Artifact


class ArtifactDirectory:
    """A directory of artifacts. Safe for several supervisors at once, on one file system."""

    problem: str | None = None
    """Never known before it is met: each write says for itself whether the disk works."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def place(self) -> str:
        """The directory."""
        return os.fspath(self._root)

    def prepare(self) -> None:
        """Make the directory and prove that it takes a file. Raises ConfigurationError."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            os.close(unnamed(self._root))
        except OSError as error:
            raise ConfigurationError(
                f"RENDER_ARTIFACTS_URL: the directory must be there and writable: {self._root}: {error.strerror}"
            ) from None

    def open_output(self, spare: OutputFile | None = None) -> OutputFile:
        """Return the output of one attempt: the spare file, or a new one. Raises OSError."""
        return spare or open_output(self._root)

    async def publish(self, output: OutputFile, job_id: str, attempt: int, content_type: str) -> Artifact:
        """Publish what was written. Raises BadOutput, or OSError for the disk's faults."""
        # Reading, hashing and fsync would hold up the loop, and every other child's answer with it.
        return await asyncio.to_thread(self._publish, output, job_id, attempt, content_type)

    def _publish(self, output: OutputFile, job_id: str, attempt: int, content_type: str) -> Artifact:
        with copied(output, self._root, content_type) as copy:
            path = self._path(job_id, attempt, content_type)
            _name(copy.fd, path)
            return Artifact(f"file://{quote(str(path))}", copy.sha256, copy.size, content_type)

    def withdraw(self, artifact: Artifact, job_id: str, attempt: int) -> None:
        """Take back what was published for an attempt whose result does not count. Raises OSError."""
        self._path(job_id, attempt, artifact.content_type).unlink(missing_ok=True)

    def give_up(self) -> None:
        """Do nothing: a publication ends as soon as the disk has it."""

    async def close(self) -> None:
        """Do nothing: nothing is held open."""

    def file(self, url: str) -> Path | None:
        """Return the file that a URL of ours names; None where there is none, or it is another place's."""
        parts = urlsplit(url)
        path = Path(unquote(parts.path))
        ours = parts.scheme == "file" and path.is_relative_to(self._root.absolute()) and ".." not in path.parts
        return path if ours and path.is_file() else None

    async def read(self, url: str, start: int, end: int) -> bytes:
        """Raise FileNotFoundError: what is not a file here is not here. See `file`."""
        raise FileNotFoundError(f"{url}, bytes {start} to {end}")

    def remove(self, urls: Iterable[str]) -> int:
        """Remove artifacts by their URLs; return how many were there. Those of another place are left alone."""
        removed = 0
        for path in filter(None, map(self.file, urls)):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                removed += 1
        return removed

    def stored(self, older_than: float) -> Iterator[StoredArtifact]:
        """Yield the artifacts that were last written before a time of the wall clock, whoever refers to them."""
        for directory in self._root.iterdir():
            if len(directory.name) != SHARD or not directory.is_dir():
                continue
            with os.scandir(directory) as entries:
                for entry in entries:
                    found = parsed(entry.name)
                    if found and entry.stat(follow_symlinks=False).st_mtime < older_than:
                        yield replace(found, name=entry.path)

    def discard(self, artifacts: Sequence[StoredArtifact]) -> int:
        """Remove what `stored` yielded; return how many."""
        for artifact in artifacts:
            Path(artifact.name).unlink(missing_ok=True)
        return len(artifacts)

    def _path(self, job_id: str, attempt: int, content_type: str) -> Path:
        return self._root.absolute() / name_of(job_id, attempt, content_type)


def _name(descriptor: int, path: Path) -> None:
    """Give the unnamed file its name, durably: the file first, then its directory."""
    os.fsync(descriptor)
    directory = _open_directory(path.parent)
    try:
        _link(descriptor, path.name, directory)
        os.fsync(directory)
    finally:
        os.close(directory)


def _open_directory(path: Path) -> int:
    """Open a directory of artifacts; there are few, so it is made where it is missed."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        path.mkdir(exist_ok=True)
        return os.open(path, flags)


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
