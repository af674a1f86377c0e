"""Copies a completed job's artifact to a file of whoever asked for it.

The database says where the artifact is, and a database may be entered by others than who runs this command, perhaps as root.
So its word is not followed to wherever it leads: the artifact comes out of the store that the settings name, under a name
that is one of ours, and its bytes must have the hash that was acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from supervisor.artifacts import ArtifactStore, StoreAway
from supervisor.artifacts.names import parsed
from supervisor.errors import ExpectedError
from supervisor.model import Artifact

_CHUNK = 1024 * 1024


def fetch(store: ArtifactStore, row: dict[str, Any], target: Path, published: Artifact | None = None) -> None:
    """Copy the artifact of a row of `render_jobs` to a file, whole or not at all. Raises ExpectedError.

    `published` is what this process itself published for the job, where it did: then the row is not asked.
    """
    url, size, sha256 = row["output_url"] or "", row["output_bytes"] or 0, row["output_sha256"]
    if published is not None:
        url, size, sha256 = published.url, published.size, published.sha256
    elif not _is_of(url, str(row["id"])):
        url = ""  # another job's, of another tenant perhaps
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _beside(target) as beside:
            digest = hashlib.sha256()
            for chunk in _chunks(store, url, size, row["output_url"]):
                digest.update(chunk)
                beside.write(chunk)
            if digest.hexdigest() != sha256:
                raise ExpectedError(
                    f"the artifact must have the hash that its job was completed with: {url} has {digest.hexdigest()}, "
                    f"the job {sha256}; render it again"
                )
    except StoreAway as error:
        raise ExpectedError(
            f"cannot read the artifact: the store {store.place} is away: {error}; try again later"
        ) from None
    except OSError as error:
        raise ExpectedError(f"the output must be writable: {target}: {error.strerror or error}") from None


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[BinaryIO]:
    """Yield a file that takes the target's place when the block is done: a reader sees the old file or the new one."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(descriptor, 0o666 & ~umask)
        path.replace(target)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _is_of(url: str, job_id: str) -> bool:
    found = parsed(url.rpartition("/")[2])
    return found is not None and found.job_id == job_id


def _chunks(store: ArtifactStore, url: str, size: int, said: str | None) -> Iterator[bytes]:
    """Yield the bytes of an artifact, no more than `size` of them. Raises ExpectedError where the store does not have it."""
    fd = store.open(url)
    try:
        if fd is None:
            yield from _read(store, url, size)
        else:
            with os.fdopen(fd, "rb") as file:
                while size > 0 and (chunk := file.read(min(_CHUNK, size))):
                    size -= len(chunk)
                    yield chunk
    except FileNotFoundError:
        raise ExpectedError(
            f"the job's artifact must be in the store of these settings: it is {said!r}, and RENDER_ARTIFACTS_URL is "
            f"{store.place}; set that to where the service keeps its artifacts"
        ) from None


def _read(store: ArtifactStore, url: str, size: int) -> Iterator[bytes]:
    """Yield the bytes of an artifact that is no file here."""
    with asyncio.Runner() as runner:
        for start in range(0, size, _CHUNK):
            yield runner.run(store.read(url, start, min(start + _CHUNK, size)))
        if size == 0:
            raise FileNotFoundError(url)
