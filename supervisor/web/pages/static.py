"""Scripts, style and icon: files of the package, kept in memory, addressed by what is in them."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from supervisor.web.guard import problem

_DIRECTORY = Path(__file__).parent.parent / "static"
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


@functools.cache
def _files() -> dict[str, tuple[bytes, str]]:
    """Return name → bytes, and a short hash of them."""
    found = {path.name: path.read_bytes() for path in _DIRECTORY.iterdir() if path.suffix in _TYPES}
    return {name: (content, hashlib.sha256(content).hexdigest()[:12]) for name, content in found.items()}


def static_url(name: str) -> str:
    """Return the address of a file; another one when its content changes, so that it may be kept for good."""
    return f"/static/{name}?v={_files()[name][1]}"


async def static(request: Request) -> Response:
    """Return a file."""
    name = request.path_params["name"]
    if name not in _files():
        return problem(404, f"there is no file {name[:100]}")
    content, version = _files()[name]
    kept = request.query_params.get("v") == version
    return Response(
        content,
        media_type=_TYPES[Path(name).suffix],
        headers={"cache-control": "private, max-age=31536000, immutable" if kept else "no-cache"},
    )
