"""AsyncRenderQueue: the same calls for asyncio, and many waiters on one LISTEN connection."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from supervisor import (
    AsyncRenderQueue,
    DatabaseUnreachable,
    ExpectedError,
    Refused,
    RenderCancelled,
    RenderFailed,
    RenderTimeout,
    UnknownJob,
)
from supervisor.embedded import EmbeddedServer
from supervisor.errors import ConfigurationError
from supervisor.store.own_connection import EVENTS, WORK
from tests.client.support import PATIENCE, Sessions, database_with_schema
from tests.queue.support import Queue

MANY = 50


async def until_waiting(client: AsyncRenderQueue, job_id: UUID) -> None:
    """Return once all tasks that were made before have looked: who waits stands in line, and this one behind them."""
    await asyncio.sleep(0)  # each has begun
    with pytest.raises(RenderTimeout):
        await client.wait(job_id, timeout=0)


def test_calls(database: str) -> None:
    """Enqueue, look, cancel, and what is refused."""

    async def main() -> None:
        async with AsyncRenderQueue(database) as client:
            job_id = await client.enqueue("svg", {"a": 1}, {"width": 7}, timeout=timedelta(seconds=5), user_id="u1")
            status = await client.status(job_id)
            assert status is not None
            assert (status.id, status.kind, status.status, status.user_id) == (job_id, "svg", "queued", "u1")
            assert await client.cancel(job_id) is True
            assert await client.cancel(str(job_id)) is False
            assert await client.status(uuid4()) is None
            for kind, said in (("nope", "registered kind"), ("no\0", "NUL"), ("\udc80", "valid Unicode")):
                with pytest.raises(Refused, match=said):
                    await client.enqueue(kind, {})
            with pytest.raises(Refused, match="must be that of a dead letter"):
                await client.redrive(job_id)

    asyncio.run(main())


def test_the_transaction_of_the_caller(database: str) -> None:
    """The job is there when the caller commits; a refusal leaves the transaction failed, a savepoint saves it."""

    async def main() -> None:
        async with await psycopg.AsyncConnection.connect(database) as connection:
            bound = AsyncRenderQueue(connection)
            async with AsyncRenderQueue(database) as client, bound:
                job_id = await bound.enqueue("noop", {})
                with pytest.raises(Refused):
                    async with connection.transaction():
                        await client.enqueue("nope", {}, connection=connection)
                assert await client.status(job_id) is None
                await connection.commit()
                assert await client.status(job_id) is not None
                with pytest.raises(Refused):
                    await bound.enqueue("nope", {})
                assert connection.info.transaction_status is TransactionStatus.INERROR
                with pytest.raises(ConfigurationError, match="to wait, a queue must have a URL"):
                    await bound.wait(job_id)

    asyncio.run(main())


def test_another_public_schema(pg_server: EmbeddedServer) -> None:
    """The functions are found wherever they are."""

    async def main(url: str) -> None:
        async with AsyncRenderQueue(url) as client:
            job_id = await client.enqueue("noop", {})
            assert await client.cancel(job_id)
            assert (await client.wait(job_id)).status == "cancelled"

    with database_with_schema(pg_server, "render") as url:
        asyncio.run(main(url))


def test_a_key_answers_one_job(database: str) -> None:
    """Of many clients that enqueue under one key at once, each gets the same id."""

    async def enqueue(_: int) -> UUID:
        async with AsyncRenderQueue(database) as client:
            return await client.enqueue("noop", {}, idempotency_key="k")

    async def main() -> None:
        assert len(set(await asyncio.gather(*map(enqueue, range(10))))) == 1

    asyncio.run(main())


def test_many_waiters_share_one_connection(database: str) -> None:
    """Each of many gets its own job's end, over two connections of the queue in all."""

    async def main(queue: Queue) -> None:
        async with AsyncRenderQueue(database) as client:
            ids = [await client.enqueue("noop", {}) for _ in range(MANY)]
            waits = [asyncio.create_task(client.wait(job_id, PATIENCE)) for job_id in ids]
            await until_waiting(client, ids[0])
            assert len(Sessions(database).idle(EVENTS)) == len(Sessions(database).idle(WORK)) == 1
            queue.rows("select cancel_render(id) from render_jobs")
            assert [status.id for status in await asyncio.gather(*waits)] == ids

    with Queue(database) as queue:
        asyncio.run(main(queue))


