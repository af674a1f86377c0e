"""The plans of what the service sends, as the server ran them: auto_explain, told to speak for one session."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from supervisor.embedded import EmbeddedServer

OPTIONS = (
    "-c session_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 "
    "-c auto_explain.log_analyze=on -c auto_explain.log_buffers=on -c auto_explain.log_timing=off"
)
_PLAN = re.compile(r"duration: [\d.]+ ms  plan:\n(?P<plan>(?:\t.*\n)+)")


def explained(url: str) -> str:
    """Return a URL whose sessions write the plan of each statement to the server's log."""
    return f"{url}&options={quote(OPTIONS, safe='')}"


def plans(server: EmbeddedServer, work: Callable[[], object]) -> list[str]:
    """Return the plans that were written while something was done, the longest first."""
    log = server.home / "server.log"
    before = log.stat().st_size
    work()
    with log.open("rb") as file:
        file.seek(before)
        text = file.read().decode(errors="replace")
    found = [_without_text(match["plan"].replace("\n\t", "\n").strip()) for match in _PLAN.finditer(text)]
    return sorted(found, key=len, reverse=True)


def _without_text(plan: str) -> str:
    """Leave out the statement, which is in sql/queries: the plan begins with the first line that has a cost."""
    lines = plan.split("\n")
    return "\n".join(lines[next((number for number, line in enumerate(lines) if "(cost=" in line), 0) :])
