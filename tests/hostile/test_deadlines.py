"""Time: cases 9 to 15 (15, imports, in test_imports). Whatever a job does not do, it ends at its deadline."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hostile.aftermath import Aftermath
from tests.hostile.cases import Case, case, check

pytestmark = pytest.mark.timeout(300)

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{}</svg>'
SHORT: dict[str, Any] = {"timeout": "0.4 s", "says": "over its time of 0.4 s"}
LEVELS = "".join(f'<g id="g{n}">' + f'<use href="#g{n - 1}"/>' * 10 + "</g>" for n in range(1, 12))
ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))

CASES = [
    case("9 Python loop that catches everything", "deadlines.loop", "timeout", **SHORT),
    case("10 C loop with the lock", "deadlines.native_loop", "timeout", **SHORT),
    case("10 regular expression", "deadlines.expression", "timeout", **SHORT),
    case("10 busy threads", "deadlines.busy_threads", "timeout", **SHORT),
    case("11 sleep", "deadlines.sleep", "timeout", **SHORT),
    case("11 a lock that nobody gives back", "deadlines.past_a_lock", "timeout", **SHORT),
    case("11 hang in the answer", "deadlines.hang_in_the_answer", "timeout", **SHORT),
    case("11 hang in the error", "deadlines.hang_in_the_error", "timeout", **SHORT),
    case("12 ignore all signals", "deadlines.deaf", "timeout", **SHORT),
    case("13 stop itself", "deadlines.stop_itself", "timeout", **SHORT),
    case("14 SVG that uses itself", "svg", "invalid", spec={"svg": SVG.format('<g id="a"><use href="#a"/></g>')}),
    case(
        "14 SVG that multiplies", "svg", "invalid", spec={"svg": SVG.format(f'<g id="g0"/>{LEVELS}<use href="#g11"/>')}
    ),
    case(
        "14 SVG with entities",
        "svg",
        "invalid",
        spec={"svg": f'<!DOCTYPE svg [<!ENTITY e0 "x">{ENTITIES}]>' + SVG.format("<text>&e11;</text>")},
    ),
    case("43 deaf to its socket", "deadlines.deaf_to_its_socket", "timeout", **SHORT),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_time(case: Case, aftermath: Aftermath) -> None:
    """It ends at its deadline, or is found out before it starts."""
    check(case, aftermath.hostile[case.id])
