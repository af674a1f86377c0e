"""Limits hold at every moment while several supervisors claim and ack at once, and nobody starves below them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from supervisor.lookout import Lookout
from supervisor.model import Job
from supervisor.store.exchange import Exchanged, Question
from supervisor.store.queue import QueueStore
from supervisor.store.statements import sent
from tests.queue.support import KINDS, Queue, ack_of, heard, listening, settings_for

SUPERVISORS = 4
LIMIT = 3
RUNNING = """
    select coalesce(max(n), 0) from (
        select count(*) as n from jobsupervisor.job where state = 'processing' and kind = 'noop' group by {}) r
"""


@dataclass
class Ledger:
    """What runs, as supervisors know: each of these is claimed in the database, and more may be."""

    key: Callable[[Job], str]
    running: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    done: int = 0
    said: Counter[str] = field(default_factory=Counter)

    def claimed(self, jobs: list[Job]) -> None:
        """Take note of claims."""
        for job in jobs:
            self.running[self.key(job)] += 1
            self.most[self.key(job)] = max(self.most[self.key(job)], self.running[self.key(job)])

    def ends(self, jobs: list[Job]) -> None:
        """Take it that these are about to be acknowledged."""
        for job in jobs:
            self.running[self.key(job)] -= 1

    def answered(self, answer: Exchanged) -> None:
        """Count what answers say of limits."""
        self.said.update(busy=answer.busy, blocked=answer.blocked is not None, more=answer.more)


async def hammer(store: QueueStore, ledger: Ledger, jobs: int, draw: random.Random) -> None:
    """Claim and ack as fast as the database answers, asking as a supervisor's lookout would, until all is done."""
    lookout = Lookout(3600, events=False)
    held: list[Job] = []
    ending: list[Job] = []
    while ledger.done < jobs:
        want = draw.randint(1, 4)
        ended = [job for job in held if draw.random() < 0.7]
        held = [job for job in held if job not in ended]
        ledger.ends(ended)
        ending += ended
        question = lookout.ask(want)
        answer = await store.exchange([ack_of(job) for job in ending], {}, list(KINDS), want, question)
        # Another claim holds a row for a moment, now and then: that ack is sent again.
        locked = {verdict.job_id for verdict in answer.verdicts if verdict.verdict == "locked"}
        assert {verdict.verdict for verdict in answer.verdicts} <= {"completed", "locked"}
        ledger.done += len(ending) - len(locked)
        ending = [job for job in ending if job.id in locked]
        lookout.learn(answer, want, 0)
        ledger.answered(answer)
        ledger.claimed(answer.claimed)
        held += answer.claimed


async def watch(url: str, by: str, peaks: set[int]) -> None:
    """Look at the table itself, again and again: a snapshot shows every moment that was committed."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while True:
            cursor = await connection.execute(RUNNING.format(by).encode())
            row: Any = await cursor.fetchone()
            peaks.add(row[0])
            if not row[0]:
                await asyncio.sleep(0.001)


async def all_at_once(url: str, ledger: Ledger, by: str, jobs: int) -> set[int]:
    """Let all supervisors work until the jobs are done; return how many were seen to run."""
    peaks: set[int] = set()
    async with AsyncExitStack() as opened:
        stores = []
        for number in range(SUPERVISORS):
            store = QueueStore(settings_for(url, f"s{number}"), f"s{number}")
            opened.push_async_callback(store.close)
            await store.connect()
            await store.register(KINDS)
            stores.append(store)
        watching = asyncio.create_task(watch(url, by, peaks))
        draws = [random.Random(random.random()) for _ in stores]  # noqa: S311 - what pytest-randomly seeds
        try:
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                for store, draw in zip(stores, draws, strict=True):
                    group.create_task(hammer(store, ledger, jobs, draw))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    return peaks


@pytest.mark.parametrize(
    ("limit", "by", "key"),
    [
        (f"kind => 'noop', max_running => {LIMIT}", "kind", lambda job: job.kind),
        (f"user_id => '*', max_running => {LIMIT}", "user_id", lambda job: job.user_id),
    ],
    ids=["of a kind", "of tenants"],
)
def test_no_more_than_the_limit_run_at_any_moment(
    database: str, limit: str, by: str, key: Callable[[Job], str]
) -> None:
    """Four supervisors claim and ack three tenants' jobs as fast as they can: the limit is reached, never passed.

    Every job is done in the end, those of another kind and of a lower priority too.
    """
    with Queue(database) as queue:
        enqueue = "select enqueue_render('noop', '{}', user_id => 'u' || n % 3, priority => n % 2) from generate_series(1, 150) n"
        queue.client.execute(enqueue)
        queue.client.execute("select enqueue_render('svg', '{}', user_id => 'svg' || n) from generate_series(1, 20) n")
        queue.client.execute(f"select set_render_limit({limit})".encode())
        ledger = Ledger(key)
        peaks = queue.run(all_at_once(database, ledger, by, 170))
        limited = {name: most for name, most in ledger.most.items() if name != "svg"}
        assert max(limited.values()) <= LIMIT
        assert max(peaks) == LIMIT
        assert queue.value("select count(*) from jobsupervisor.job") == 0
        assert ledger.said["busy"] > 0


def test_two_limits_at_once(database: str) -> None:
    """A kind's limit of three and a tenant's of one: of one claim of many the kind gets three, the tenant one of them."""
    with Queue(database) as queue:
        for name in ("big", "big", "big", "b", "c", "d"):
            queue.enqueue(user_id=name)
        queue.client.execute("select set_render_limit(kind => 'noop', max_running => 3)")
        queue.client.execute("select set_render_limit(user_id => 'big', max_running => 1)")
        claimed = queue.supervisor().claim(want=6)
        assert sorted(str(job.user_id) for job in claimed) == ["b", "big", "c"]


def test_a_limit_of_none_at_all(database: str) -> None:
    """A tenant with no places waits until it has some, and is in nobody's way."""
    with Queue(database) as queue:
        queue.client.execute("select set_render_limit(user_id => 'banned', max_running => 0)")
        banned, other = queue.enqueue(user_id="banned", priority=5), queue.enqueue(user_id="other")
        a = queue.supervisor()
        answer = a.exchange(want=2)
        assert (answer.claimed, answer.blocked, answer.busy) == ([], 5, False)
        below = queue.run(a.store.exchange([], {}, ["noop"], 2, Question(below=5)))
        assert [job.id for job in below.claimed] == [other]
        queue.client.execute("select set_render_limit(user_id => 'banned', max_running => null)")
        assert a.claim_one().id == banned


