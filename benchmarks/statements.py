"""How many statements does a job cost, and an idle minute?

Counted by the server (pg_stat_statements), not by us. Floor: a job cannot cost less than the two that claim it and
acknowledge it; an idle supervisor that sent nothing would not be known to live.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from benchmarks.driver import Figure, database, events, service

JOBS = 50
IDLE_SECONDS = 12
POLLING = 3
COUNT = """
select coalesce(sum(calls), 0)::integer from pg_stat_statements s join pg_roles r on r.oid = s.userid
where s.query not like '%pg_stat_statements%' and s.query not ilike 'listen%' and toplevel and r.rolname = 'service'
"""


def measure() -> list[Figure]:
    """Count over isolated jobs, a batch, and a quiet time at a short polling interval."""
    with (
        database(shared_preload_libraries="pg_stat_statements") as server,
        psycopg.connect(server.url(), autocommit=True) as client,
    ):
        client.execute("create extension pg_stat_statements")
        client.execute("create role service superuser login")
        client.execute("listen render_events")
        with service(server.url(user="service"), RENDER_POLLING_INTERVAL=POLLING):
            isolated = _count(client, lambda: _isolated(client))
            batch = _count(client, lambda: _batch(client))
            idle = _count(client, lambda: time.sleep(IDLE_SECONDS))
    polls = IDLE_SECONDS / POLLING
    return [
        Figure("statements per isolated job", f"{isolated / JOBS:.2f}", "2", f"{isolated / JOBS / 2:.2f}"),
        Figure("statements per job, 2,000 at once", f"{batch / 2000:.3f}", "-", "-"),
        Figure(
            f"statements in {IDLE_SECONDS} idle seconds, polling every {POLLING}",
            f"{idle}",
            f"{polls:.0f}",
            f"{idle / polls:.2f}",
        ),
    ]


def _count(client: psycopg.Connection[tuple[object, ...]], work: Callable[[], None]) -> int:
    client.execute("select pg_stat_statements_reset()")
    work()
    row = client.execute(COUNT).fetchone()
    return int(str(row[0])) if row else 0


def _isolated(client: psycopg.Connection[tuple[object, ...]]) -> None:
    for _ in range(JOBS):
        client.execute("select enqueue_render('noop', '{}')")
        events(client, 1)


def _batch(client: psycopg.Connection[tuple[object, ...]]) -> None:
    client.execute("select count(enqueue_render('noop', '{}')) from generate_series(1, 2000)")
    events(client, 2000)
