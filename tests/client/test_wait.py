"""RenderQueue.wait: told by LISTEN, nothing polled, nothing lost; many threads, broken connections, a real supervisor."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import psycopg
import pytest

from supervisor import DatabaseUnreachable, RenderCancelled, RenderFailed, RenderQueue, RenderTimeout, UnknownJob
from supervisor.embedded import EmbeddedServer
from supervisor.errors import ConfigurationError
from supervisor.store.own_connection import EVENTS, WORK
from tests.client.support import PATIENCE, InThread, Sessions, until_waiting
from tests.queue.support import Queue
from tests.service.support import Service


def test_with_a_real_supervisor(database: str, tmp_path: Path) -> None:
    """A job that completes is returned with its artifact, one that fails is an error with its cause."""
    with Service(database, tmp_path, RENDER_MAX_ATTEMPTS=1) as service, RenderQueue(database) as client:
        service.ready()
        done = client.result(client.enqueue("write", {"text": "hello"}), PATIENCE)
        assert done.output_url is not None
        assert Path(unquote(urlsplit(done.output_url).path)).read_bytes() == b"hello"
        with pytest.raises(RenderFailed, match="svg") as raised:
            client.result(client.enqueue("svg", {"no": "svg"}), PATIENCE)
        assert (raised.value.failure, raised.value.attempts) == ("invalid", 1)
        assert service.stop() == 0


def test_nothing_is_polled(database: str) -> None:
    """While it waits it sends no statement: not when time passes, and not when other jobs end."""
    with RenderQueue(database) as client, Queue(database) as queue:
        job_id, other = client.enqueue("noop", {}), client.enqueue("noop", {})
        waiter = InThread(lambda: client.wait(job_id, timeout=3.0))
        until_waiting(waiter)
        before = Sessions(database).idle(WORK)
        assert len(before) == 1
        assert queue.value("select cancel_render(%s)", other) is True
        with pytest.raises(RenderTimeout, match=str(job_id)):
            waiter.result()
        assert Sessions(database).idle(WORK) == before


def test_a_timeout_is_a_timeout_error(database: str) -> None:
    """An application that knows TimeoutError only catches it; the job is still there."""
    with RenderQueue(database) as client:
        job_id = client.enqueue("noop", {})
        with pytest.raises(TimeoutError):
            client.wait(job_id, timeout=0)
        assert client.cancel(job_id) is True
        assert client.wait(job_id, timeout=0).status == "cancelled"
        with pytest.raises(RenderCancelled):
            client.result(job_id)


def test_a_job_that_nobody_knows(database: str) -> None:
    """It is an error at once, also for a job whose transaction is still open, where a wait would be for ever."""
    with psycopg.connect(database) as connection:
        client = RenderQueue(connection, listen_url=database)
        with client:
            for job_id in (uuid4(), client.enqueue("noop", {})):
                with pytest.raises(UnknownJob, match="not committed yet"):
                    client.wait(job_id)


def test_a_queue_on_a_connection_needs_a_url(database: str) -> None:
    """Without one the error says what to pass; with one the caller's transaction is not used for looking."""
    with psycopg.connect(database) as connection, Queue(database) as queue:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        job_id = RenderQueue(connection).enqueue("noop", {})
        with pytest.raises(ConfigurationError, match=r"must have a URL, .*; pass listen_url="):
            RenderQueue(connection).wait(job_id)
        connection.commit()
        with RenderQueue(connection, listen_url=database) as client:
            assert client.status(job_id) is not None  # the snapshot is taken here
            queue.value("select cancel_render(%s)", job_id)
            assert client.wait(job_id).status == "cancelled"


def test_many_threads_share_one_connection(database: str) -> None:
    """Each gets its own job's end, in whatever order they end, and the one that reads hands over when it leaves."""
    with RenderQueue(database) as client, Queue(database) as queue:
        ids = [client.enqueue("noop", {}) for _ in range(10)]
        waiters = [InThread(lambda job_id=job_id: client.wait(job_id, PATIENCE)) for job_id in ids]  # type: ignore[misc]
        until_waiting(*waiters)
        assert len(Sessions(database).idle(EVENTS)) == 1
        for job_id, waiter in zip(ids, waiters, strict=True):
            assert queue.value("select cancel_render(%s)", job_id) is True
            assert waiter.result().id == job_id
        assert len(Sessions(database).idle(EVENTS)) == 1


