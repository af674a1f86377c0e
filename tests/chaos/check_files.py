"""Every completed job's bytes are the ones that were hashed; every other file is one that retention collects."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from supervisor.artifacts.root import MARKER
from tests.chaos.check_queue import Found
from tests.chaos.ledger import Ledger
from tests.chaos.orders import Order

_NAME = re.compile(r"([0-9a-f-]{36})-(\d+)\.[a-z0-9]+(\.new)?")


@dataclass(slots=True)
class Files:
    """What the artifact directory holds."""

    published: int = 0
    orphans: list[Path] = field(default_factory=list)
    """Files of attempts that do not count: a crash came between publishing and acknowledging."""
    problems: list[str] = field(default_factory=list)


def look(root: Path, found: Found, ledger: Ledger) -> Files:
    """Compare the files with the jobs."""
    files = Files()
    wanted: dict[Path, str] = {}
    same: dict[str, str] = {}
    for row in found.jobs:
        if row["status"] != "completed":
            continue
        order = ledger.orders.get(row["correlation_id"])
        wrong = _look_at(row, found, order, wanted, same)
        files.problems += [f"{row['kind']} {row['correlation_id']}, job {row['id']}: {what}" for what in wrong]
    files.published = len(wanted)
    jobs = {str(row["id"]) for row in found.jobs}
    for path in (path for path in root.rglob("*") if not path.is_dir() and path not in wanted and path.name != MARKER):
        name = _NAME.fullmatch(path.name)
        if name is None or name[1] not in jobs:
            files.problems.append(f"a file that is no job's: {path}")
        files.orphans.append(path)
    return files


def _look_at(
    row: Mapping[str, Any], found: Found, order: Order | None, wanted: dict[Path, str], same: dict[str, str]
) -> list[str]:
    """Return what is wrong with a completed job's file."""
    if row["kind"] == "noop":
        return ["it has a file and writes none"] if row["output_url"] else []
    path = Path(unquote(urlsplit(row["output_url"] or "").path))
    wrong = []
    if wanted.setdefault(path, str(row["id"])) != str(row["id"]):
        wrong.append(f"its file is another job's too: {path}")
    attempt = found.attempts[str(row["id"])][-1].number
    if not path.name.startswith(f"{row['id']}-{attempt}."):
        wrong.append(f"its file is not that of its attempt {attempt}: {path.name}")
    try:
        content = path.read_bytes()
    except OSError as error:
        return [*wrong, f"its file cannot be read: {error}"]
    digest = hashlib.sha256(content).hexdigest()
    if (digest, len(content)) != (row["output_sha256"], row["output_bytes"]):
        wrong.append(
            f"its file has {len(content)} bytes of {digest}, not {row['output_bytes']} of {row['output_sha256']}"
        )
    if order is not None and order.content is not None and content != order.content:
        wrong.append(f"its file must hold {order.content!r}, and holds {content[:80]!r}")
    if order is not None and order.same is not None and same.setdefault(order.same, digest) != digest:
        wrong.append(f"its file differs from that of another job of the same spec ({order.same})")
    return wrong
