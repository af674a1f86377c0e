"""enqueue_many: one statement, all or none, ids in the order of the requests."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from supervisor import AsyncRenderQueue, Refused, RenderQueue, RenderRequest
from tests.client.support import InThread
from tests.queue.support import Queue

SOON = datetime.now(UTC) + timedelta(days=1)


def test_in_order(database: str) -> None:
    """Thousands of jobs at once: each id is that of its request, whatever keys they have."""
    requests = [
        RenderRequest("noop", {"n": n}, user_id=f"u{n}", idempotency_key=f"key {n * 7919 % 3000}" if n % 3 else None)
        for n in range(3000)
    ]
    with RenderQueue(database) as client, Queue(database) as queue:
        ids = client.enqueue_many(requests)
        assert len(set(ids)) == len(requests)
        stored = {row["id"]: row for row in queue.rows("select id, spec, user_id from jobsupervisor.job")}
        assert [stored[job_id]["spec"]["n"] for job_id in ids] == list(range(3000))
        assert [stored[job_id]["user_id"] for job_id in ids] == [request.user_id for request in requests]
        assert client.enqueue_many([]) == []


def test_every_parameter_arrives(database: str) -> None:
    """All that one request may have, beside one that has nothing."""
    full = RenderRequest(
        "svg",
        {"a": 1},
        {"width": 7},
        idempotency_key="k",
        priority=3,
        run_at=SOON,
        max_attempts=9,
        timeout=timedelta(seconds=61.5),
        memory_mb=99,
        user_id="u1",
        correlation_id="r1",
    )
    with RenderQueue(database) as client, Queue(database) as queue:
        ids = client.enqueue_many([full, RenderRequest("noop", {}), RenderRequest("noop", {}, timeout=5)])
        first, second, third = (queue.stored(str(job_id)) for job_id in ids)
    assert (first["kind"], first["spec"], first["config"], first["priority"]) == ("svg", {"a": 1}, {"width": 7}, 3)
    assert (first["run_at"], first["max_attempts"], first["timeout"]) == (SOON, 9, timedelta(seconds=61.5))
    assert (first["memory_mb"], first["user_id"], first["correlation_id"]) == (99, "u1", "r1")
    assert first["idempotency_key"] == "k"
    assert (second["max_attempts"], second["timeout"], second["user_id"], second["priority"]) == (None, None, None, 0)
    assert third["timeout"] == timedelta(seconds=5)


def test_an_error_in_one_leaves_nothing(database: str) -> None:
    """Neither the jobs before it nor those after it are there; what is wrong with one before it is sent, says which."""
    good = RenderRequest("noop", {}, idempotency_key="k")
    with RenderQueue(database) as client, Queue(database) as queue:
        with pytest.raises(Refused, match="registered kind, got 'nope'"):
            client.enqueue_many([good, RenderRequest("nope", {}), good])
        with pytest.raises(Refused, match=r"requests\[1\]\.spec must be what JSON can hold"):
            client.enqueue_many([good, RenderRequest("noop", {"a": object()})])
        assert queue.value("select count(*) from render_jobs") == 0
        assert queue.value("select count(*) from jobsupervisor.idempotency") == 0


@pytest.mark.each_server
@pytest.mark.parametrize("level", [psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ])
def test_a_key_twice_in_one_call(database: str, level: psycopg.IsolationLevel) -> None:
    """The same key answers the same job, within the call and from an earlier one; for another spec it is refused."""
    with psycopg.connect(database) as connection, Queue(database) as queue:
        connection.isolation_level = level
        client = RenderQueue(connection)
        earlier = client.enqueue("noop", {}, idempotency_key="a")
        requests = [RenderRequest("noop", {}, idempotency_key=key) for key in ("b", "a", "b", "c")]
        ids = client.enqueue_many(requests)
        connection.commit()
        assert ids[0] == ids[2]
        assert ids[1] == earlier
        assert len(set(ids)) == queue.value("select count(*) from render_jobs") == 3
        with pytest.raises(Refused, match="idempotency_key 'd' was used for another request"):
            client.enqueue_many([RenderRequest("noop", {"n": n}, idempotency_key="d") for n in range(2)])


def test_the_transaction_of_the_caller(database: str) -> None:
    """They are there when the caller commits."""
    with psycopg.connect(database) as connection, RenderQueue(database) as client:
        ids = client.enqueue_many([RenderRequest("noop", {})] * 3, connection=connection)
        assert [client.status(job_id) for job_id in ids] == [None] * 3
        connection.commit()
        assert all(client.status(job_id) for job_id in ids)


def test_calls_with_the_same_keys_at_once(database: str) -> None:
    """Opposite orders of the same keys never wait for each other in a circle, and all answer the same jobs."""
    together = threading.Barrier(4)
    keys = [f"key {n}" for n in range(500)]

    def enqueue(order: int) -> dict[str, UUID]:
        chosen = keys[::order]
        with RenderQueue(database) as client:
            client.status(uuid4())  # connected before the start
            together.wait()
            ids = client.enqueue_many([RenderRequest("noop", {}, idempotency_key=key) for key in chosen])
            return dict(zip(chosen, ids, strict=True))

    first, *others = [thread.result() for thread in [InThread(lambda n=n: enqueue(n)) for n in (1, -1, 1, -1)]]  # type: ignore[misc]
    assert all(other == first for other in others)
    with Queue(database) as queue:
        assert queue.value("select count(*) from render_jobs") == len(keys)


def test_one_statement(database: str) -> None:
    """However many they are: in autocommit a statement is a transaction, and all are of one."""
    with RenderQueue(database) as client, Queue(database) as queue:
        client.enqueue_many([RenderRequest("noop", {})] * 1000)
        assert queue.value("select count(distinct xmin::text) from jobsupervisor.job") == 1
        assert queue.value("select count(distinct created_at) from jobsupervisor.job") == 1


def test_async(database: str) -> None:
    """The same in asyncio, with a connection of the caller's and without."""

    async def main() -> None:
        requests = [RenderRequest("noop", {"n": n}) for n in range(100)]
        async with AsyncRenderQueue(database) as client:
            assert len(set(await client.enqueue_many(requests))) == 100
            async with await psycopg.AsyncConnection.connect(database) as connection:
                ids = await client.enqueue_many(requests, connection=connection)
                await connection.rollback()
            assert [await client.status(job_id) for job_id in ids[:3]] == [None] * 3
            assert await client.enqueue_many([]) == []

    asyncio.run(main())
