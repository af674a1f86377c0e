"""Every value that a child may say, against the statement that writes it: PostgreSQL takes each, as it was bounded on arrival.

A value that the database refuses undoes the whole exchange, and with it the acks of other jobs.
"""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renderer.outcome import CHILD_MAY_SAY, Outcome
from supervisor.attempt import Attempt, Limits
from supervisor.child_process import ExitStatus
from supervisor.memory import MemorySample
from supervisor.model import Artifact, Job
from supervisor.runner import ending_of
from supervisor.usage import cpu_seconds, fraction, peak_memory
from tests.queue.support import Queue, ack_of

LIMITS = Limits(timeout=10.0, cpu=25.0, memory=256 << 20, output=1 << 30)
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([0, -0.0, 1e-50, 5e-324, 1e-39, 1e-45, 1.4e-45, 0.1, 1 - 2**-53, 1, 1.0, 1e308, 2**53 + 1, 2**63]),
)
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=50),
    st.sampled_from(["\0", "\x1b[2J", "￿￾", "\u202e", "\\u0000", "\\x00", "😀" * 5000, "\\", '"', "{}", "'; --"]),
)
SAID = st.none() | st.booleans() | NUMBERS | TEXTS
REPLIES = st.fixed_dictionaries(
    {"outcome": st.sampled_from([*(outcome.value for outcome in CHILD_MAY_SAY), "ok", "internal"]) | SAID},
    optional={
        "error": SAID,
        "content_type": st.sampled_from(["image/png", 'text/plain; a="\xff"']) | SAID,
        "cpu_seconds": SAID,
        "peak_memory_bytes": SAID,
        "exit_signal": SAID,
        "progress": SAID,
    },
)
STATUSES = st.none() | st.builds(
    ExitStatus,
    code=st.none() | st.integers(0, 255),
    signal=st.none() | st.integers(1, 64),
    cpu_seconds=st.floats(0, 1e9),
)


def attempt_at(job: Job) -> Attempt:
    """Return an attempt whose turn has come."""
    attempt = Attempt(job, LIMITS, None, lambda _attempt, _seen: None, since=1.0)
    attempt.sample = MemorySample(None, 0, LIMITS.memory, lambda _: None)
    return attempt


def over_the_wire(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as the supervisor reads it."""
    return dict(orjson.loads(orjson.dumps(message)))


@pytest.mark.parametrize("said", [1e-50, 5e-324, 1e-39, 0.123456789, 0, 1, 1.0, -0.0])
def test_a_progress_in_range_is_rounded(said: float) -> None:
    """A number from 0 to 1 becomes one that `real` takes: 1e-50 was in range, and ended the service."""
    assert fraction(said) == round(said, 4)


@pytest.mark.parametrize("said", [True, False, None, "0.5", [0.5], {}, -1e-9, 1.0000001, math.nan, math.inf, 2**64])
def test_a_progress_out_of_range_is_none(said: object) -> None:
    """What is no number from 0 to 1 is refused, true and false among it."""
    assert fraction(said) is None


@pytest.mark.parametrize("said", [True, False, "1", [1], {}, math.nan, -1, None])
def test_what_is_no_number_counts_for_nothing(said: object) -> None:
    """Where a number belongs, nothing else is passed on: true is no count of bytes, and no bigint."""
    reply = {"cpu_seconds": said, "peak_memory_bytes": said}
    assert cpu_seconds(reply, None, 0.0, 1.0) is None
    assert peak_memory(reply, None, MemorySample(None, 0, 1, lambda _: None)) is None


@pytest.mark.parametrize("said", [5e-324, 1e-50, 1e308, 2**63, 0.1234567891])
def test_processor_time_is_bounded_and_rounded(said: float) -> None:
    """Seconds have six digits, and are no more than the processors can have given."""
    found = cpu_seconds({"cpu_seconds": said}, None, 0.0, 1.0)
    assert found is not None
    assert found == round(found, 6) < 10_000


def test_the_database_takes_every_reply(database: str) -> None:
    """Whatever a child answers, however its process ended, and whatever it wrote to its log: its ack is written.

    The attempt's row holds what was sent, or that it was bounded; the verdict is one of a job's own.
    """
    with Queue(database) as queue:
        supervisor = queue.supervisor(RENDER_MAX_ATTEMPTS=1)

        @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
        @given(reply=st.none() | REPLIES, status=STATUSES, log=st.binary(max_size=200), progress=NUMBERS)
        def ends(reply: dict[str, Any] | None, status: ExitStatus | None, log: bytes, progress: float) -> None:
            queue.enqueue()
            job = supervisor.claim_one()
            attempt = attempt_at(job)
            told = {"id": job.id, "attempt": job.token.attempt}
            moves = over_the_wire(told | {"type": "progress", "progress": progress})
            if attempt.breach(moves) is None:
                attempt.progress = fraction(moves["progress"]) or 0.0
                supervisor.moved(job, attempt.progress)
            seen = attempt.observe(
                None if reply is None else over_the_wire(told | {"type": "done"} | reply),
                None,
                status,
                cpu_before=0.0,
                first=True,
                stderr_tail=log.decode(errors="replace"),
                out_of_memory=False,
            )
            ending = ending_of(attempt, seen, perhaps_ours=False)
            if ending.outcome is Outcome.OK:
                assert seen.reply is not None
                ending.artifact = Artifact("file:///a", "ab" * 32, 1, str(seen.reply["content_type"]))
            ending.progress = attempt.progress
            (verdict,) = supervisor.exchange(ack_of(job, None)._replace(ending=ending)).verdicts
            assert verdict.verdict in {"completed", "failed", "queued"}
            if verdict.verdict == "queued":  # `internal` and `cancelled` are not charged
                queue.client.execute("delete from jobsupervisor.job")

        ends()