def test_who_finds_another_one_counting_is_told_to_ask_again(database: str) -> None:
    """`busy`, while the count of a kind's or a tenant's places is in another transaction's hands; then all is as usual."""
    with Queue(database) as queue, queue.connect(autocommit=False) as other:
        queue.enqueue(user_id="u")
        a = queue.supervisor()
        for scope, name in (("kind", "noop"), ("user_id", "u")):
            queue.client.execute(f"select set_render_limit({scope} => '{name}', max_running => 1)".encode())
            other.execute("select jobsupervisor.places(%s, %s, 1)", [scope.removesuffix("_id"), name])
            answer = a.exchange(want=1)
            assert (answer.claimed, answer.busy, answer.blocked) == ([], True, None)
            other.rollback()
        assert not a.exchange(want=1).busy
        assert queue.value("select count(*) from jobsupervisor.job where state = 'processing'") == 1


def test_a_full_limit_is_nothing_to_ask_again_for(database: str) -> None:
    """All places taken: neither `busy` nor `more`; the place that becomes free is told."""
    with Queue(database) as queue:
        for _ in range(2):
            queue.enqueue(user_id="u")
        a = queue.supervisor()
        queue.client.execute("select set_render_limit(kind => 'noop', max_running => 1)")
        a.claim_one()
        answer = a.exchange(want=1)
        assert (answer.claimed, answer.busy, answer.more, answer.blocked) == ([], False, False, None)


def test_what_another_holds_is_more(database: str) -> None:
    """A job that a client holds locked cannot be claimed, and is left to be asked for; so is one just become due."""
    with Queue(database) as queue, queue.connect(autocommit=False) as client:
        a = queue.supervisor()
        job_id = queue.enqueue()
        client.execute("select cancel_render(%s)", [job_id])
        answer = a.exchange(want=1)
        assert (answer.claimed, answer.more) == ([], True)
        client.rollback()
        assert a.claim_one().id == job_id
        queue.client.execute("select enqueue_render('noop', '{}', run_at => clock_timestamp() + interval '1 ms')")
        queue.value("select pg_sleep(0.002)")
        answer = a.exchange(want=1)
        assert (answer.claimed, answer.more) == ([], True)
        assert len(a.exchange(want=1).claimed) == 1


def test_a_limit_is_met_by_who_did_not_know_of_it(database: str) -> None:
    """Set between two claims, it holds for the next; it costs one statement more, once; lifted, it costs none."""
    with Queue(database) as queue:
        a = queue.supervisor("a")
        queue.client.execute("select enqueue_render('noop', '{}') from generate_series(1, 40)")
        first = a.claim(5)
        assert len(first) == 5
        queue.client.execute("select set_render_limit(kind => 'noop', max_running => 6)")
        before = sent["exchange"]
        answer = a.exchange(*(ack_of(job) for job in first[:3]), want=10)
        assert [verdict.verdict for verdict in answer.verdicts] == ["completed"] * 3
        # Counted when the acks were done: two of the first, and as many more as there are places.
        assert len(answer.claimed) == 4
        assert sent["exchange"] == before + 2
        assert (a.exchange(want=10).claimed, sent["exchange"]) == ([], before + 3)
        queue.client.execute("select set_render_limit(kind => 'noop')")
        assert len(a.exchange(want=10).claimed) == 10
        assert len(a.exchange(want=10).claimed) == 10
        assert sent["exchange"] == before + 5


def test_a_limit_of_tenants_is_met_likewise(database: str) -> None:
    """By a claim, and by an ack: who has places to give says so to the others."""
    with Queue(database) as queue, listening(queue, "jobsupervisor_wake") as others:
        a = queue.supervisor("a")
        queue.client.execute("select enqueue_render('noop', '{}', user_id => 'u') from generate_series(1, 5)")
        one = a.claim_one()
        queue.client.execute("select set_render_limit(user_id => '*', max_running => 2)")
        heard(queue, others)
        a.exchange(ack_of(one))
        assert heard(queue, others) == [("jobsupervisor_wake", "")]
        assert len(a.exchange(want=5).claimed) == 2
        assert a.exchange(want=5).claimed == []


def test_one_job_that_is_asked_for_is_claimed_past_limits(database: str) -> None:
    """As `render` does, also where it did not know of them."""
    with Queue(database) as queue:
        queue.enqueue()
        queue.client.execute("select set_render_limit(kind => 'noop', max_running => 1)")
        queue.enqueue()
        queue.supervisor("a").claim_one()

        async def claimed() -> list[str]:
            store = QueueStore(settings_for(database, "b"), "b", only=str(other))
            try:
                await store.connect()
                await store.register(KINDS)
                return [job.id for job in (await store.exchange([], {}, list(KINDS), 1)).claimed]
            finally:
                await store.close()

        other = next(str(row[0]) for row in queue.client.execute("select id from render_jobs where status = 'queued'"))
        assert queue.run(claimed()) == [other]
