"""The exchange: what is claimed in which order, and what its answer says."""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta

import orjson
import pytest

from renderer.outcome import Outcome
from supervisor.model import Ack, Ending
from tests.queue.support import ARTIFACT, Queue, ack_of, heard, listening


def test_the_order_of_claims(database: str) -> None:
    """Higher priority first, then the earlier run_at, then the id, which grows with time."""
    with Queue(database) as queue:
        late = queue.enqueue(run_at="2001-01-01T00:00:02Z")
        early = sorted(queue.enqueue(run_at="2001-01-01T00:00:01Z") for _ in range(3))
        urgent = queue.enqueue(priority=1)
        patient = queue.enqueue(priority=-1, run_at="2000-01-01T00:00:00Z")
        a = queue.supervisor()
        expected = [urgent, *early, late, patient]
        assert [job.id for job in a.claim(want=2)] == expected[:2]
        assert [job.id for job in a.claim(want=10)] == expected[2:]
        assert a.claim(want=10) == []


def test_no_more_than_wanted_and_nothing_delayed(database: str) -> None:
    """`want` bounds a claim, zero claims nothing, and a job whose time has not come stays."""
    with Queue(database) as queue:
        jobs = {queue.enqueue() for _ in range(3)}
        delayed = queue.enqueue(run_at="2100-01-01T00:00:00Z", priority=9)
        a = queue.supervisor()
        assert a.claim(want=0) == []
        assert len(a.claim(want=2)) == 2
        assert len(a.claim(want=2)) == 1
        assert queue.job(delayed)["status"] == "queued"
        assert {str(row["id"]) for row in queue.rows("select id from render_jobs where status = 'processing'")} == jobs


def test_only_the_kinds_and_the_job_asked_for(database: str) -> None:
    """A supervisor claims kinds that it can render; one that serves a single job claims nothing else."""
    with Queue(database) as queue:
        noop, svg, other = queue.enqueue("noop"), queue.enqueue("svg", priority=9), queue.enqueue("noop")
        a = queue.supervisor()
        assert a.claim(want=9, kinds=()) == []
        assert [job.id for job in a.claim(want=1, kinds=("noop", "scene"))] == [noop]
        single = queue.supervisor("b", only=other)
        assert [job.id for job in single.claim(want=9)] == [other]
        assert queue.job(svg)["status"] == "queued"


def test_a_claim_shows(database: str) -> None:
    """A claimed job is processing, its attempt is counted and listed as under way, with its supervisor's name."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        claim = queue.supervisor("alpha").claim_one()
        assert claim.token.attempt == 1
        job = queue.job(job_id)
        assert (job["status"], job["attempts"], job["progress"]) == ("processing", 1, 0)
        assert job["started_at"] == job["updated_at"] >= job["created_at"]
        (attempt,) = queue.rows("select * from render_attempts")
        assert (attempt["supervisor"], attempt["attempt"], attempt["outcome"]) == ("alpha", 1, None)
        assert attempt["finished_at"] is None


def test_a_completed_job_has_its_output(database: str) -> None:
    """Every output column, the attempt's measurements and its times are there; live work is gone."""
    with Queue(database) as queue:
        job_id = queue.enqueue("svg", priority=4, user_id="u", correlation_id="c")
        a = queue.supervisor("alpha")
        now = time.monotonic()
        ending = Ending(
            Outcome.OK,
            artifact=ARTIFACT,
            started=now - 3,
            finished=now - 1,
            peak_memory_bytes=5_000_000_000,
            cpu_seconds=1.5,
        )
        claim = a.claim_one()
        assert a.send(Ack(claim.id, claim.token, ending)) == "completed"
        job = queue.job(job_id)
        assert (job["status"], job["progress"], job["attempts"], job["failure"]) == ("completed", 1.0, 1, None)
        assert (job["output_url"], job["output_sha256"]) == (ARTIFACT.url, ARTIFACT.sha256)
        assert (job["output_bytes"], job["content_type"]) == (1234, "image/png")
        assert (job["priority"], job["user_id"], job["correlation_id"]) == (4, "u", "c")
        assert timedelta(seconds=3) <= job["finished_at"] - job["started_at"] < timedelta(seconds=13)
        (attempt,) = queue.rows("select * from render_attempts where job_id = %s", job_id)
        assert (attempt["attempt"], attempt["supervisor"], attempt["outcome"]) == (1, "alpha", "ok")
        assert (attempt["peak_memory_bytes"], attempt["cpu_seconds"]) == (5_000_000_000, 1.5)
        assert abs(attempt["finished_at"] - attempt["started_at"] - timedelta(seconds=2)) < timedelta(seconds=0.1)
        assert queue.value("select count(*) from jobsupervisor.job") == 0


