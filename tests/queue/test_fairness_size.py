"""Fairness at size: a thousand tenants, one of which has most of the jobs; turns hold, and a claim costs what it always did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from supervisor.store.exchange import Question
from supervisor.store.statements import shortened
from tests.queue.support import Queue
from tests.queue.test_wake import EXCHANGE

TENANTS = 1000
FILL = """
    insert into jobsupervisor.job (id, kind, spec, config, user_id, priority)
    select jobsupervisor.new_id(), 'noop', '{}', '{}', tenant, 0
    from (
        select 't' || n %% %(others)s as tenant from generate_series(0, %(rest)s - 1) n
        union all
        select 'big' from generate_series(1, %(big)s)
    ) t
    order by md5(tenant || random())
"""
WANT = 20
CURSORS = ("", "t5")


@pytest.fixture
def queue(database: str) -> Iterator[Queue]:
    """Provide a queue."""
    with Queue(database) as queue:
        yield queue


def fill(queue: Queue, tenants: int, big: int, rest: int) -> None:
    """Enqueue that many of one tenant, and the rest evenly of the others."""
    queue.client.execute("truncate jobsupervisor.job")
    queue.client.execute(FILL, {"others": tenants - 1, "big": big, "rest": rest})
    queue.client.execute("vacuum analyze jobsupervisor.job")


def buffers(queue: Queue, owner: int, cursor: str) -> int:
    """Return how many buffers a claim touches."""
    with psycopg.ClientCursor(queue.client) as client, queue.client.transaction(force_rollback=True):
        asked = EXCHANGE | {"owner": owner, "want": WANT, "cursor": cursor}
        client.execute(
            "explain (analyze, buffers, format json) " + shortened("exchange", ("free_for_all", "since", "mark")), asked
        )
        row: Any = client.fetchone()
    plan = row[0][0]["Plan"]
    assert plan["Actual Rows"] >= WANT
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_a_thousand_tenants_take_turns(queue: Queue) -> None:
    """Of 50,000 jobs one tenant has 40,000: it gets one of a thousand, like everybody, in each of three rounds."""
    fill(queue, TENANTS, 40_000, 10_000)
    a, cursor = queue.supervisor(), ""
    for served in range(1, 4):
        tenants = Counter[str]()
        for _ in range(TENANTS // WANT):
            claimed = queue.run(a.store.exchange([], {}, ["noop"], WANT, Question(cursor=cursor))).claimed
            tenants.update(str(job.user_id) for job in claimed)
            cursor = str(claimed[-1].user_id)
        assert (len(tenants), set(tenants.values())) == (TENANTS, {1}), f"round {served}"


@pytest.mark.each_server
def test_a_claim_costs_the_same_at_fifty_thousand_jobs(queue: Queue) -> None:
    """The buffers that it touches, against those at 100 jobs: an index one level higher, and no more."""
    owner = queue.supervisor().owner
    fill(queue, WANT + 1, 50, 50)
    small = [buffers(queue, owner, cursor) for cursor in CURSORS]
    fill(queue, TENANTS, 40_000, 10_000)
    large = [buffers(queue, owner, cursor) for cursor in CURSORS]
    assert all(most < 2 * least for most, least in zip(large, small, strict=True)), (small, large)
