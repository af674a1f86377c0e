"""A client's own connection: what is sent often is prepared, where the server itself is at the other end."""

from __future__ import annotations

import asyncio

from supervisor.store.own_connection import AsyncOwnConnection, OwnConnection

LOOK = "select id from render_jobs where id = %s"
NOBODY = "0190a1b2-0000-7000-8000-000000000001"
PREPARED = "select count(*) from pg_prepared_statements where statement like '%render_jobs%'"


def test_what_is_sent_often_is_prepared(database: str) -> None:
    """Not the first time: most clients enqueue one job and leave."""
    own = OwnConnection(database)
    try:
        found = []
        for _ in range(4):
            with own.use() as connection:
                connection.execute(LOOK, [NOBODY])
                found.append(connection.execute(PREPARED, prepare=False).fetchone())
        assert found == [(0,), (0,), (1,), (1,)]
    finally:
        own.close()


def test_so_it_is_in_an_event_loop(database: str) -> None:
    """Likewise."""

    async def run() -> tuple[int, ...] | None:
        own = AsyncOwnConnection(database)
        try:
            async with own.use() as connection:
                for _ in range(3):
                    await connection.execute(LOOK, [NOBODY])
                return await (await connection.execute(PREPARED, prepare=False)).fetchone()
        finally:
            await own.close()

    assert asyncio.run(run()) == (1,)