def test_due_says_when_to_look_again(database: str) -> None:
    """Seconds to the next delayed job of these kinds, or to a retry made just now; nothing where all wanted was claimed."""
    with Queue(database) as queue:
        a = queue.supervisor(RENDER_RETRY_DELAY_SECONDS=100)
        assert a.exchange(want=1).due is None
        queue.client.execute("select enqueue_render('svg', '{}', run_at => now() + interval '1000 s')")
        due = a.exchange(want=1).due
        assert due is not None
        assert 990 < due <= 1000
        assert a.exchange(want=1, kinds=["noop"]).due is None
        queue.enqueue()
        answer = a.exchange(want=1)
        assert (len(answer.claimed), answer.due) == (1, None)
        due = a.exchange(ack_of(answer.claimed[0], "render_error"), want=1).due
        assert due is not None
        assert 50 <= due <= 100


def test_progress_is_written_under_the_token_only(database: str) -> None:
    """It shows at once; another attempt's or another supervisor's report changes nothing."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        a, b = queue.supervisor("a"), queue.supervisor("b")
        old = a.claim_one()
        assert a.ack(old, "render_error") == "queued"
        claim = a.claim_one()
        a.moved(claim, 0.5)
        assert queue.job(job_id)["progress"] == 0.5
        a.moved(old, 0.9)
        b.exchange(progress={(job_id, type(old.token)(b.owner, claim.token.attempt)): 0.9})
        assert queue.job(job_id)["progress"] == 0.5


def test_progress_and_ack_of_one_job_in_one_statement(database: str) -> None:
    """The ack counts, whichever part of the statement runs first."""
    with Queue(database) as queue:
        a = queue.supervisor()
        for outcome, status in ((Outcome.OK, "completed"), (Outcome.INVALID, "failed"), (Outcome.LOST, "queued")):
            job_id = queue.enqueue()
            claim = a.claim_one()
            answer = a.exchange(ack_of(claim, outcome), progress={(job_id, claim.token): 0.5}, want=0)
            assert [verdict.verdict for verdict in answer.verdicts] == [status]
            assert queue.value("select count(*) from render_jobs where id = %s", job_id) == 1
            assert queue.job(job_id)["status"] == status


@pytest.mark.each_server
def test_a_batch_in_one_statement(database: str) -> None:
    """Fifty acks of every sort and fifty claims in one exchange: each ack has its verdict, each claim is new."""
    with Queue(database) as queue:
        for _ in range(100):
            queue.enqueue(max_attempts=1)
        a = queue.supervisor()
        claims = a.claim(want=50)
        sorts = (
            (Outcome.OK, "completed"),
            (Outcome.RENDER_ERROR, "failed"),
            (Outcome.LOST, "queued"),
            (None, "given_back"),
        )
        expected = {claim.id: sorts[number % 4] for number, claim in enumerate(claims)}
        answer = a.exchange(*(ack_of(claim, expected[claim.id][0]) for claim in claims), want=50)
        assert {v.job_id: v.verdict for v in answer.verdicts} == {i: verdict for i, (_, verdict) in expected.items()}
        assert len(answer.verdicts) == 50
        claimed = {job.id for job in answer.claimed}
        assert len(claimed) == 50
        assert claimed.isdisjoint(expected)
        counts = {
            row["status"]: row["n"] for row in queue.rows("select status, count(*) n from render_jobs group by 1")
        }
        assert counts == {"completed": 13, "failed": 13, "queued": 24, "processing": 50}


def test_each_final_status_is_told_once(database: str) -> None:
    """render_events has id, status and kind of a job when it completes, fails or is cancelled, and of nothing else."""
    with Queue(database) as queue, listening(queue, "render_events") as events:
        a = queue.supervisor()
        ids = [queue.enqueue(kind) for kind in ("noop", "svg", "noop", "scene", "noop", "noop")]
        claims = {job.id: job for job in a.claim(want=5)}
        queue.client.execute("select cancel_render(%s), cancel_render(%s)", [ids[2], ids[5]])
        outcomes = [Outcome.OK, Outcome.INVALID, Outcome.OK, Outcome.RENDER_ERROR, None]
        acks = [ack_of(claims[job_id], outcome) for job_id, outcome in zip(ids, outcomes, strict=False)]
        a.exchange(*acks)
        a.exchange(*acks)  # sent again, as after a broken connection
        told = [orjson.loads(payload) for _, payload in heard(queue, events)]
        assert sorted(told, key=lambda event: ids.index(event["id"])) == [
            {"id": ids[0], "status": "completed", "kind": "noop"},
            {"id": ids[1], "status": "failed", "kind": "svg"},
            {"id": ids[2], "status": "cancelled", "kind": "noop"},
            {"id": ids[5], "status": "cancelled", "kind": "noop"},
        ]
        assert queue.job(ids[3])["status"] == queue.job(ids[4])["status"] == "queued"


def test_a_checksum_survives_the_way(database: str) -> None:
    """The view's checksum is the lower-case hexadecimal text that a client computes from the file."""
    with Queue(database) as queue:
        job_id = queue.enqueue()
        a = queue.supervisor()
        digest = hashlib.sha256(b"the file").hexdigest()
        artifact = type(ARTIFACT)("file:///x", digest, 8, "image/png")
        assert a.ack(a.claim_one(), artifact=artifact) == "completed"
        assert queue.value("select output_sha256 = encode(sha256('the file'), 'hex') from render_jobs") is True
        assert queue.job(job_id)["output_sha256"] == digest
