"""No wake-up is lost: supervisors that never poll, and clients whose transactions take every shape.

A wake-up that is lost is hidden by the next one. So the clients work in rounds, and each round is waited for while nobody
enqueues: what was enqueued must end with nothing but its own wake-ups. A round has few shapes of transaction, since one that
notifies always would hide another's fault; and before it there is a pause of any length, so that it meets supervisors that
are saturated, about to go idle, wary, and asleep.

By hand: WAKEUP_JOBS=100000 pytest -s tests/service/test_wakeups.py
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection, IsolationLevel

from tests.service.support import PATIENCE, Service

JOBS = int(os.environ.get("WAKEUP_JOBS", "800"))
CLIENTS = 16
CHILDREN = (1, 1, 2)
"""Of each supervisor. Few, so that they are saturated soon, and disarm."""
STORMY = 0.3
"""Share of the rounds that are storms."""
OLD = 0.3
"""Share of those who enqueue behind a storm by a snapshot from before its end."""
LONGEST = 0.3
"""Seconds that a transaction stays open, or a job is delayed, at most."""

ENQUEUE = "select enqueue_render('noop', '{}')"
LATER = "select enqueue_render('noop', '{}', run_at => clock_timestamp() + %s * interval '1 second')"
MANY = "select enqueue_render('noop', '{}') from generate_series(1, %s)"
CANCEL = "select cancel_render(%s)"
LIMIT = "select set_render_limit(kind => 'noop', max_running => %s)"
LEFT = "select state, count(*), min(run_at) - now() from jobsupervisor.job group by 1"
COMMITTED = "select pg_stat_clear_snapshot(), xact_commit from pg_stat_database where datname = current_database()"


class Client:
    """One connection that enqueues. `ids` are the jobs that it committed, `longest` is how long it pauses at most."""

    def __init__(self, connection: AsyncConnection[Any], draw: random.Random) -> None:
        self.connection = connection
        self.draw = draw
        self.longest = 0.0
        self.ids: list[str] = []
        self.transactions = 0

    async def run(self, statement: str, *parameters: object) -> list[str]:
        """Run a statement; return the first column."""
        cursor = await self.connection.execute(statement.encode(), parameters or None)
        return [str(row[0]) for row in await cursor.fetchall()]

    async def pause(self) -> None:
        """Do nothing for a while, as a rule a short one."""
        await asyncio.sleep(self.longest * self.draw.random() ** 2)

    # The shapes. Each commits some jobs, one of them as a rule.

    async def single(self) -> None:
        """Enqueue in a statement of its own."""
        self.ids += await self.run(ENQUEUE)

    async def long(self) -> None:
        """Enqueue, and commit later."""
        async with self.connection.transaction():
            ids = await self.run(ENQUEUE)
            await self.pause()
        self.ids += ids

    async def several(self) -> None:
        """Enqueue several times with pauses, and commit later."""
        ids: list[str] = []
        async with self.connection.transaction():
            for _ in range(self.draw.randint(2, 6)):
                ids += await self.run(ENQUEUE)
                await self.pause()
        self.ids += ids

    async def _isolated(self, level: IsolationLevel) -> None:
        await self.connection.set_isolation_level(level)
        try:
            async with self.connection.transaction():
                await self.run("select 1 from jobsupervisor.supervisor")
                await self.pause()
                ids = await self.run(ENQUEUE)
                await self.pause()
            self.ids += ids
        except psycopg.errors.SerializationFailure:
            pass  # nothing of it was done
        finally:
            await self.connection.set_isolation_level(None)

    async def repeatable_read(self) -> None:
        """Enqueue under a snapshot that may be old."""
        await self._isolated(IsolationLevel.REPEATABLE_READ)

    async def serializable(self) -> None:
        """Enqueue under the strictest isolation."""
        await self._isolated(IsolationLevel.SERIALIZABLE)

    async def bulk(self) -> None:
        """Enqueue some in one statement."""
        self.ids += await self.run(MANY, self.draw.choice((2, 5, 10, 40)))

    async def delayed(self) -> None:
        """Enqueue a job that is to run in a moment."""
        self.ids += await self.run(LATER, LONGEST * self.draw.random())

    async def savepoints(self) -> None:
        """Enqueue in savepoints, of which some are rolled back, the last one too."""
        ids: list[str] = []
        await self.connection.execute("begin")
        for kept in (False, self.draw.random() < 0.5, True, False):
            await self.connection.execute("savepoint s")
            enqueued = await self.run(ENQUEUE)
            if kept:
                ids += enqueued
            else:
                await self.connection.execute("rollback to s")
            await self.pause()
        await self.connection.execute("commit")
        self.ids += ids

    async def cancelled(self) -> None:
        """Enqueue and cancel, in one transaction or while a child may have it."""
        if self.draw.random() < 0.5:
            ids = await self.run(ENQUEUE)
            self.ids += ids
            await self.run(CANCEL, *ids)
        else:
            async with self.connection.transaction():
                ids = await self.run(ENQUEUE) + await self.run(ENQUEUE)
                await self.run(CANCEL, ids[0])
                await self.pause()
            self.ids += ids

    async def behind(self, storm: asyncio.Event) -> None:
        """Ask while all are saturated, so that nobody is told, and commit after the storm; or ask then, by an old snapshot."""
        old = self.draw.random() < OLD
        await self.connection.set_isolation_level(IsolationLevel.REPEATABLE_READ if old else None)
        await asyncio.sleep(LONGEST * self.draw.random() ** 2)
        async with self.connection.transaction():
            ids = await self.run("select 1" if old else ENQUEUE)
            await storm.wait()
            await self.pause()
            if old:
                ids = await self.run(ENQUEUE)
        await self.connection.set_isolation_level(None)
        self.ids += ids
        self.transactions += 1

    async def work(self, jobs: int, shapes: Sequence[Callable[[Client], Awaitable[None]]], longest: float) -> None:
        """Enqueue so many jobs or some more, in these shapes, with pauses up to this one."""
        self.longest = longest
        before = len(self.ids)
        while len(self.ids) < before + jobs:
            await self.draw.choice(shapes)(self)
            self.transactions += 1
            if self.draw.random() < 0.2:
                await self.pause()


SHAPES = [
    Client.single,
    Client.long,
    Client.several,
    Client.bulk,
    Client.delayed,
    Client.savepoints,
    Client.cancelled,
    Client.repeatable_read,
    Client.serializable,
]


class Watch:
    """What is told: which jobs ended, and how many wake-ups were sent."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection
        self._changed = asyncio.Event()
        self.ended: set[str] = set()
        self.wakes = 0

    async def listen(self) -> None:
        """Subscribe."""
        await self._connection.execute("listen render_events")
        await self._connection.execute("listen jobsupervisor_wake")

    async def serve(self) -> None:
        """Take notifications for ever."""
        async for notice in self._connection.notifies():
            if notice.channel == "jobsupervisor_wake":
                self.wakes += 1
                continue
            job_id = json.loads(notice.payload)["id"]
            assert job_id not in self.ended, "an end must be told once"
            self.ended.add(job_id)
            self._changed.set()

    async def until(self, ids: set[str]) -> set[str]:
        """Wait for the end of jobs; return those that did not end, when for a long time none has."""
        while left := ids - self.ended:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), PATIENCE)
            except TimeoutError:
                return left
        return set()


