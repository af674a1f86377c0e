"""Files: cases 27 to 33. A job reads and writes what it was given, within bounds, and the next one finds none of it."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.hostile.aftermath import Aftermath
from tests.hostile.cases import Case, case, check

pytestmark = pytest.mark.timeout(300)

NOTHING_LEFT = {
    "directory": "/",
    "environment": None,
    "files": [],
    "modules": [False, False, "json", False],
    "renderer": ["render", "send"],
    "umask": 0o22,
}

CASES = [
    case("27 read what is others'", "files.read_others", "ok", refused=True),
    case("28 write outside", "files.write_outside", "ok", refused=True),
    *(
        case(
            f"29 {what} instead of the output",
            "files.instead_of_the_output",
            "bad_output|render_error",
            spec={"what": what},
        )
        for what in ("directory", "fifo", "device", "link", "socket")
    ),
    case("31 shared descriptor in an odd state", "files.odd_descriptor", "ok", written="answered"),
    case("31 cut and stretch after the answer", "files.cut_after_the_answer", "ok|bad_output"),
    case("32 flood the disk", "files.flood", "limit"),
    case("32 sparse file of a terabyte", "files.sparse", "limit"),
    case("32 a byte at the end of a terabyte", "files.far_away", "limit"),
    case("32 allocate a terabyte", "files.allocate", "limit"),
    case("32 allocate it and stay small", "files.allocate_unseen", "violation"),
    case("32 flood /tmp with files", "files.many_files", "limit", spec={"where": "/tmp"}),
    case("32 flood /dev/shm with files", "files.many_files", "limit", spec={"where": "/dev/shm"}),
    case("32 nest directories", "files.deep_directories", "limit|render_error"),
    case("32 use up descriptors", "files.descriptors", "limit"),
    *(case(f"33 leave state {n}", "files.leave_state", "crash", signal=9, priority=10) for n in range(4)),
    *(
        case(
            f"33 find state {n}", "files.find_state", "ok", written=json.dumps(NOTHING_LEFT, sort_keys=True), priority=9
        )
        for n in range(4)
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_files(case: Case, aftermath: Aftermath) -> None:
    """It is refused, or stays in bounds and is gone with the child."""
    check(case, aftermath.hostile[case.id])


def test_published_bytes_are_the_checked_ones(aftermath: Aftermath) -> None:
    """Hash and size of every artifact are those of its bytes, also where the child wrote on after its answer."""
    for ended in (*aftermath.hostile.values(), *aftermath.honest):
        if ended.job["output_sha256"] and "\ufffd" not in (text := ended.artifact or ""):
            assert hashlib.sha256(text.encode()).hexdigest() == ended.job["output_sha256"]
            assert len(text.encode()) == ended.job["output_bytes"]
