"""Privileges: cases 34 to 37. A child can become nobody else, make no call that opens up the kernel, and has nothing."""

from __future__ import annotations

import json
import platform

import pytest

from renderer import sandbox
from tests.hostile.aftermath import Aftermath
from tests.hostile.cases import Case, case, check

pytestmark = pytest.mark.timeout(300)

ENVIRONMENT = sandbox.environment()

CASES = [
    case("34 become root", "privileges.become_root", "ok", refused=True),
    case("35 rare calls", "privileges.rare_calls", "ok", refused=True),
    case(
        "36 open descriptors",
        "privileges.listed_descriptors",
        "ok",
        written=json.dumps(["device", "pipe", "pipe", "socket", "file"]),
    ),
    case(
        "37 environment",
        "privileges.listed_environment",
        "ok",
        written=json.dumps([ENVIRONMENT, sorted(f"{name}={value}" for name, value in ENVIRONMENT.items())]),
    ),
]
if platform.machine() == "x86_64":
    CASES += [
        *(
            case(f"35 32-bit {name}", "privileges.other_convention", "violation", spec={"number": number}, signal=31)
            for name, number in (("getpid", 20), ("socketcall", 102), ("execve", 11))
        ),
        case("35 x32 getpid", "privileges.x32", "violation", signal=31),
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_privileges(case: Case, aftermath: Aftermath) -> None:
    """It is refused, each single one."""
    check(case, aftermath.hostile[case.id])
