"""The desk: one connection more, for who asks, and never two."""

from __future__ import annotations

import asyncio
import select
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from supervisor.errors import DatabaseUnreachable
from supervisor.store import calls
from supervisor.store.desk import Desk
from tests.service.support import PATIENCE
from tests.web.support import DESKS, web_service


def desks(database: str) -> int:
    """Return how many connections of a desk the server has."""
    with psycopg.connect(database, autocommit=True) as connection:
        return len(connection.execute(DESKS).fetchall())


def has_desks(database: str, wanted: int) -> None:
    """Wait until the server has so many: one that was closed at our end is listed for a moment yet."""
    deadline = time.monotonic() + PATIENCE
    pause = select.poll()
    while desks(database) != wanted:
        assert time.monotonic() < deadline, f"never {wanted} connections"
        pause.poll(10)


def with_desk(database: str, work: Any, **options: bool) -> None:
    """Run `await work(desk)`."""

    async def run() -> None:
        desk = Desk(lambda: database, lambda: True, **options)
        try:
            await work(desk)
        finally:
            await desk.close()

    asyncio.run(run())


def test_many_questions_take_one_connection(database: str) -> None:
    """One after the other; it is closed when the desk is."""

    async def work(desk: Desk) -> None:
        answers = await asyncio.gather(*(desk.ask(calls.jobs_list(limit=5)) for _ in range(20)))
        assert answers == [[]] * 20
        assert desks(database) == 1

    with_desk(database, work)
    has_desks(database, 0)


def test_it_is_closed_while_it_is_lent(database: str) -> None:
    """Housekeeping has a connection of its own, in its place; the next question opens the desk again."""

    async def work(desk: Desk) -> None:
        await desk.ask(calls.jobs_list())
        async with desk.lent():
            has_desks(database, 0)
        await desk.ask(calls.jobs_list())
        assert desks(database) == 1

    with_desk(database, work)


def test_a_broken_connection_is_opened_again(database: str) -> None:
    """The question after it is answered."""

    async def work(desk: Desk) -> None:
        await desk.ask(calls.jobs_list())
        with psycopg.connect(database, autocommit=True) as connection:
            for (pid,) in connection.execute(DESKS).fetchall():
                connection.execute("select pg_terminate_backend(%s, 60000)", [pid])
        assert await desk.ask(calls.jobs_list()) == []

    with_desk(database, work)


def test_none_is_opened_beyond_what_is_allowed(database: str, tmp_path: Path) -> None:
    """With two connections for the supervisor nobody is answered from the database, and told why."""

    async def work(desk: Desk) -> None:
        with pytest.raises(DatabaseUnreachable, match="RENDER_MAX_CONNECTIONS"):
            await desk.ask(calls.jobs_list())

    with_desk(database, work, allowed=False)
    with web_service(database, tmp_path, RENDER_MAX_CONNECTIONS=2) as (_, _, client):
        assert client.get("/api/jobs").status_code == 503
        assert client.get("/api/health").status_code == 200
    has_desks(database, 0)
