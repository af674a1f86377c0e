"""What an artifact is called: by its job and attempt, and in an object store by its bytes as well."""

from __future__ import annotations

import re
from dataclasses import dataclass

from supervisor.media_types import essence

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
SHARD = 2
"""Characters of the last directory's name: those that a job's id ends with."""
_DIGEST = 16
"""Hex digits of the SHA-256 in an object's name."""
_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d+)(?:-[0-9a-f]{16})?\.\w+(?:\.new)?")


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """What is stored under one name (a path, or an object's key), and the job and attempt that wrote it.

    `written` is when it was written last, of the store's wall clock, in seconds since 1970.
    """

    name: str
    job_id: str
    attempt: int
    written: float = 0.0


def name_of(job_id: str, attempt: int, content_type: str, sha256: str | None = None) -> str:
    """Return `cd/JOB-ATTEMPT.png`, or `cd/JOB-ATTEMPT-DIGEST.png` where the hash is given (in hex)."""
    digest = f"-{sha256[:_DIGEST]}" if sha256 else ""
    return f"{job_id[-SHARD:]}/{job_id}-{attempt}{digest}.{_SUFFIXES.get(essence(content_type), 'bin')}"


def parsed_key(key: str) -> StoredArtifact | None:
    """Return what an object's key below the prefix tells; None for what is not ours, as that of a prefix further down."""
    shard, _, name = key.partition("/")
    found = parsed(name)
    return StoredArtifact(key, found.job_id, found.attempt) if found and shard == found.job_id[-SHARD:] else None


def parsed(name: str) -> StoredArtifact | None:
    """Return what a name tells, or None where it is not one of ours."""
    match = _NAME.fullmatch(name)
    return StoredArtifact(name, match[1], int(match[2])) if match else None
