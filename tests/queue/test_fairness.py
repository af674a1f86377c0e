"""Tenants take turns, and limits hold."""

from __future__ import annotations

import psycopg
import pytest

from supervisor.store.exchange import Question
from tests.queue.support import WAIT_SECONDS, Queue


def test_tenants_take_turns_inside_a_priority(database: str) -> None:
    """One tenant's thirty jobs do not stand before the others' one; a higher priority does."""
    with Queue(database) as queue:
        big = [queue.enqueue(user_id="big") for _ in range(30)]
        small = {queue.enqueue(user_id=f"small {n}") for n in range(4)}
        urgent = queue.enqueue(user_id="big", priority=1)
        a = queue.supervisor()
        assert a.claim_one().id == urgent
        claimed = [job.id for job in a.claim(want=10)]
        assert small < set(claimed)
        assert [job_id for job_id in claimed if job_id not in small] == big[:6]


def test_the_turn_goes_on_from_the_tenant_that_was_served(database: str) -> None:
    """With the cursor behind a tenant, the next one comes first, and once around."""
    with Queue(database) as queue:
        jobs = {name: queue.enqueue(user_id=name) for name in ("a", "b", "c")}
        supervisor = queue.supervisor()
        answer = queue.run(supervisor.store.exchange([], {}, ["noop"], 2, Question(cursor="b")))
        assert [job.id for job in answer.claimed] == [jobs["c"], jobs["a"]]


def test_a_kind_is_limited_on_all_supervisors_together(database: str) -> None:
    """No more than the limit run at once; an ack makes a place; null lifts the limit."""
    with Queue(database) as queue:
        for _ in range(6):
            queue.enqueue()
        queue.client.execute("select set_render_limit(kind => 'noop', max_running => 2)")
        a, b = queue.supervisor("a"), queue.supervisor("b")
        first = a.claim(want=4)
        assert (len(first), b.claim(want=4)) == (2, [])
        assert a.ack(first[0]) == "completed"
        assert len(b.claim(want=4)) == 1
        queue.client.execute("select set_render_limit(kind => 'noop')")
        assert len(b.claim(want=4)) == 3


def test_a_tenant_is_limited_and_does_not_stand_in_the_way(database: str) -> None:
    """A tenant with all its places is passed by, at its own priority and at lower ones; '*' is for the others."""
    with Queue(database) as queue:
        for _ in range(4):
            queue.enqueue(user_id="big", priority=5)
        other = queue.enqueue(user_id="other")
        queue.client.execute("select set_render_limit(user_id => '*', max_running => 1)")
        a = queue.supervisor()
        assert len(a.claim(want=3)) == 1
        blocked = queue.run(a.store.exchange([], {}, ["noop"], 3))
        assert (blocked.claimed, blocked.blocked) == ([], 5)
        below = queue.run(a.store.exchange([], {}, ["noop"], 3, Question(below=5)))
        assert [job.id for job in below.claimed] == [other]
        queue.client.execute("select set_render_limit(user_id => 'big', max_running => 3)")
        assert len(a.claim(want=9)) == 2


def test_a_paused_kind_is_not_claimed(database: str) -> None:
    """Pausing stops claims and no more; the answers say whether anything changed."""
    with Queue(database) as queue:
        queue.enqueue()
        a = queue.supervisor()
        pause, resume = "select pause_renders('noop')", "select resume_renders('noop')"
        assert (queue.value(pause), queue.value(pause)) == (True, False)
        assert a.claim() == []
        assert (queue.value(resume), queue.value(resume)) == (True, False)
        assert len(a.claim()) == 1


@pytest.mark.parametrize(
    "call",
    [
        "set_render_limit(max_running => 1)",
        "set_render_limit(kind => 'noop', user_id => 'u', max_running => 1)",
        "set_render_limit(kind => 'noop', max_running => 0)",
        "set_render_limit(user_id => 'u', max_running => -1)",
        "set_render_limit(kind => 'nope', max_running => 1)",
        "pause_renders('nope')",
        "redrive_renders(at_most => 0)",
    ],
)
def test_a_wrong_call_is_refused(database: str, call: str) -> None:
    """With the rule, the value and a hint."""
    with Queue(database) as queue:
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="must be") as refused:
            queue.client.execute(f"select {call}".encode())
        assert refused.value.diag.message_hint


def test_nobody_is_notified_while_nobody_is_armed(database: str) -> None:
    """A saturated supervisor is not told; an enqueuer with an old snapshot notifies all the same."""
    with Queue(database) as queue:
        a = queue.supervisor()
        with psycopg.connect(database, autocommit=True) as listener:
            listener.execute("listen jobsupervisor_wake")
            queue.run(a.store.exchange([], {}, ["noop"], 1, Question(arm=False)))
            queue.enqueue()
            queue.client.execute("notify jobsupervisor_wake, 'end'")
            assert [notice.payload for notice in listener.notifies(timeout=WAIT_SECONDS, stop_after=1)] == ["end"]
            with psycopg.connect(database) as old:
                old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                old.execute("select enqueue_render('noop', '{}')")
            assert [notice.payload for notice in listener.notifies(timeout=WAIT_SECONDS, stop_after=1)] == [""]


def test_a_writer_is_named_until_it_has_ended(database: str) -> None:
    """Who enqueued and has not committed is a holder of the claim that finds nothing; after its commit the job is found."""
    with Queue(database) as queue, queue.connect(autocommit=False) as client:
        a = queue.supervisor()
        client.execute("select enqueue_render('noop', '{}')")
        answer = queue.run(a.store.exchange([], {}, ["noop"], 1))
        assert (answer.claimed, len(answer.holders)) == ([], 1)
        client.commit()
        answer = queue.run(a.store.exchange([], {}, ["noop"], 1))
        assert len(answer.claimed) == 1
