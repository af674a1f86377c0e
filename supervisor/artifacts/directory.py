"""Artifacts in a directory.

The copy has no name until it is whole and on disk (O_TMPFILE, then linkat(2)), so that a crash leaves nothing half-written
and nothing to clean up. Names are `<last two digits of the id>/<id>-<attempt>.<suffix>`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from supervisor.artifacts.batches import Batches
from supervisor.artifacts.names import SHARD, StoredArtifact, name_of, parsed
from supervisor.artifacts.output import Copy, OutputFile, copied, open_output, unnamed
from supervisor.errors import ConfigurationError
from supervisor.model import Artifact

_SMALL = 1024 * 1024
"""Bytes: what is larger is published by itself, so that no small artifact waits for it."""


@dataclass(frozen=True, slots=True)
class Publication:
    """An artifact to be published."""

    output: OutputFile
    job_id: str
    attempt: int
    content_type: str


class Directories:
    """The directories that got a new name. A name is durable when its directory is synced (fsync(2))."""

    def __init__(self) -> None:
        self._opened: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._opened.values():
            os.close(descriptor)

    def open(self, path: str) -> int:
        """Return a descriptor of a directory, which is made where it is missing: there are few of them. Raises OSError."""
        if path not in self._opened:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            try:
                self._opened[path] = os.open(path, flags)
            except FileNotFoundError:
                Path(path).mkdir(exist_ok=True)
                self._opened[path] = os.open(path, flags)
        return self._opened[path]

    def sync(self) -> None:
        """Have the disk know all the new names. Raises OSError."""
        for descriptor in self._opened.values():
            os.fsync(descriptor)


class ArtifactDirectory:
    """A directory of artifacts. Safe for several supervisors at once, on one file system."""

    problem: str | None = None
    """Never known before it is met: each write says for itself whether the disk works."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._absolute = os.fspath(root.absolute())
        self._quoted = quote(self._absolute)
        self._batches: Batches[Publication, Artifact] = Batches(self._publish)

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
        piece = Publication(output, job_id, attempt, content_type)
        if os.fstat(output.own).st_size <= _SMALL:
            return await self._batches.do(piece)
        (result,) = await asyncio.to_thread(self._publish, [piece])
        if isinstance(result, Exception):
            raise result
        return result

    def _publish(self, pieces: Sequence[Publication]) -> list[Artifact | Exception]:
        """Publish some artifacts; return each, or what is wrong with it.

        Step by step for all of them: a journal is written out once for what several syncs in a row ask for, if all of it was
        there before the first. Nothing has a name before its bytes are on disk.
        """
        results: list[Artifact | Exception] = [OSError("not published")] * len(pieces)
        with contextlib.ExitStack() as stack, Directories() as directories:
            copies: dict[int, Copy] = {}
            for number, piece in enumerate(pieces):
                with _told_in(results, number):
                    copies[number] = stack.enter_context(copied(piece.output, self._root, piece.content_type))
            if len(copies) > 1:
                for copy in copies.values():
                    # Has the kernel begin to write it out (posix_fadvise(2)): the blocks of all are chosen before the first sync.
                    with contextlib.suppress(OSError):
                        os.posix_fadvise(copy.fd, 0, 0, os.POSIX_FADV_DONTNEED)
            for number, copy in copies.items():
                with _told_in(results, number):
                    os.fsync(copy.fd)
                    results[number] = self._name(pieces[number], copy, directories)
            try:
                directories.sync()
            except OSError as error:
                # Of which of them the disk has the name is not known.
                return [error if isinstance(result, Artifact) else result for result in results]
        return results

    def _name(self, piece: Publication, copy: Copy, directories: Directories) -> Artifact:
        shard, name = name_of(piece.job_id, piece.attempt, piece.content_type).split("/")
        _link(copy.fd, name, directories.open(f"{self._absolute}/{shard}"))
        return Artifact(f"file://{self._quoted}/{shard}/{name}", copy.sha256, copy.size, piece.content_type)

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
        ours = parts.scheme == "file" and path.is_relative_to(self._absolute) and ".." not in path.parts
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
        return Path(self._absolute, name_of(job_id, attempt, content_type))


@contextlib.contextmanager
def _told_in(results: list[Artifact | Exception], number: int) -> Iterator[None]:
    """Make what goes wrong with one piece its result, and nobody else's."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this one's
        results[number] = error


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