async def storm(clients: list[Client], watch: Watch, draw: random.Random) -> None:
    """Have so much to do that all supervisors disarm, and then only what was enqueued meanwhile, untold."""
    passed = asyncio.Event()

    async def burst(client: Client) -> None:
        ids = await client.run(MANY, draw.choice((40, 40, max(40, JOBS // 300))))
        client.ids += ids
        client.transactions += 1
        await watch.until(set(ids))
        passed.set()

    first, *others = clients
    for client in others:
        client.longest = LONGEST
    await asyncio.gather(burst(first), *(client.behind(passed) for client in others))


async def rounds(clients: list[Client], watch: Watch, draw: random.Random) -> int:
    """Enqueue in rounds until there were enough jobs; return the number of rounds."""
    number = 0
    while sum(len(client.ids) for client in clients) < JOBS:
        number += 1
        # Below a limit most wait for others' ends, of which the ends tell.
        await clients[0].run(LIMIT, draw.choice((None, None, None, None, None, None, 1, 3)))
        shapes = draw.sample(SHAPES, draw.randint(1, 3))
        stormy = draw.random() < STORMY
        working = draw.sample(clients, draw.choice((2, 3) if stormy else (1, 2, 4, 8, CLIENTS)))
        before = [len(client.ids) for client in working]
        if stormy:
            await storm(working, watch, draw)
        else:
            jobs, longest = draw.choice((1, 1, 2, 5, 12, JOBS // 1000)), draw.choice((0.002, 0.02, 0.02, LONGEST))
            await asyncio.gather(*(client.work(jobs, shapes, longest) for client in working))
        ids = {job_id for client, first in zip(working, before, strict=True) for job_id in client.ids[first:]}
        left = await watch.until(ids)
        if left:
            told = await clients[0].connection.execute(LEFT)
            names = "a storm" if stormy else [shape.__name__ for shape in shapes]
            pytest.fail(f"round {number}, {names}: {len(left)} of {len(ids)} did not end; {await told.fetchall()}")
        await asyncio.sleep(LONGEST * draw.random() ** 4)
    return number


async def ended(task: asyncio.Task[None]) -> None:
    """End a task."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def stress(url: str) -> str:
    """Enqueue from all clients; return the figures."""
    draw = random.Random(random.random())  # noqa: S311 - what pytest-randomly seeds
    async with AsyncExitStack() as opened:

        async def connect() -> AsyncConnection[Any]:
            return await opened.enter_async_context(await AsyncConnection.connect(url, autocommit=True))

        watch = Watch(await connect())
        await watch.listen()
        watching = asyncio.create_task(watch.serve())
        opened.push_async_callback(ended, watching)  # or the connection could not be closed
        clients = [Client(await connect(), random.Random(draw.random())) for _ in range(CLIENTS)]  # noqa: S311 - as above
        statements = await clients[0].connection.execute(COMMITTED)
        before = (await statements.fetchall())[0][1]
        started = time.monotonic()
        number = await rounds(clients, watch, draw)
        seconds = time.monotonic() - started
        statements = await clients[0].connection.execute(COMMITTED)
        committed = (await statements.fetchall())[0][1] - before
    jobs = sum(len(client.ids) for client in clients)
    transactions = number + sum(client.transactions for client in clients)
    return (
        f"{jobs} jobs in {number} rounds, {seconds:.0f} s: {transactions} transactions of clients, "
        f"about {committed - transactions} statements of supervisors, {watch.wakes} wake-ups"
    )


@pytest.mark.timeout(max(120, JOBS // 20))
def test_every_job_ends_though_nobody_polls(database: str, tmp_path: Path) -> None:
    """Whatever its transaction looked like and whatever the supervisors were about to do: none waits for a poll."""
    with ExitStack() as opened:
        services = []
        for number, children in enumerate(CHILDREN):
            names = {"RENDER_SUPERVISOR_NAME": f"s{number}", "RENDER_LOG_LEVEL": "warning"}
            service = Service(database, tmp_path, RENDER_CONCURRENCY=children, RENDER_SANDBOX="off", **names)
            services.append(opened.enter_context(service))
        for service in services:
            service.ready()
        print(asyncio.run(stress(database)))  # noqa: T201 - the figures, with -s
        for service in services:
            assert service.stop() == 0
            assert not service.events("job.lease_lost")
