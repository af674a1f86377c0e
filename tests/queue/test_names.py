"""The names that supervisors go by: locks of their LISTEN sessions, numbered where one is taken, kept when a link breaks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from supervisor.store.listener import Listener
from tests.queue.support import Queue, settings_for

HOLDER = """select pid from pg_locks where locktype = 'advisory' and granted
    and database = (select oid from pg_database where datname = current_database())"""
LISTENERS = """select pid from pg_stat_activity
    where application_name = 'jobsupervisor listen' and datname = current_database()"""
ENDING = "select count(*) > 0 from pg_stat_activity where wait_event = 'BackendTermination'"


def listener(queue: Queue, url: str | None = None) -> Listener:
    """Return a listener that goes by the name of `a`."""
    settings = settings_for(queue.url, "a", **({"LISTEN_DATABASE_URL": url} if url else {}))
    return Listener(settings, lambda _: None, lambda _: None)


def end_listeners(queue: Queue) -> None:
    """Return when no listener's session is left: a session ends a moment after its connection is closed."""
    for row in queue.rows(LISTENERS):
        queue.value("select pg_terminate_backend(%s, 5000)", row["pid"])


def test_names_are_numbered(database: str) -> None:
    """While a live one holds the name the next is `#2`, then `#3`; a name that is free again is used again."""

    async def take(queue: Queue) -> None:
        listeners = [listener(queue) for _ in range(3)]
        try:
            assert [await one.connect() for one in listeners] == ["a", "a#2", "a#3"]
        finally:
            for one in listeners:
                await one.close()

    with Queue(database) as queue:
        queue.run(take(queue))
        queue.hold_name("a#2")

        async def again() -> tuple[str, str]:
            first, second = listener(queue), listener(queue)
            try:
                return await first.connect(), await second.connect()
            finally:
                await first.close()
                await second.close()

        end_listeners(queue)
        assert queue.run(again()) == ("a", "a#3")


@contextlib.asynccontextmanager
async def half_dead_link(url: str, directory: Path) -> AsyncIterator[str]:
    """Serve a way to the server on which the client can go away without the server noticing; yield its URL."""
    host = conninfo_to_dict(url)["host"]
    ends: list[asyncio.StreamWriter] = []

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while block := await source.read(65536):
                # The client's goodbye (message X) is lost on the way.
                if not block.startswith(b"X"):
                    sink.write(block)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.5432")
        ends.extend((writer, far_writer))
        back = asyncio.create_task(carry(far_reader, writer))
        await carry(reader, far_writer)
        await back

    server = await asyncio.start_unix_server(serve, directory / ".s.PGSQL.5432")
    try:
        yield make_conninfo(url, host=str(directory))
    finally:
        server.close()
        for end in ends:
            end.close()
            with contextlib.suppress(ConnectionError):
                await end.wait_closed()
        await server.wait_closed()


async def reconnect_while_it_ends(queue: Queue, one: Listener, name: str, holder: psutil.Process) -> str:
    """Connect again while the session that holds the name is slow to end: it goes on when its end is waited for."""
    holder.suspend()
    try:
        connecting = asyncio.create_task(one.connect(name))
        while not (connecting.done() or queue.value(ENDING)):  # noqa: ASYNC110 - the server sets no event
            await asyncio.sleep(0)
    finally:
        holder.resume()
    return await connecting


@pytest.mark.each_server
def test_the_own_half_dead_session_is_ended(database: str, tmp_path: Path) -> None:
    """After a broken link the server may still hold our name's lock for us: that session is ended, the name kept."""

    async def reconnect(queue: Queue) -> tuple[str, str, int]:
        async with half_dead_link(database, tmp_path) as url:
            one = listener(queue, url)
            try:
                first = await one.connect()
                holder = queue.value(HOLDER)
                await one.close()
                assert queue.value(HOLDER) == holder
                second = await reconnect_while_it_ends(queue, one, first, psutil.Process(holder))
                assert queue.value(HOLDER) != holder
                return first, second, holder
            finally:
                await one.close()

    with Queue(database) as queue:
        first, second, holder = queue.run(reconnect(queue))
        assert (first, second) == ("a", "a")
        assert queue.value("select count(*) from pg_stat_activity where pid = %s", holder) == 0


def test_another_ones_session_is_not_ended(database: str) -> None:
    """Who took our name while we were away keeps it; we go by another."""

    async def reconnect(queue: Queue) -> str:
        one = listener(queue)
        try:
            assert await one.connect() == "a"
            await one.close()
            end_listeners(queue)
            queue.hold_name("a")
            return await one.connect("a")
        finally:
            await one.close()

    with Queue(database) as queue:
        assert queue.run(reconnect(queue)) == "a#2"
        queue.end_name("a")
