"""Where artifacts can be: the URLs of RENDER_ARTIFACTS_URL, and the directories on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

# A bucket's name as the providers allow it, and a prefix of plain names: it becomes a part of output_url as it is.
OBJECTS = re.compile(r"(?:s3|gs|az)://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](?:/(?!\.{1,2}(?:/|$))[\w.=+-]+)*/?", re.ASCII)


def checked(url: str) -> str:
    """Return a URL of RENDER_ARTIFACTS_URL. Raises ValueError."""
    parts = urlsplit(url)
    directory = parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/")
    if not directory and not OBJECTS.fullmatch(url):
        raise ValueError(
            "must be file:///path, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix; "
            "the prefix is of letters, digits and . _ = + -, and credentials are settings of their own"
        )
    return url


def state_directory() -> Path:
    """Return where this program keeps things: systemd's state directory, or the user's."""
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state.split(":")[0])
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "jobsupervisor"
