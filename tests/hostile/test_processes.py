"""Processes: cases 16 to 20. A job starts none that it was not allowed, reaches none of others, and leaves none."""

from __future__ import annotations

import pytest

from tests.hostile.aftermath import Aftermath
from tests.hostile.cases import Case, case, check

pytestmark = pytest.mark.timeout(300)

CASES = [
    case("16 start a process", "processes.start", "ok", refused=True),
    case("16 fork bomb, not allowed", "processes.bomb", "violation"),
    case("16 fork bomb of a kind that may fork", "family.bomb", "limit|memory|crash|timeout", timeout="5 s"),
    case("16 fork bomb that stays", "family.broad_bomb", "limit|memory"),
    case("17 leave processes behind", "family.leave", "ok", written="left 3"),
    case("18 thread bomb", "processes.threads", "limit"),
    case("19 kill parent, first, others, all", "processes.kill_everyone", "ok", refused=True),
    case("19 the same, allowed to signal", "family.kill_everyone", "ok", spec={"allowed": True}, refused=True),
    case("20 look inside others and itself", "processes.look_inside", "ok", refused=True),
    case("20 the same, allowed to start programs", "family.look_inside", "ok", refused=True),
    case("x take the processor", "processes.be_important", "ok", refused=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_processes(case: Case, aftermath: Aftermath) -> None:
    """It is refused, or stays among its own, which end with it."""
    check(case, aftermath.hostile[case.id])
