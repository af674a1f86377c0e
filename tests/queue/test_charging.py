"""What each way to end costs a job: charged attempts, backoff, offences, and what is never held against it."""

from __future__ import annotations

import pytest

from renderer.outcome import OFFENCES, Outcome
from tests.queue.support import Queue, ack_of

BACKOFF = "select extract(epoch from run_at - updated_at)::float from jobsupervisor.job where id = %s"
MAKE_DUE = "update jobsupervisor.job set run_at = now() where state = 'delayed'"


def test_an_invalid_spec_is_never_tried_again(database: str) -> None:
    """It goes to the dead letters at the first attempt, whole, with the message for people."""
    with Queue(database) as queue:
        job_id = queue.enqueue("svg", {"a": 1}, config='{"b": 2}', user_id="u", max_attempts=9)
        a = queue.supervisor()
        assert a.ack(a.claim_one(), "invalid", error="a: must be 2, got 1", progress=0.25) == "failed"
        job = queue.job(job_id)
        assert (job["status"], job["failure"], job["error"]) == ("failed", "invalid", "a: must be 2, got 1")
        assert (job["attempts"], job["progress"], job["finished_at"] is not None) == (1, 0.25, True)
        (letter,) = queue.rows("select * from render_dead_letters")
        assert (letter["kind"], letter["spec"], letter["config"], letter["user_id"]) == ("svg", {"a": 1}, {"b": 2}, "u")
        assert (letter["failure"], letter["attempts"]) == ("invalid", 1)
        assert queue.attempts(job_id) == [(1, "invalid")]
        assert a.claim() == []


def test_a_render_error_is_tried_again_up_to_max_attempts(database: str) -> None:
    """Each one is charged and listed; while the job waits its last failure shows; the last one ends it."""
    with Queue(database) as queue:
        job_id = queue.enqueue(max_attempts=3)
        a = queue.supervisor()
        for number, status in ((1, "queued"), (2, "queued"), (3, "failed")):
            claim = a.claim_one()
            assert claim.token.attempt == number
            assert a.ack(claim, "render_error", error=f"no {number}") == status
            job = queue.job(job_id)
            assert (job["status"], job["attempts"]) == (status, number)
            assert (job["failure"], job["error"]) == ("render_error", f"no {number}")
        assert queue.attempts(job_id) == [(n, "render_error") for n in (1, 2, 3)]


def test_the_operators_max_attempts_hold_where_the_job_has_none(database: str) -> None:
    """RENDER_MAX_ATTEMPTS decides, and the view says so."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        a = queue.supervisor(RENDER_MAX_ATTEMPTS=1)
        assert queue.job(job_id)["max_attempts"] == 1
        assert a.ack(a.claim_one(), "render_error") == "failed"
        assert queue.attempts(job_id) == [(1, "render_error")]


def test_the_backoff_doubles_with_jitter_up_to_an_hour(database: str) -> None:
    """The n-th retry waits between half and all of delay * 2^(n-1), never more than an hour, each job its own time."""
    with Queue(database) as queue:
        jobs = [queue.enqueue(max_attempts=99) for _ in range(5)]
        a = queue.supervisor(RENDER_RETRY_DELAY_SECONDS=100)
        for longest in (100, 200, 400, 800, 1600, 3200, 3600, 3600):
            claims = a.claim(want=9)
            a.exchange(*(ack_of(claim, "render_error") for claim in claims))
            waits = [queue.value(BACKOFF, job_id) for job_id in jobs]
            assert all(longest / 2 <= wait <= longest for wait in waits), (longest, waits)
            assert len(set(waits)) == 5
            queue.client.execute(MAKE_DUE)


@pytest.mark.parametrize("outcome", sorted(OFFENCES))
def test_an_offence_counts_toward_its_own_limit(database: str, outcome: Outcome) -> None:
    """The second attempt that killed or tripped a child ends the job, though three more would be allowed."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        a = queue.supervisor()
        assert a.ack(a.claim_one(), outcome, exit_signal=9) == "queued"
        assert a.ack(a.claim_one(), outcome, error="again") == "failed"
        job = queue.job(job_id)
        assert (job["failure"], job["error"], job["attempts"]) == (outcome, "again", 2)
        signals = queue.rows("select exit_signal from render_attempts order by attempt")
        assert [row["exit_signal"] for row in signals] == [9, None]


