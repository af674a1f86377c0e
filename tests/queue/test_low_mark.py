"""Claims that look from a mark on, and what it costs to claim while an old snapshot keeps dead rows."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from supervisor.store.exchange import Question
from supervisor.store.statements import shortened
from tests.queue.support import Queue, Supervisor, ack_of
from tests.queue.test_wake import EXCHANGE

DONE = 3000
AGO = "update jobsupervisor.job set run_at = now() - %s * interval '1 second' where id = %s returning run_at::text"


def enqueued(queue: Queue, ago: int, **job: Any) -> tuple[str, str]:
    """Enqueue a job that was to run so many seconds ago; return its id and that time."""
    job_id = queue.enqueue(**job)
    return job_id, str(queue.value(AGO, ago, job_id))


def asked(queue: Queue, supervisor: Supervisor, want: int = 1, **question: Any) -> tuple[list[str], str | None]:
    """Claim of the kinds noop and svg; return what was claimed and the mark."""
    answer = queue.run(supervisor.store.exchange([], {}, ["noop", "svg"], want, Question(**question)))
    return [job.id for job in answer.claimed], answer.mark


def test_the_mark_is_the_time_of_the_oldest_queued_job(database: str) -> None:
    """Of all lanes of the kinds that are asked for: neither of others, nor of what is paused, delayed or at work."""
    with Queue(database) as queue:
        a = queue.supervisor()
        assert asked(queue, a, mark=True) == ([], None)
        working, _ = enqueued(queue, 900)
        assert asked(queue, a)[0] == [working]
        enqueued(queue, 800, kind="scene")
        enqueued(queue, 700, kind="svg")
        queue.client.execute("select pause_renders('svg')")
        queue.enqueue(run_at="2100-01-01")
        new, _ = enqueued(queue, 10, priority=9, user_id="u1")
        _, time = enqueued(queue, 300, priority=-3, user_id="u2")
        enqueued(queue, 200, priority=-3)
        assert asked(queue, a, mark=True) == ([new], time)


def test_only_what_was_to_run_from_the_mark_on_is_claimed(database: str) -> None:
    """Within that as ever: priority first, the tenants in turn. The mark itself is of those that may be claimed."""
    with Queue(database) as queue:
        a = queue.supervisor()
        old, _ = enqueued(queue, 400, priority=9)
        first, time = enqueued(queue, 300, user_id="u1")
        second, _ = enqueued(queue, 200, user_id="u1")
        third, _ = enqueued(queue, 100, user_id="u2")
        assert asked(queue, a, 2, since=time, mark=True) == ([first, third], time)
        assert asked(queue, a, 2, since=time)[0] == [second]
        assert asked(queue, a, 2)[0] == [old]


def test_of_too_many_tenants_no_mark_is_sought(database: str) -> None:
    """It would have to be looked for in each of their lanes."""
    with Queue(database) as queue:
        a = queue.supervisor()
        queue.client.execute(
            "select count(enqueue_render('noop', '{}', user_id => 'u' || n)) from generate_series(1, 999) n"
        )
        assert asked(queue, a, 0, mark=True)[1] is None
        assert asked(queue, a, 1, mark=True)[1] is not None
        queue.client.execute(
            "select count(enqueue_render('noop', '{}', user_id => 'v' || n)) from generate_series(1, 2) n"
        )
        assert asked(queue, a, 1, mark=True)[1] is None


def test_limits_hold_with_a_mark(database: str) -> None:
    """The long form of the exchange takes it too."""
    with Queue(database) as queue:
        a = queue.supervisor()
        queue.client.execute("select set_render_limit(kind => 'noop', max_running => 1)")
        enqueued(queue, 400)
        first, time = enqueued(queue, 300)
        enqueued(queue, 200)
        assert asked(queue, a, 2, since=time, mark=True) == ([first], time)
        assert asked(queue, a, 2, since=time)[0] == []


def buffers(queue: Queue, owner: int, without: tuple[str, ...], since: str | None = None) -> int:
    """Return how many buffers a claim of one job touches."""
    with psycopg.ClientCursor(queue.client) as client, queue.client.transaction(force_rollback=True):
        parameters = EXCHANGE | {"owner": owner, "since": since}
        client.execute(
            "explain (analyze, buffers, format json) " + shortened("exchange", ("free_for_all", *without)), parameters
        )
        row: Any = client.fetchone()
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.mark.each_server
def test_a_claim_does_not_pass_by_all_that_is_over(database: str) -> None:
    """While an old snapshot keeps dead rows: by what it touches, with a mark and without."""
    with Queue(database) as queue:
        a = queue.supervisor()
        old = queue.connect(autocommit=False)
        old.execute("set transaction isolation level repeatable read")
        old.execute("select from jobsupervisor.kind")
        queue.client.execute("select count(enqueue_render('noop', '{}')) from generate_series(1, %s)", [DONE])
        done = a.claim(DONE)
        assert len(done) == DONE
        a.exchange(*(ack_of(job) for job in done))
        queue.enqueue()
        assert asked(queue, a, 0, mark=True)[1] is None, "nothing is wanted, so no kind is looked at"
        without = ("acks", "progress", "ills", "only")
        time = str(queue.value("select min(run_at)::text from jobsupervisor.job where state = 'queued'"))
        all_of_it = buffers(queue, a.owner, (*without, "since", "mark"))
        # The least of some: one of them may come upon what autovacuum is at.
        from_there = min(buffers(queue, a.owner, (*without, "mark"), time) for _ in range(3))
        assert from_there < all_of_it / 4
