"""Which jobs a child may have after its first: whatever took it over must not meet another tenant's."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from supervisor.artifacts import ArtifactDirectory
from supervisor.model import Job, Token
from supervisor.runner import Runner
from supervisor.settings import load
from tests.pools import OneChild


def with_reuse(reuse: str, work: Callable[[OneChild], Awaitable[None]]) -> None:
    """Run `await work(pool)` with a pool of one child."""

    async def run() -> None:
        pool = OneChild(SandboxMode.BEST_EFFORT, RENDER_REUSE_CHILDREN=reuse)
        try:
            await pool.start()
            await work(pool)
        finally:
            await pool.close()

    asyncio.run(run())


async def one_job(pool: OneChild, tenant: str | None) -> int:
    """Have a child take a tenant's job and come back well; return the process that it is."""
    child = await pool.taken("noop", tenant)
    child.jobs_done += 1
    pool.give_back(child, "noop", Outcome.OK)
    return child.process.pid


def test_a_tenants_jobs_share_a_child_and_no_other_meets_it() -> None:
    """Three tenants, one child at a time: each has one of its own, and those without a name are one tenant."""

    async def work(pool: OneChild) -> None:
        first = await one_job(pool, "a")
        assert await one_job(pool, "a") == first
        second = await one_job(pool, "b")
        third = await one_job(pool, None)
        assert len({first, second, third}) == 3
        assert await one_job(pool, None) == third

    with_reuse("tenant", work)


def test_all_share_where_the_operator_says_so() -> None:
    """One child for everybody."""

    async def work(pool: OneChild) -> None:
        assert len({await one_job(pool, tenant) for tenant in ("a", "b", None, "a")}) == 1

    with_reuse("any", work)


def test_a_child_for_each_job() -> None:
    """Nobody shares."""

    async def work(pool: OneChild) -> None:
        assert len({await one_job(pool, "a") for _ in range(4)}) == 4

    with_reuse("never", work)


def test_a_child_writes_to_one_file_after_the_other(tmp_path: Path) -> None:
    """Its next artifact is whole and nothing more, whatever was in the file before, and the file is closed with the child."""
    store = ArtifactDirectory(tmp_path)
    store.prepare()

    async def work(pool: OneChild) -> None:
        runner = Runner(load({}), pool, store)
        files = set()
        for number, size in enumerate((900, 10, 300)):
            child = await pool.taken("svg", "a")
            ending = await runner.attempt(svg(number, size), child)
            assert ending is not None
            assert ending.artifact is not None, ending.error
            content = store.file(ending.artifact.url)
            assert content is not None
            assert hashlib.sha256(content.read_bytes()).hexdigest() == ending.artifact.sha256
            assert content.read_bytes().endswith(b"IEND\xaeB`\x82")
            (output,) = child.outputs
            assert os.fstat(output.own).st_size == 0
            files.add((child.number, os.fstat(output.own).st_ino))
        assert len(files) == 1
        await pool.close()
        assert not child.outputs

    with_reuse("tenant", work)


def test_a_child_holds_jobs_for_as_long_as_it_goes_on() -> None:
    """Up to the share of jobs after which it is replaced, which is not the same for every child."""

    async def work(pool: OneChild) -> None:
        child = await pool.taken("noop", "a")
        while child.number % 4 != 3:
            child.kill(Outcome.INTERNAL, "another number is wanted")
            pool.give_back(child, "noop", Outcome.INTERNAL)
            child = await pool.taken("noop", "a")
        runner = Runner(load({}), pool, ArtifactDirectory(Path("unused")))
        done = asyncio.Event()
        runner.start(noop(), child, lambda *_: done.set())
        for jobs_done, holds_more in ((0, True), (10_500, True), (13_748, True), (13_749, False)):
            child.jobs_done = jobs_done
            assert (pool.with_room("noop", "a", 32, 60.0)[0] is child) is holds_more
        child.jobs_done = 0
        child.flush()
        await done.wait()

    with_reuse("tenant", work)


def test_an_old_child_is_replaced_after_whatever_job() -> None:
    """It is looked at each time that it has nothing more to do, however few jobs it had."""

    async def work(pool: OneChild) -> None:
        first = await one_job(pool, "a")
        assert await one_job(pool, "a") == first
        child = await pool.taken("noop", "a")
        child.born -= 6000
        child.jobs_done += 1
        pool.give_back(child, "noop", Outcome.OK)
        assert await one_job(pool, "a") != first

    with_reuse("tenant", work)


def test_a_child_that_holds_many_is_left_alone() -> None:
    """It gets more when half of them are done, as many as make a piece."""

    async def work(pool: OneChild) -> None:
        child = await pool.taken("noop", "a")
        runner = Runner(load({}), pool, ArtifactDirectory(Path("unused")))
        ended: list[object] = []
        all_done = asyncio.Event()

        def told(*_: object) -> None:
            ended.append(None)
            if len(ended) == 6:
                all_done.set()

        rooms = []
        for _ in range(6):
            runner.start(noop(), child, told)
            rooms.append(pool.with_room("noop", "a", 8, 60.0))
        assert rooms == [(child, 4), (child, 3), (child, 3), (child, 2), (child, 2), (None, 1)]
        child.flush()
        await all_done.wait()

    with_reuse("tenant", work)


def noop() -> Job:
    """Return a job that does nothing."""
    return Job("0190a1b2-0000-7000-8000-000000000001", Token(1, 1), "noop", "{}", "{}", None, None, "a", None)


def svg(number: int, size: int) -> Job:
    """Return a job that draws a square of so many pixels."""
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}"><rect width="9" height="9"/></svg>'
    return Job(
        id=f"0190a1b2-0000-7000-8000-00000000000{number}",
        token=Token(1, 1),
        kind="svg",
        spec=json.dumps({"svg": drawing}),
        config=json.dumps({"width": size}),
        timeout=None,
        memory_mb=None,
        user_id="a",
        correlation_id=None,
    )


def test_tenants_in_turn_all_get_their_child() -> None:
    """However they change, nobody waits for ever."""

    async def work(pool: OneChild) -> None:
        for tenant in "ababbaababba":
            await one_job(pool, tenant)

    with_reuse("tenant", work)
