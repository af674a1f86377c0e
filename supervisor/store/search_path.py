"""Where the names in our statements are looked for: in pg_catalog, whatever the role, the database or the URL says.

The server resolves a name (a function, an operator, a type) along the session's search path, and prefers the candidate whose
argument types fit best: an operator `public.=` for just our types wins over pg_catalog's, which needs a cast. So whoever may
create in a schema that is searched (PUBLIC may in `public`, on PostgreSQL 14) could have our statements call his code with
the rights of the schema's owner. Three ways keep him out:

- a session of ours has `pg_catalog, pg_temp` as its search path (session.sql, search_path.sql);
- behind a pooler sessions are shared, so nothing may be set in them, and poolers refuse the startup parameter that could say
  it. There the path is set for one transaction (search_path_once.sql), which every pooler keeps in one session. Statements that
  go out in a pipeline are one transaction up to its end, so that this costs no round trip;
- in a session of somebody else's (a connection that an application lends us) nothing is set at all: the statements that
  run there write every name in full, operators too.

A statement without a parameter that runs outside of these is of the third kind, or has no name that is looked for (LISTEN).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg

from supervisor.store.statements import query


class OurConnection(psycopg.Connection[Any]):
    """A session of ours; `pooled` where it is one of a pooler's, shared with others."""

    pooled = False


class OurAsyncConnection(psycopg.AsyncConnection[Any]):
    """A session of ours for asyncio, likewise."""

    pooled = False


@contextmanager
def fixed_path(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Have the statements of a block find pg_catalog alone, where it is a session of ours."""
    if isinstance(connection, OurConnection) and connection.pooled:
        with connection.transaction():
            connection.execute(query("search_path_once"))
            yield
    else:
        yield


@asynccontextmanager
async def fixed_path_async(connection: psycopg.AsyncConnection[Any]) -> AsyncIterator[None]:
    """Have the one statement of a block find pg_catalog alone, where it is a session of ours.

    Its rows are there when the block is over: inside it, it may be on its way still.
    """
    if isinstance(connection, OurAsyncConnection) and connection.pooled:
        async with connection.pipeline():
            await connection.execute(query("search_path_once"))
            yield
    else:
        yield
