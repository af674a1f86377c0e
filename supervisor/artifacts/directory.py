"""Artifacts in a directory.

The copy has no name until it is whole and on disk (O_TMPFILE, then linkat(2)), so that a crash leaves nothing half-written
and nothing to clean up. Names are `<last two digits of the id>/<id>-<attempt>.<suffix>`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from supervisor.artifacts.batches import Batches
from supervisor.artifacts.errors import StoreAway
from supervisor.artifacts.names import SHARD, StoredArtifact, name_of, parsed
from supervisor.artifacts.output import Copy, OutputFile, copied, open_output, unnamed
from supervisor.artifacts.root import Root
from supervisor.artifacts.workers import Workers
from supervisor.errors import ConfigurationError
from supervisor.model import Artifact

SMALL = 1024 * 1024
"""Bytes: what is larger is published by itself, so that no small artifact waits for it."""
_AT_ONCE, _BATCHES_AT_ONCE = 4, 3
"""Large artifacts that are published at once, and batches of small ones."""
MOST_PENDING = 256
"""Artifacts that wait for the disk, each with the two descriptors of its output; with more of them no attempt begins."""
_SECONDS, _BYTES_A_SECOND = 60.0, 1024 * 1024
"""How long one may take: a minute, and the time of its bytes on a slow disk."""


@dataclass(frozen=True, slots=True)
class Publication:
    """An artifact to be published."""

    output: OutputFile
    job_id: str
    attempt: int
    content_type: str


class Directories:
    """The directories that got a new name. A name is durable when its directory is synced (fsync(2))."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._opened: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._opened.values():
            os.close(descriptor)

    def open(self, name: str) -> int:
        """Return a descriptor of a directory, which is made where it is missing. Raises OSError."""
        if name not in self._opened:
            self._opened[name] = self._root.shard(name)
        return self._opened[name]

    def sync(self) -> None:
        """Have the disk know all the new names. Raises OSError."""
        for descriptor in self._opened.values():
            os.fsync(descriptor)


