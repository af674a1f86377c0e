"""The kernel's own memory: whatever object a job makes many of, it is refused, bounded or charged (docs/kernel-memory.md)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import test_files, test_memory, test_processes, test_protocol
from tests.hostile.aftermath import Aftermath
from tests.hostile.cases import Case, case, check

pytestmark = pytest.mark.timeout(300)

SMALL: dict[str, Any] = {"memory_mb": 128}

CASES = [
    case("k tables of descriptors for each thread", "kernel.tables_of_threads", "ok", refused=True, **SMALL),
    case("k what flags make of harmless calls", "kernel.flags", "ok", refused=True, **SMALL),
    case("k page tables", "kernel.page_tables", "memory", says="over its memory", **SMALL),
    case("k locks", "kernel.locks", "ok", written="none", **SMALL),
    case("k watches", "kernel.watches", "ok", written="bounded", **SMALL),
    case("k signals that wait", "kernel.signals", "ok", written="bounded", **SMALL),
    case("k names", "kernel.names", "ok", written="bounded", **SMALL),
]


def test_the_page_names_tests_that_are() -> None:
    """Each case that the table names is one, and each case here is in it."""
    page = (Path(__file__).parents[2] / "docs/kernel-memory.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\d+|k|x) [^`]+)`", page))
    every = {case.title for module in (test_files, test_memory, test_processes, test_protocol) for case in module.CASES}
    assert named - every - {case.title for case in CASES} == set()
    assert {case.title for case in CASES} - named == set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_kernel(case: Case, aftermath: Aftermath) -> None:
    """It is refused, ends at its bound, or is charged to the job."""
    check(case, aftermath.hostile[case.id])


def test_neighbours_of_these(aftermath: Aftermath) -> None:
    """The honest jobs beside them completed at once, and the machine's kernel memory stayed within what they may have together.

    It is the whole machine's: what servers and browsers of other tests have in the kernel meanwhile (up to 280 MB seen) is in it.
    """
    assert {ended.job["status"] for ended in aftermath.honest} == {"completed"}
    first, most = aftermath.left.kernel
    assert most - first < 512 << 20
