"""How many `noop` jobs a second through sandboxed children, enqueued beforehand?

Floor: the database alone. One connection claims and acknowledges 50 rows of a bare table in one statement, again and
again, and nothing handles them.
"""

from __future__ import annotations

import time

import psycopg

from benchmarks.driver import Figure, database, events, service

JOBS = 5000
FLOOR = """
with done as (delete from floor where owner = 1 returning id),
kept as (insert into floor_done select id from done),
free as (select id from floor where owner is null order by id limit 50 for update skip locked)
update floor f set owner = 1 from free where f.id = free.id returning f.id
"""


def measure() -> Figure:
    """Measure both on one server, one after the other."""
    with database() as server, psycopg.connect(server.url(), autocommit=True) as client:
        client.execute("create table floor (id bigint primary key, owner integer)")
        client.execute("create table floor_done (id bigint primary key)")
        client.execute("insert into floor select generate_series(1, %s)", [JOBS])
        client.execute("select count(enqueue_render('noop', '{}')) from generate_series(1, %s)", [JOBS])
        client.execute("vacuum analyze")
        started = time.perf_counter()
        while client.execute(FLOOR).fetchall():
            pass
        floor = JOBS / (time.perf_counter() - started)
        client.execute("listen render_events")
        with service(server.url()):
            started = time.perf_counter()
            events(client, JOBS)
            jobs = JOBS / (time.perf_counter() - started)
    return Figure(f"{JOBS} noop jobs, enqueued beforehand", f"{jobs:,.0f}/s", f"{floor:,.0f}/s", f"{jobs / floor:.2f}")
