"""Endings: cases 21 to 26 (24 and 25 in test_parents). However a job ends, what is recorded is what happened.

Case 26 is all of them: a job that kills its child ends in the dead letters at the second time, and the honest jobs beside
it are not charged (test_left).
"""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.hostile.aftermath import Aftermath
from tests.hostile.cases import Case, case, check

pytestmark = pytest.mark.timeout(300)

ANSWERED: dict[str, Any] = {"written": "answered"}

CASES = [
    case("21 exit without an answer", "endings.exit_quietly", "crash", says="without a reply"),
    case("21 exit past the interpreter", "endings.exit_by_call", "crash", says="without a reply"),
    case("22 abort", "endings.abort", "crash", signal=signal.SIGABRT, says="SIGABRT"),
    case("22 null pointer", "endings.null_pointer", "crash", signal=signal.SIGSEGV, says="SIGSEGV"),
    case("22 crash in the crash handler", "endings.smash_the_stack", "crash"),
    case("22 crash while the crash handler writes", "endings.dump_for_ever", "crash", signal=signal.SIGSEGV),
    *(
        case(f"22 {number.name}", "endings.die", ends, spec={"number": int(number)}, signal=number)
        for number, ends in (
            (signal.SIGKILL, "crash"),
            (signal.SIGBUS, "crash"),
            (signal.SIGTERM, "crash"),
            (signal.SIGTRAP, "crash"),
            (signal.SIGSYS, "violation"),
            (signal.SIGXCPU, "timeout"),
            (signal.SIGRTMAX, "crash"),
        )
    ),
    case("23 answer and die", "endings.answer_and_die", "ok", **ANSWERED),
    case("23 answer and hang", "endings.answer_and_hang", "ok", **ANSWERED),
    case("23 answer three times", "endings.answer_and_go_on", "ok", **ANSWERED),
    case("23 threads go on after the answer", "endings.leave_threads", "ok"),
    case("21 return without an artifact", "endings.say_nothing", "bad_output", says="wrote nothing"),
    case("x raise KeyboardInterrupt", "endings.raise_beyond", "render_error", spec={"name": "KeyboardInterrupt"}),
    case("x raise GeneratorExit", "endings.raise_beyond", "render_error", spec={"name": "GeneratorExit"}),
    case("x raise a BaseException", "endings.raise_beyond", "render_error", spec={"name": "Beyond"}, says="Beyond"),
    case("x raise what cannot be read", "endings.raise_unspeakable", "render_error", says="Mute"),
    case("x raise what lies", "endings.raise_liar", "render_error"),
    case("x sys.exit with what cannot be shown", "endings.raise_exit", "render_error"),
    case("x sys.exit", "endings.raise_plain_exit", "render_error", says="sys.exit(3)"),
    case("x refuse the spec", "endings.raise_invalid", "invalid", says="text: must rhyme"),
    case("x endless chain of causes", "endings.raise_endless_chain", "render_error", says="ValueError: first"),
    case("x deep chain of causes", "endings.raise_deep_chain", "render_error", says="ValueError: above"),
    case("x message of 100 MB", "endings.raise_long", "render_error", says="ValueError: ?"),
    case("x message that nothing takes", "endings.raise_binary", "render_error", says="ValueError: nul �, escape �[2J"),
    case("x disk full, it says", "endings.raise_as_internal", "limit"),
    case("x break what tells of errors", "endings.break_the_loop", "crash"),
    case("x without standard files", "endings.without_standard_files", "ok", **ANSWERED),
    case("x close the output", "endings.close_the_output", "render_error", says="Bad file descriptor"),
    case("x interrupt whoever goes on", "endings.later_signals", "ok|crash|render_error|timeout", timeout="1 s"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_endings(case: Case, aftermath: Aftermath) -> None:
    """It is recorded as what it is."""
    check(case, aftermath.hostile[case.id])