def test_nobody_listens_when_nobody_waits(database: str) -> None:
    """A session that listened and was not read would hold up the server's queue of notifications."""
    with RenderQueue(database) as client:
        job_id = client.enqueue("noop", {})
        for _ in range(2):
            with pytest.raises(RenderTimeout):
                client.wait(job_id, timeout=0)
            ((_, _, last),) = Sessions(database).idle(EVENTS)
            assert "unlisten render_events" in last


@pytest.mark.parametrize("threads", [1, 5])
def test_a_broken_listen_connection(database: str, threads: int) -> None:
    """It is opened again, and what ended while it was broken is seen: everybody looks again."""
    with RenderQueue(database) as client, Queue(database) as queue:
        ids = [client.enqueue("noop", {}) for _ in range(threads)]
        waiters = [InThread(lambda job_id=job_id: client.wait(job_id, PATIENCE)) for job_id in ids]  # type: ignore[misc]
        until_waiting(*waiters)
        with queue.client.transaction():
            queue.rows("select cancel_render(id) from render_jobs")
            assert Sessions(database).end(EVENTS) == 1
        assert {waiter.result().status for waiter in waiters} == {"cancelled"}


@pytest.mark.parametrize("threads", [1, 5])
def test_a_database_that_is_away(database: str, pg_server: EmbeddedServer, threads: int) -> None:
    """While nobody may connect it tries again; what ended meanwhile, with nobody listening, is found when it is back."""
    with RenderQueue(database) as client:
        ids = [client.enqueue("noop", {}) for _ in range(threads)]
        waiters = [InThread(lambda job_id=job_id: client.wait(job_id, PATIENCE)) for job_id in ids]  # type: ignore[misc]
        until_waiting(*waiters)
        with Sessions(database).away(pg_server) as there:
            there.execute("select cancel_render(id) from render_jobs")
            with pytest.raises(DatabaseUnreachable), RenderQueue(database) as another:
                another.wait(ids[0])
        assert {waiter.result().status for waiter in waiters} == {"cancelled"}


def test_a_timeout_while_the_database_is_away(database: str, pg_server: EmbeddedServer) -> None:
    """It ends a wait then too."""
    with RenderQueue(database) as client:
        job_id = client.enqueue("noop", {})
        waiter = InThread(lambda: client.wait(job_id, timeout=3.0))
        until_waiting(waiter)
        with Sessions(database).away(pg_server), pytest.raises(RenderTimeout):
            waiter.result()


def test_the_one_that_reads_gives_up(database: str) -> None:
    """When its time is over another one reads, and is told."""
    with RenderQueue(database) as client, Queue(database) as queue:
        job_id = client.enqueue("noop", {})
        first = InThread(lambda: client.wait(job_id, timeout=3.0))
        until_waiting(first)
        others = [InThread(lambda: client.wait(job_id, PATIENCE)) for _ in range(3)]
        until_waiting(*others)
        with pytest.raises(RenderTimeout):
            first.result()
        assert queue.value("select cancel_render(%s)", job_id) is True
        assert {waiter.result().status for waiter in others} == {"cancelled"}


def test_notifications_of_strangers(database: str) -> None:
    """Anybody may notify on the channel: what is no event is ignored, and a false one makes it look, nothing else."""
    with RenderQueue(database) as client, Queue(database) as queue:
        job_id = client.enqueue("noop", {})
        waiter = InThread(lambda: client.wait(job_id, PATIENCE))
        until_waiting(waiter)
        for payload in ("", "[]", "{}", '"x"', '{"id": 7}', '{"id": "x"}', f'{{"id": "{job_id}", "status": "failed"}}'):
            queue.value("select pg_notify('render_events', %s)", payload)
        assert queue.value("select cancel_render(%s)", job_id) is True
        assert waiter.result().status == "cancelled"


def test_a_redriven_job_is_waited_for(database: str) -> None:
    """Its second end is what is returned."""
    with RenderQueue(database) as client, Queue(database) as queue:
        job_id = client.enqueue("noop", {})
        supervisor = queue.supervisor()
        supervisor.ack(supervisor.claim_one(), "invalid")
        assert client.wait(job_id).status == "failed"
        client.redrive(job_id)
        waiter = InThread(lambda: client.result(job_id, PATIENCE))
        until_waiting(waiter)
        supervisor.ack(supervisor.claim_one())
        assert waiter.result().status == "completed"
