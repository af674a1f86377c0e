"""The database is there, and something of it is not: each call ends in an error for people, and goes on afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from supervisor import AsyncRenderQueue, DatabaseUnreachable, ExpectedError, Refused, RenderQueue, SchemaError
from supervisor.embedded import EmbeddedServer
from supervisor.errors import ConfigurationError
from tests.client.support import (
    NO_TEXT,
    PATIENCE,
    InThread,
    database_of_any_bytes,
    database_with_schema,
    enqueuing_role,
    until_waiting,
)
from tests.database.support import migrated_server

Call = Callable[[str], object]
NOTIFY = "select pg_notify('render_events', json_build_object('id', %s::text)::text)"
CANCEL = "select cancel_render(id) from render_jobs"


def sync_enqueue(url: str) -> object:
    """Enqueue with RenderQueue."""
    with RenderQueue(url) as client:
        return client.enqueue("noop", {})


def async_enqueue(url: str) -> object:
    """Enqueue with AsyncRenderQueue."""

    async def main() -> object:
        async with AsyncRenderQueue(url) as client:
            return await client.enqueue("noop", {})

    return asyncio.run(main())


def sync_wait(url: str) -> object:
    """Wait with RenderQueue."""
    with RenderQueue(url) as client:
        return client.wait(uuid4(), timeout=0)


def async_wait(url: str) -> object:
    """Wait with AsyncRenderQueue."""

    async def main() -> object:
        async with AsyncRenderQueue(url) as client:
            return await client.wait(uuid4(), timeout=0)

    return asyncio.run(main())


CALLS = [sync_enqueue, async_enqueue, sync_wait, async_wait]
each_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)


def run(url: str, statement: str, *parameters: object) -> None:
    """Run one statement, committed."""
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode(), parameters or None)


async def waiting(client: AsyncRenderQueue, job_id: Any) -> asyncio.Task[Any]:
    """Return a task that has looked at its job and waits."""
    task = asyncio.create_task(client.wait(job_id, PATIENCE))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await client.wait(job_id, timeout=0)  # stands behind the first
    return task


def test_the_private_schema_is_gone(database: str) -> None:
    """The public functions and views are left: what they call is gone, and the error says what to run."""
    with RenderQueue(database) as client:
        job_id = client.enqueue("noop", {})
        run(database, "alter schema jobsupervisor rename to gone")
        with pytest.raises(SchemaError, match=r"must be installed, whole, .* run `jobsupervisor migrate`"):
            client.enqueue("noop", {})
        with pytest.raises(SchemaError, match=r"must be installed, whole, .* run `jobsupervisor migrate`"):
            client.cancel(job_id)
        run(database, "alter schema gone rename to jobsupervisor")
        assert client.cancel(job_id) is True


def test_the_functions_move(pg_server: EmbeddedServer) -> None:
    """A queue that knew where they were says once that they are gone, and then finds them where they are now."""
    with database_with_schema(pg_server, "render") as url, RenderQueue(url) as client:
        job_id = client.enqueue("noop", {})
        run(url, "alter schema render rename to elsewhere")
        with pytest.raises(SchemaError, match="jobsupervisor migrate"):
            client.status(job_id)
        assert client.status(job_id) is not None


def test_the_schema_is_dropped_while_one_waits(database: str) -> None:
    """The next word on the channel makes it look, and the look says what is wrong: for threads and for tasks."""

    async def main() -> None:
        async with AsyncRenderQueue(database) as other:
            task = await waiting(other, job_id)
            run(database, "drop schema jobsupervisor cascade")
            run(database, NOTIFY, job_id)
            with pytest.raises(SchemaError, match="jobsupervisor migrate"):
                await task

    with RenderQueue(database) as client:
        job_id = client.enqueue("noop", {})
        waiter = InThread(lambda: client.wait(job_id, PATIENCE))
        until_waiting(waiter)
        asyncio.run(main())
        with pytest.raises(SchemaError, match="jobsupervisor migrate"):
            waiter.result()


@pytest.mark.parametrize("taken", ["usage on schema public", "execute on function enqueue_render, cancel_render"])
def test_a_privilege_is_revoked(database: str, taken: str) -> None:
    """Refused, with the SQLSTATE and what to grant; with the privilege back the same queue works."""
    with enqueuing_role(database) as url, RenderQueue(url) as client:
        client.enqueue("noop", {})
        run(database, f"revoke {taken} from jobsupervisor_enqueuer, public")
        with pytest.raises(Refused, match="Grant jobsupervisor_enqueuer to this role") as raised:
            client.enqueue("noop", {})
        assert raised.value.sqlstate == "42501"
        run(database, f"grant {taken} to jobsupervisor_enqueuer")
        client.enqueue("noop", {})


@each_call
def test_too_many_connections(database: str, call: Call) -> None:
    """A role that may have no more connections is told so."""
    with enqueuing_role(database) as url:
        run(database, "alter role client_app connection limit 0")
        with pytest.raises(DatabaseUnreachable, match="too many connections for role"):
            call(url)


@each_call
def test_a_database_that_is_not_there(pg_server: EmbeddedServer, call: Call) -> None:
    """The server's word for it is what is told."""
    with pytest.raises(DatabaseUnreachable, match='database "never_was" does not exist'):
        call(pg_server.url("never_was"))


