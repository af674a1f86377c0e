"""The answer that is an artifact: a file of this machine as it is, an object piece by piece.

An object is asked for in pieces, each a request of its own that must be answered in time: so a reader who is slow, or stops,
holds one piece in memory and nothing open at the store. The first one is asked for before the answer begins, so that what is
missing, or a store that is away, has its own status. An object never changes, so the pieces are of one content.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from supervisor.artifacts import ArtifactStore
from supervisor.media_types import SHOWN, essence, served_as
from supervisor.store.job_status import JobStatus
from supervisor.web.guard import problem

log = structlog.get_logger()

# All of it is a stranger's: no script of it may run.
_STRANGERS_FILE = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")
_PIECE = 1024 * 1024
"""Bytes of one request."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_MOST_RANGES = 8
"""Of one request; each is a piece of the answer with a head of its own, and all of them are sorted in the loop."""
_RANGES = re.compile(rb"bytes=\s*(\d{1,18}-\d{0,18}|-\d{1,18})(\s*,\s*(\d{1,18}-\d{0,18}|-\d{1,18}))*\s*", re.ASCII)
_ONE_RANGE = re.compile(rb"(\d*)-(\d*)")


async def artifact_of(job: JobStatus, request: Request, store: ArtifactStore) -> Response:
    """Return a job's artifact, whole or the range that is asked for; or why there is none."""
    url = job.output_url
    if url is None or job.content_type is None:
        return problem(404, f"the job has no artifact: its status is {job.status}")
    media_type = served_as(job.content_type)
    name = _NOT_IN_NAMES.sub("_", url.rpartition("/")[2])
    disposition = "inline" if essence(media_type) in SHOWN else "attachment"
    headers = {
        "content-type": media_type,
        "content-security-policy": _STRANGERS_FILE,
        # An attempt's artifact never changes.
        "cache-control": "private, max-age=31536000, immutable",
    }
    if (fd := store.open(url)) is not None:
        return _File(fd, media_type=media_type, filename=name, content_disposition_type=disposition, headers=headers)
    headers["content-disposition"] = f'{disposition}; filename="{name}"'
    return await _object(job, url, request, store, headers)


async def _object(
    job: JobStatus, url: str, request: Request, store: ArtifactStore, headers: dict[str, str]
) -> Response:
    size = job.output_bytes or 0
    etag = f'"{job.output_sha256}"'
    headers |= {"etag": etag, "accept-ranges": "bytes"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    status, start, end = 200, 0, size
    if (asked := request.headers.get("range")) and request.headers.get("if-range", etag) == etag:
        found = _bounds(asked, size)
        if found is not None:
            status, (start, end) = 206, found
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    if start >= end:
        refused = problem(416, f"the artifact has {size} bytes, none of them in {asked!r}"[:200])
        refused.headers["content-range"] = f"bytes */{size}"
        return refused
    headers["content-length"] = str(end - start)
    try:
        first = await store.read(url, start, min(start + _PIECE, end))
    except FileNotFoundError:
        return problem(404, f"the artifact is not in {store.place}: {url}")
    except OSError as error:
        return problem(503, f"the artifact cannot be had from {store.place} just now: {error}")
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_pieces(store, url, first, start, end), status_code=status, headers=headers)


async def _pieces(store: ArtifactStore, url: str, first: bytes, start: int, end: int) -> AsyncIterator[bytes]:
    """Yield the first piece, and ask for each next one when the one before is sent."""
    yield first
    at = start + len(first)
    while at < end:
        try:
            piece = await store.read(url, at, min(at + _PIECE, end))
        except OSError as error:
            # Too late for a status: the reader finds the answer shorter than it was announced.
            log.warning("artifact.cut_off", url=url, problem=str(error))
            return
        yield piece
        at += len(piece)


def _bounds(asked: str, size: int) -> tuple[int, int] | None:
    """Return start and end of a Range header; None for one that may be answered with all: several, or of no known form."""
    match = _RANGE.fullmatch(asked.replace(" ", ""))
    if match is None or asked == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size


class _File(FileResponse):
    """A file, whole or in ranges. A Range header that is none is ignored, as HTTP wants it; Starlette would refuse it."""

    def __init__(self, fd: int, **named: Any) -> None:
        # Starlette opens it by a path: by that of what is open already, which no link can come to lead elsewhere.
        super().__init__(f"/proc/self/fd/{fd}", **named)
        self._fd = fd

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"range" or _is_range(value)]
        try:
            await super().__call__({**scope, "headers": headers}, receive, send)
        finally:
            os.close(self._fd)


def _is_range(value: bytes) -> bool:
    """Whether a Range header asks for bytes, in a form that can be answered (RFC 9110, 14.1.2)."""
    if value.count(b",") >= _MOST_RANGES or not _RANGES.fullmatch(value):
        return False
    return all(not (first and last) or int(first) <= int(last) for first, last in _ONE_RANGE.findall(value))