def test_many_waiters_survive_a_broken_connection(database: str) -> None:
    """All of them listen again and look again, whatever ended in between; one LISTEN connection is left."""

    async def main(queue: Queue) -> None:
        async with AsyncRenderQueue(database) as client:
            ids = [await client.enqueue("noop", {}) for _ in range(MANY)]
            waits = [asyncio.create_task(client.wait(job_id, PATIENCE)) for job_id in ids]
            await until_waiting(client, ids[0])
            with queue.client.transaction():
                queue.rows("select cancel_render(id) from render_jobs")
                assert await asyncio.to_thread(Sessions(database).end, EVENTS) == 1
            assert {status.status for status in await asyncio.gather(*waits)} == {"cancelled"}
            await client.wait(ids[0])
            assert len(Sessions(database).idle(EVENTS)) == 1

    with Queue(database) as queue:
        asyncio.run(main(queue))


def test_a_database_that_is_away(database: str, pg_server: EmbeddedServer) -> None:
    """While nobody may connect it tries again; what ended meanwhile, with nobody listening, is found when it is back."""

    async def main() -> None:
        async with AsyncRenderQueue(database) as client:
            ids = [await client.enqueue("noop", {}) for _ in range(MANY)]
            waits = [asyncio.create_task(client.wait(job_id, PATIENCE)) for job_id in ids]
            await until_waiting(client, ids[0])
            with Sessions(database).away(pg_server) as there:
                there.execute("select cancel_render(id) from render_jobs")
                with pytest.raises(DatabaseUnreachable):
                    await client.status(ids[0])
            assert {status.status for status in await asyncio.gather(*waits)} == {"cancelled"}

    asyncio.run(main())


def test_result(database: str) -> None:
    """A completed job is returned; one that failed, was cancelled, takes too long or is unknown is an error of its own."""

    async def main(queue: Queue) -> None:
        async with AsyncRenderQueue(database) as client:
            done, dead, gone = [str(await client.enqueue("noop", {})) for _ in range(3)]
            later = await client.enqueue("noop", {}, priority=-1)
            endings: dict[str, Any] = {done: "ok", dead: "invalid"}
            supervisor = await asyncio.to_thread(queue.supervisor)
            for job in await asyncio.to_thread(supervisor.claim, 3):
                if job.id in endings:
                    await asyncio.to_thread(supervisor.ack, job, endings[job.id], error="why")
                else:
                    await asyncio.to_thread(supervisor.ack, job, None)
            await client.cancel(gone)
            assert (await client.result(done)).status == "completed"
            with pytest.raises(RenderFailed, match="failed after 1 of 5 attempts: invalid: why") as raised:
                await client.result(dead)
            assert (raised.value.failure, raised.value.error, raised.value.attempts) == ("invalid", "why", 1)
            with pytest.raises(RenderCancelled, match="it was cancelled"):
                await client.result(gone)
            with pytest.raises(RenderTimeout, match="it goes on"):
                await client.result(later, timeout=0.05)
            with pytest.raises(UnknownJob, match="is not committed yet"):
                await client.result(uuid4())

    with Queue(database) as queue:
        asyncio.run(main(queue))


def test_a_wait_that_is_cancelled(database: str) -> None:
    """The task ends, the others go on, and the connection is still good."""

    async def main() -> None:
        async with AsyncRenderQueue(database) as client:
            ids = [await client.enqueue("noop", {}) for _ in range(2)]
            first, second = [asyncio.create_task(client.wait(job_id, PATIENCE)) for job_id in ids]
            await until_waiting(client, ids[0])
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            await client.cancel(ids[1])
            assert (await second).status == "cancelled"

    asyncio.run(main())


def test_closing_a_queue_ends_its_waits(database: str) -> None:
    """Who still waits is told, and does not wait for ever."""

    async def main() -> None:
        client = AsyncRenderQueue(database)
        job_id = await client.enqueue("noop", {})
        wait = asyncio.create_task(client.wait(job_id))
        await until_waiting(client, job_id)
        await client.close()
        with pytest.raises(ExpectedError, match="must be open, it was closed"):
            await wait

    asyncio.run(main())


def test_a_connection_that_the_server_closed(database: str) -> None:
    """What broke while idle is noticed before the next statement."""

    async def main() -> None:
        async with AsyncRenderQueue(database) as client:
            await client.enqueue("noop", {})
            assert await asyncio.to_thread(Sessions(database).end, WORK) == 1
            await client.enqueue("noop", {})

    asyncio.run(main())


def test_what_a_queue_is_made_of(database: str) -> None:
    """A connection of the other kind is refused at once."""
    with (
        psycopg.connect(database) as connection,
        pytest.raises(TypeError, match="AsyncConnection, got Connection; RenderQueue takes a Connection"),
    ):
        AsyncRenderQueue(connection)  # type: ignore[arg-type]