URLS = {
    "a host that no resolver takes": (f"postgresql://u@{'a' * 70}/d", DatabaseUnreachable, "must be reachable"),
    "a timeout that is no number": ("postgresql://u@h/d?connect_timeout=soon", ConfigurationError, "got 'soon'"),
    "a lone surrogate": ("postgresql://u@h/\udc80", ConfigurationError, "must be a connection URL"),
    "an option that is none": ("postgresql://u@h/d?bogus=1", ConfigurationError, "must be a connection URL"),
    "a mode that is none": ("postgresql://u@127.0.0.1:1/d?sslmode=maybe", DatabaseUnreachable, "sslmode"),
}


@each_call
@pytest.mark.parametrize(("url", "error", "said"), URLS.values(), ids=URLS.keys())
def test_urls_that_lead_nowhere(call: Call, url: str, error: type[ExpectedError], said: str) -> None:
    """What is wrong with a URL is an error for people, whether libpq finds it, psycopg or the resolver."""
    with pytest.raises(error, match=said):
        call(url)


@pytest.fixture
def locked(database: str) -> Iterator[str]:
    """Provide the URL of a database whose queue somebody has locked, with a statement timeout."""
    with psycopg.connect(database) as holder:
        holder.execute("lock table jobsupervisor.job in access exclusive mode")
        yield f"{database}&options=-c%20statement_timeout%3D50ms"


@each_call
def test_a_statement_timeout(locked: str, call: Call) -> None:
    """The session's own limit ends the call, with the server's word for it."""
    with pytest.raises(Refused, match="canceling statement due to statement timeout") as raised:
        call(locked)
    assert raised.value.sqlstate == "57014"


def test_a_transaction_that_reads_only(database: str) -> None:
    """The caller's transaction decides: nothing is enqueued in one that may not write, and looking still works."""
    with psycopg.connect(database) as connection:
        connection.read_only = True
        client = RenderQueue(connection)
        assert client.status(uuid4()) is None
        with pytest.raises(Refused, match="read-only transaction") as raised:
            client.enqueue("noop", {})
        assert raised.value.sqlstate == "25006"
        with pytest.raises(Refused, match="current transaction is aborted"):
            client.status(uuid4())


@each_call
def test_a_database_that_reads_only(database: str, call: Call) -> None:
    """A queue of its own goes only to a server that takes writes, and says so."""
    with psycopg.connect(database) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("alter database {} set default_transaction_read_only = on").format(name))
    with pytest.raises(DatabaseUnreachable, match=r"must take writes: .*read-only"):
        call(database)


def test_a_restart_while_one_waits() -> None:
    """Threads and tasks that wait go on with the server that is back, and are told."""

    async def main() -> str:
        async with AsyncRenderQueue(server.url()) as other:
            task = await waiting(other, job_id)
            server.restart()  # in this thread: the server ends with the one that started it
            run(server.url(), CANCEL)
            return str((await task).status)

    with migrated_server() as server, RenderQueue(server.url()) as client:
        job_id = client.enqueue("noop", {})
        waiter = InThread(lambda: client.wait(job_id, PATIENCE))
        until_waiting(waiter)
        assert asyncio.run(main()) == "cancelled"
        assert waiter.result().status == "cancelled"


GARBAGE = ["", "nothing", "[]", "7", "null", "{}", '{"id": 7}', '{"id": "x"}', '{"id": null}', '{"status": "failed"}']


def test_garbage_on_the_channel(database: str) -> None:
    """Anybody may notify: what is no event breaks no task's wait (threads: tests/client/test_wait.py)."""

    async def main() -> str:
        async with AsyncRenderQueue(database) as client:
            job_id = await client.enqueue("noop", {})
            task = await waiting(client, job_id)
            for payload in GARBAGE:
                run(database, "select pg_notify('render_events', %s)", payload)
            run(database, CANCEL)
            return str((await task).status)

    assert asyncio.run(main()) == "cancelled"


def test_a_payload_that_is_no_text(pg_server: EmbeddedServer) -> None:
    """Bytes that no text can hold cost the connection they came over, and not the wait."""

    async def main() -> str:
        async with AsyncRenderQueue(url) as other:
            task = await waiting(other, job_id)
            run(url, NO_TEXT.format("render_events"))
            run(url, CANCEL)
            return str((await task).status)

    with database_of_any_bytes(pg_server) as url, RenderQueue(url) as client:
        job_id = client.enqueue("noop", {}, user_id="Müller")
        waiter = InThread(lambda: client.wait(job_id, PATIENCE))
        until_waiting(waiter)
        assert asyncio.run(main()) == "cancelled"
        assert (waiter.result().status, waiter.result().user_id) == ("cancelled", "Müller")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "timeout": ({"timeout": "soon"}, "timeout must be a timedelta or a number of seconds, got 'soon'"),
    "run_at": ({"run_at": "tomorrow"}, "run_at must be a datetime, got 'tomorrow'"),
    "too long": ({"timeout": timedelta.max}, "interval"),
}


@pytest.mark.parametrize(("options", "said"), WRONG.values(), ids=WRONG.keys())
def test_options_of_the_wrong_type(database: str, options: dict[str, Any], said: str) -> None:
    """They are refused like wrong values."""
    with RenderQueue(database) as client, pytest.raises(Refused, match=said):
        client.enqueue("noop", {}, **options)