@pytest.mark.parametrize("outcome", sorted(OFFENCES))
def test_an_offence_limit_of_one(database: str, outcome: Outcome) -> None:
    """With RENDER_OFFENCE_LIMIT=1 the first offence is the last; another failure is not one."""
    with Queue(database) as queue:
        queue.enqueue()
        a = queue.supervisor(RENDER_OFFENCE_LIMIT=1)
        assert a.ack(a.claim_one(), "render_error") == "queued"
        assert a.ack(a.claim_one(), "bad_output") == "queued"
        assert a.ack(a.claim_one(), outcome) == "failed"


def test_what_is_ours_is_never_charged(database: str) -> None:
    """However often it happens, an internal failure ends no job; it is listed, and waits a little longer each time."""
    with Queue(database) as queue:
        job_id = queue.enqueue(max_attempts=1)
        a = queue.supervisor(RENDER_OFFENCE_LIMIT=1)
        for number in range(1, 7):
            assert a.ack(a.claim_one(), "internal", error="disk full") == "queued"
            job = queue.job(job_id)
            assert (job["attempts"], job["failure"], job["error"]) == (0, "internal", "disk full")
            assert 2**number / 4 <= queue.value(BACKOFF, job_id) <= 2**number / 2
            queue.client.execute(MAKE_DUE)
        assert queue.attempts(job_id) == [(number, "internal") for number in range(1, 7)]
        assert a.ack(a.claim_one()) == "completed"


def test_lost_twice_alone_ends_a_job(database: str) -> None:
    """A job that was alone with each supervisor that died is held to have killed it, but not at the first time."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        a = queue.supervisor()
        assert a.ack(a.claim_one(), "lost", alone=True) == "queued"
        assert queue.job(job_id)["attempts"] == 0
        assert a.ack(a.claim_one(), "lost", alone=True) == "failed"
        assert (queue.job(job_id)["failure"], queue.job(job_id)["attempts"]) == ("lost", 0)


def test_lost_beside_others_is_free_once(database: str) -> None:
    """The first loss of a job that was not alone is nobody's fault; each one after it is an offence, and due at once."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        a = queue.supervisor(RENDER_RETRY_DELAY_SECONDS=100)
        for offences in (0, 1):
            assert a.ack(a.claim_one(), "lost") == "queued"
            stored = queue.stored(job_id)
            assert (stored["offences"], stored["losses"], stored["charged"]) == (offences, offences + 1, 0)
        assert a.ack(a.claim_one(), "lost") == "failed"


def test_a_job_given_back_was_never_tried(database: str) -> None:
    """It is queued as it was, uncharged and in its old place; the next claim has the same number; no attempt is listed."""
    with Queue(database) as queue:
        first, second = queue.enqueue(), queue.enqueue()
        a = queue.supervisor()
        assert a.ack(a.claim_one(), "render_error", error="once") == "queued"
        before = queue.stored(first)
        claims = {job.id: job for job in a.claim(want=2)}
        assert (claims[first].token.attempt, claims[second].token.attempt) == (2, 1)
        assert a.ack(claims[first], None) == "given_back"
        after = queue.stored(first)
        changed = {name for name in before if before[name] != after[name]}
        assert changed <= {"updated_at", "started_at"}
        assert (after["charged"], after["failure"], after["error"]) == (1, "render_error", "once")
        assert queue.attempts(first) == [(1, "render_error")]
        assert a.claim_one().token.attempt == 2
