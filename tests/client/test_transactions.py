"""The caller's transaction, and the idempotency key: what is committed with what, and what is one job to whom."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row

from supervisor import Refused, RenderQueue
from tests.client.support import InThread, count


def state(connection: psycopg.Connection[Any]) -> TransactionStatus:
    """Return the state of a connection's transaction."""
    return connection.info.transaction_status


@pytest.mark.parametrize("how", ["bound", "per call"])
def test_the_transaction_of_the_caller(database: str, how: str) -> None:
    """The job is there with the caller's own writes, or is not, and the connection stays the caller's."""
    with psycopg.connect(database, row_factory=namedtuple_row) as connection:
        connection.execute("create table invoice (id integer)")
        connection.commit()
        client = RenderQueue(connection) if how == "bound" else RenderQueue(database)
        given = {} if how == "bound" else {"connection": connection}
        with client:
            for end in (connection.rollback, connection.commit):
                connection.execute("insert into invoice values (1)")
                job_id = client.enqueue("noop", {}, **given)  # type: ignore[arg-type]
                assert client.status(job_id, **given) is not None
                assert count(database) == 0
                end()
        assert count(database) == 1
        assert connection.execute("select count(*) from invoice").fetchone() == (1,)
        assert connection.row_factory is namedtuple_row


def test_a_refusal_leaves_the_transaction_as_it_is(database: str) -> None:
    """The caller's transaction is failed, and says so; with a savepoint around the call it goes on."""
    with psycopg.connect(database) as connection:
        client = RenderQueue(connection)
        with pytest.raises(Refused) as raised:
            client.enqueue("nope", {})
        assert raised.value.sqlstate == "22023"
        assert isinstance(raised.value.__cause__, psycopg.errors.InvalidParameterValue)
        assert state(connection) is TransactionStatus.INERROR
        with pytest.raises(Refused, match="current transaction is aborted"):
            client.enqueue("noop", {})
        connection.rollback()
        first = client.enqueue("noop", {})
        with pytest.raises(Refused, match="registered kind"), connection.transaction():
            client.enqueue("nope", {})
        second = client.enqueue("noop", {})
        assert state(connection) is TransactionStatus.INTRANS
        connection.commit()
        assert {first, second} == {UUID(str(row[0])) for row in connection.execute("select id from render_jobs")}


def test_repeatable_read(database: str) -> None:
    """A key that another transaction took after the snapshot is a serialization failure: retry, as with any write."""
    with psycopg.connect(database) as connection, RenderQueue(database) as other:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        client = RenderQueue(connection)
        client.enqueue("noop", {}, idempotency_key="first")
        theirs = other.enqueue("noop", {}, idempotency_key="k")
        with pytest.raises(Refused) as raised:
            client.enqueue("noop", {}, idempotency_key="k")
        assert raised.value.sqlstate == "40001"
        connection.rollback()
        assert client.enqueue("noop", {}, idempotency_key="k") == theirs


def test_a_key_answers_one_job_to_all_threads(database: str) -> None:
    """Of many that enqueue under one key at once, each gets the same id, and there is one job."""
    together = threading.Barrier(8)

    def enqueue() -> UUID:
        with RenderQueue(database) as client:
            client.status(uuid4())  # connected before the start
            together.wait()
            return client.enqueue("noop", {"a": 1}, idempotency_key="k")

    assert len({thread.result() for thread in [InThread(enqueue) for _ in range(8)]}) == 1
    with RenderQueue(database) as client, pytest.raises(Refused, match="idempotency_key 'k' was used") as raised:
        client.enqueue("noop", {"a": 2}, idempotency_key="k")
    assert raised.value.sqlstate == "23505"
    assert count(database) == 1


def test_a_key_waits_for_the_transaction_that_took_it(database: str) -> None:
    """Who comes second gets the first one's job when that commits, and a job of its own when it is rolled back."""
    for end in ("commit", "rollback"):
        with psycopg.connect(database) as connection, RenderQueue(database) as client:
            first = RenderQueue(connection).enqueue("noop", {}, idempotency_key=end)
            second = InThread(lambda: client.enqueue("noop", {}, idempotency_key=end))  # noqa: B023 - joined in the loop
            getattr(connection, end)()
            assert (second.result() == first) == (end == "commit")


def test_a_cursor_class_of_the_caller(database: str) -> None:
    """A connection whose cursors write their parameters otherwise works as any."""
    with psycopg.connect(database, cursor_factory=psycopg.RawCursor) as connection:
        assert RenderQueue(connection).status(RenderQueue(connection).enqueue("noop", {})) is not None
