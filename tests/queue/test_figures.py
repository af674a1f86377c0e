"""What a poll tells of the queue, for metrics and alerts that send no statement of their own."""

from __future__ import annotations

from renderer.outcome import Outcome
from tests.queue.support import Queue


def test_an_empty_queue_has_figures_too(database: str) -> None:
    """Every kind is there with nothing, so that a chart does not begin at its first job."""
    with Queue(database) as queue:
        figures = queue.supervisor("a").poll().figures
        assert figures.depth["noop"] == figures.depth["svg"] == 0
        assert (figures.oldest, figures.running, figures.dead_letters, figures.queued) == ({}, 0, 0, 0)


def test_depth_counts_what_could_run_now_by_kind(database: str) -> None:
    """Neither what is delayed nor what runs is in it."""
    with Queue(database) as queue:
        a = queue.supervisor("a")
        for kind in ("noop", "noop", "svg"):
            queue.enqueue(kind=kind)
        queue.enqueue(kind="noop", run_at="2100-01-01")
        a.claim(1, ["svg"])
        figures = a.poll().figures
        assert (figures.depth["noop"], figures.depth["svg"], figures.running, figures.queued) == (2, 0, 1, 2)


def test_the_oldest_is_found_in_whichever_lane_it_waits(database: str) -> None:
    """Of each kind, over all priorities and tenants."""
    with Queue(database) as queue:
        a = queue.supervisor("a")
        for kind, priority, tenant, age in (
            ("noop", 9, "u1", 5),
            ("noop", 9, "u2", 7),
            ("noop", 0, "u1", 300),
            ("noop", -3, None, 4),
            ("svg", 0, "u9", 60),
            ("svg", 0, None, 50),
        ):
            job = queue.enqueue(kind=kind, priority=priority, user_id=tenant)
            queue.client.execute(
                "update jobsupervisor.job set run_at = now() - %s * interval '1 second' where id = %s", (age, job)
            )
        oldest = a.poll().figures.oldest
        assert sorted(oldest) == ["noop", "svg"]
        assert 300 <= oldest["noop"] < 400
        assert 60 <= oldest["svg"] < 160


def test_dead_letters_are_counted(database: str) -> None:
    """Those that are there to be worked."""
    with Queue(database) as queue:
        a = queue.supervisor("a")
        queue.enqueue()
        a.ack(a.claim_one(), Outcome.INVALID)
        assert a.poll().figures.dead_letters == 1


def test_a_claim_tells_how_long_the_job_has_waited(database: str) -> None:
    """From when it could run: for a retry since its delay was over."""
    with Queue(database) as queue:
        a = queue.supervisor("a")
        job = queue.enqueue()
        queue.client.execute("update jobsupervisor.job set run_at = now() - interval '90 s' where id = %s", (job,))
        assert 90 <= a.claim_one().waited < 190


def test_counting_goes_up_to_a_thousand_and_estimates_beyond(database: str) -> None:
    """A backlog of any size costs a poll the same; the statistics say roughly how many there are."""
    with Queue(database) as queue:
        a = queue.supervisor("a")
        queue.client.execute("select enqueue_render('noop', '{}') from generate_series(1, 1500)")
        queue.client.execute("select pg_stat_clear_snapshot()")
        figures = a.poll().figures
        assert figures.depth["noop"] == 1000
        queue.client.execute("analyze jobsupervisor.job")
        assert 1000 <= a.poll().figures.queued <= 1500


def test_an_open_snapshot_is_told(database: str) -> None:
    """A transaction that is left open keeps what died since."""
    with Queue(database) as queue:
        a = queue.supervisor("a")
        other = queue.connect()
        other.execute("begin isolation level repeatable read")
        other.execute("select 1")
        before = a.poll().figures
        for _ in range(5):
            queue.enqueue()
        after = a.poll().figures
        assert after.horizon_age >= before.horizon_age + 5
        assert after.horizon_seconds > 0