class ArtifactDirectory:
    """A directory of artifacts. Safe for several supervisors at once, on one file system."""

    def __init__(self, root: Path, mode: int = 0o600) -> None:
        self._root = Root(root, mode)
        self._absolute = os.fspath(root.absolute())
        self._quoted = quote(self._absolute)
        # Of their own, each: large ones on a slow disk hold up no small one.
        self._small = Workers("publishing", _BATCHES_AT_ONCE)
        self._large = Workers("publishing large artifacts", _AT_ONCE)
        self._pending = 0
        self._batches: Batches[Publication, Artifact] = Batches(
            self._publish, self._small, _SECONDS, lambda piece: piece.output.close()
        )

    @property
    def problem(self) -> str | None:
        """What is wrong with the disk, as far as publications tell: that they have not ended."""
        return self._small.problem or self._large.problem

    @property
    def place(self) -> str:
        """The directory."""
        return os.fspath(self._root.path)

    def prepare(self) -> None:
        """Make the directory and prove that it takes a file. Raises ConfigurationError."""
        try:
            self._root.make()
            os.close(unnamed(self._root.open()))
        except OSError as error:
            raise ConfigurationError(
                f"RENDER_ARTIFACTS_URL: the directory must be there and writable: {self._root.path}: {error.strerror}"
            ) from None

    def marker(self) -> str | None:
        """Return what marks whose store it is. Blocks. Raises OSError."""
        return self._root.read_marker()

    def mark(self, text: str, *, replace: bool = False) -> bool:
        """Mark it; False where it is marked already and that is not to be replaced. Blocks. Raises OSError."""
        return self._root.write_marker(text, replace=replace)

    def holds(self, urls: Sequence[str]) -> bool | None:
        """Whether it holds one of those artifacts whose URLs lead here; None where none does. Blocks."""
        ours = [url for url in urls if url.startswith(f"file://{self._quoted}/")]
        return any(self.file(url) for url in ours) if ours else None

    def open_output(self, spare: OutputFile | None = None) -> OutputFile:
        """Return the output of one attempt: the spare file, or a new one.

        Raises OSError, also where the disk holds up all publications, or the directory is another than it was.
        """
        if self._small.stuck or self._large.stuck:
            raise StoreAway(str(self.problem))
        if self._pending >= MOST_PENDING:
            raise StoreAway(f"{self._pending} artifacts wait for the disk already")
        root = self._root.open()
        return spare or open_output(root)

    async def publish(self, output: OutputFile, job_id: str, attempt: int, content_type: str) -> Artifact:
        """Publish what was written. Raises BadOutput; OSError for the disk's faults, StillAtWork where it keeps the output."""
        # Reading, hashing and fsync would hold up the loop, and every other child's answer with it.
        piece = Publication(output, job_id, attempt, content_type)
        self._pending += 1
        try:
            if (size := output.size) <= SMALL:
                return await self._batches.do(piece)
            (result,) = await self._large.do(
                lambda: self._publish([piece]), _SECONDS + size / _BYTES_A_SECOND, output.close
            )
        finally:
            self._pending -= 1
        if isinstance(result, Exception):
            raise result
        return result

    def _publish(self, pieces: Sequence[Publication]) -> list[Artifact | Exception]:
        """Publish some artifacts; return each, or what is wrong with it.

        Step by step for all of them: a journal is written out once for what several syncs in a row ask for, if all of it was
        there before the first. Nothing has a name before its bytes are on disk.
        """
        results: list[Artifact | Exception] = [OSError("not published")] * len(pieces)
        with contextlib.ExitStack() as stack, Directories(self._root) as directories:
            copies: dict[int, Copy] = {}
            for number, piece in enumerate(pieces):
                with _told_in(results, number):
                    copies[number] = stack.enter_context(copied(piece.output, self._root.open(), piece.content_type))
            if len(copies) > 1:
                for copy in copies.values():
                    # Has the kernel begin to write it out (posix_fadvise(2)): the blocks of all are chosen before the first sync.
                    with contextlib.suppress(OSError):
                        os.posix_fadvise(copy.fd, 0, 0, os.POSIX_FADV_DONTNEED)
            for number, copy in copies.items():
                with _told_in(results, number):
                    os.fchmod(copy.fd, self._root.mode)
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
        _link(copy.fd, name, directories.open(shard))
        return Artifact(f"file://{self._quoted}/{shard}/{name}", copy.sha256, copy.size, piece.content_type)

    def withdraw(self, artifact: Artifact, job_id: str, attempt: int) -> None:
        """Take back what was published for an attempt whose result does not count. Raises OSError for a small one."""
        path = self._path(job_id, attempt, artifact.content_type)
        if artifact.size <= SMALL:
            path.unlink(missing_ok=True)
        else:
            # To free its blocks takes as long as there are many. What fails, retention collects.
            with contextlib.suppress(RuntimeError):  # no room for a thread
                threading.Thread(target=_unlink, args=(path,), name="withdrawing", daemon=True).start()

    def give_up(self) -> None:
        """Do nothing: a publication ends as soon as the disk has it."""

    def release(self) -> None:
        """Let the directory go."""
        self._root.close()

    async def close(self) -> None:
        """Let the directory go."""
        self.release()

    def open(self, url: str) -> int | None:
        """Return a descriptor of the file that a URL of ours names; None as `file` does. Raises OSError for our lack of one.

        What `file` finds may be a link by the time that it is opened, where others write to the directory. This is not.
        """
        path = self._named(url)
        return self._root.file(path.parent.name, path.name) if path else None

    def file(self, url: str) -> Path | None:
        """Return the file that a URL of ours names; None where there is none, or the URL leads elsewhere.

        A URL comes from the database, so that it is held against the form of our names, and no link is followed.
        """
        path = self._named(url)
        if path is None or path.parent.is_symlink() or path.is_symlink():
            return None
        return path if path.is_file() else None

    def _named(self, url: str) -> Path | None:
        """Return the path in a URL, where it is one that an artifact of this directory has."""
        parts = urlsplit(url)
        path = Path(unquote(parts.path))
        found = parsed(path.name)
        if parts.scheme != "file" or found is None:
            return None
        return path if path == Path(self._absolute, found.job_id[-SHARD:], path.name) else None

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
        self._root.open()
        for directory in self._root.path.iterdir():
            if len(directory.name) != SHARD or directory.is_symlink() or not directory.is_dir():
                continue
            with os.scandir(directory) as entries:
                for entry in entries:
                    found = parsed(entry.name)
                    if found and (written := entry.stat(follow_symlinks=False).st_mtime) < older_than:
                        yield replace(found, name=entry.path, written=written)

    def discard(self, artifacts: Sequence[StoredArtifact]) -> int:
        """Remove what `stored` yielded; return how many."""
        for artifact in artifacts:
            Path(artifact.name).unlink(missing_ok=True)
        return len(artifacts)

    def _path(self, job_id: str, attempt: int, content_type: str) -> Path:
        return Path(self._absolute, name_of(job_id, attempt, content_type))


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


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
