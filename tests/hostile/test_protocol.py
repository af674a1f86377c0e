"""Protocol: cases 30 and 41 to 44. The supervisor reads what a child says as what a stranger says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hostile.aftermath import Aftermath
from tests.hostile.cases import Case, case, check

pytestmark = pytest.mark.timeout(300)

SHORT: dict[str, Any] = {"timeout": "0.4 s"}
ANOTHER = json.dumps({"type": "done", "id": "00000000-0000-0000-0000-000000000000", "attempt": 1, "outcome": "ok"})


def _says(title: str, ends: str, **message: Any) -> Case:
    return case(title, "protocol.message", ends, spec={"message": message})


CASES = [
    *(
        case(f"30 content type {name}", "protocol.content_type", "bad_output", spec={"text": text, "times": times})
        for name, text, times in (
            ("that climbs", "../../etc/passwd", 1),
            ("of 300 bytes", "text/" + "x" * 300, 1),
            ("of 10 MB", "text/", 2 << 20),
            ("with a line break", "text/plain\r\nSet-Cookie: a=b", 1),
            ("of control characters", "\x1b[2J/\x07", 1),
            ("that is empty", "", 1),
            ("that lies", "image/png", 1),
        )
    ),
    case("41 flood the log", "protocol.flood_log", "ok", written="dry again"),
    case("41 flood the log and die", "protocol.flood_log_and_die", "crash"),
    case("41 flood of progress", "protocol.flood_progress", "protocol", says="20 things a second"),
    case("42 header of 4 GiB", "protocol.raw", "protocol", spec={"hex": "ffffffff"}),
    case("42 frame over the limit", "protocol.raw", "protocol", spec={"hex": "00040001"}),
    case("42 empty frame", "protocol.raw", "protocol", spec={"hex": "00000000"}),
    case("42 garbage", "protocol.raw", "protocol", spec={"hex": "00000003585858"}),
    case("42 a list", "protocol.frame", "protocol", spec={"body": "[1, 2]"}),
    case("42 a text", "protocol.frame", "protocol", spec={"body": '"done"'}),
    case("42 nested deep", "protocol.nested", "protocol"),
    # As deep as the parser takes and Python's own repr does not.
    *(
        case(f"42 nested deep in {name}", "protocol.nested_within", "protocol", spec={"name": name}, **SHORT)
        for name in ("type", "outcome", "error", "content_type", "cpu_seconds", "unknown")
    ),
    case("42 half a frame", "protocol.half_and_wait", "timeout", **SHORT),
    case("42 half a frame, then death", "protocol.half_and_die", "crash"),
    case("42 a frame that drips", "protocol.drip", "timeout", **SHORT),
    case("42 answer for another job", "protocol.frame", "protocol", spec={"body": ANOTHER}),
    case("42 answer for nobody", "protocol.frame", "protocol", spec={"body": '{"type": "done"}'}),
    _says("42 answer for another attempt", "protocol", type="done", attempt=99, outcome="ok"),
    _says("42 answer for a list of jobs", "protocol", type="done", id=["a"], outcome="ok"),
    _says("42 unknown message", "protocol", type="booted"),
    _says("42 another greeting", "protocol", type="ready", layers={}, proved={}),
    _says("42 no type", "protocol", type=None),
    _says("42 progress of 2", "protocol", type="progress", progress=2),
    _says("42 progress of a list", "protocol", type="progress", progress=[1]),
    _says("42 progress of true", "protocol", type="progress", progress=True),
    case("42 progress too small for the database", "protocol.tiny", "ok", written="tiny"),
    case("42 numbers that are none", "protocol.numbers", "ok", written="numbers"),
    case("42 progress that is no number", "protocol.not_a_number", "protocol"),
    _says("42 no outcome", "protocol", type="done"),
    _says("42 outcome of a list", "protocol", type="done", outcome=["ok"]),
    _says("42 ours, it says", "render_error", type="done", outcome="internal", error="the disk is full"),
    _says("42 cancelled, it says", "protocol", type="done", outcome="cancelled"),
    _says("42 lost, it says", "protocol", type="done", outcome="lost"),
    _says("42 ok without a type", "bad_output", type="done", outcome="ok"),
    _says("42 error of a list", "protocol", type="done", outcome="render_error", error=[1, {"a": "\x1b"}]),
    case("42 boasts", "protocol.boast", "ok", written="boasted"),
    case("x descriptors for the supervisor", "protocol.pass_descriptors", "violation"),
    case("x bytes beside the stream", "protocol.out_of_band", "violation"),
    case("44 close everything and run on", "protocol.close_all", "protocol"),
    case("44 hang up and run on", "protocol.hang_up", "protocol"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_protocol(case: Case, aftermath: Aftermath) -> None:
    """It is recorded as what it is."""
    check(case, aftermath.hostile[case.id])


def test_boasts_are_not_believed(aftermath: Aftermath) -> None:
    """What a child says that it used is bounded by what it can have used."""
    for ended in aftermath.hostile.values():
        for attempt in ended.attempts:
            assert (attempt["cpu_seconds"] or 0) < 600
            assert (attempt["peak_memory_bytes"] or 0) < 4 << 30
