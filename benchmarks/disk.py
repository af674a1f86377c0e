"""How much disk does a finished job take in the database, its attempt and indexes included?

Floor: a table of nothing but the finished job's id and time, with its index.
"""

from __future__ import annotations

from benchmarks.driver import NOOPS, connect, database, events, service, value
from benchmarks.figure import Figure
from benchmarks.size import Size

USED = """
select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'jobsupervisor' and c.relkind = 'r' and c.relispartition
"""


def measure(size: Size) -> Figure:
    """Run so many jobs and look at the tables."""
    jobs = size(50_000, 2_000, 50)
    with database() as server, connect(server.url()) as client:
        client.execute("listen render_events")
        before = int(value(client, USED))
        with service(server.url()):
            client.execute(NOOPS, [jobs])
            events(client, jobs)
        client.execute("vacuum analyze")
        used = int(value(client, USED)) - before
        client.execute("create table floor (id uuid, finished_at timestamptz, primary key (id, finished_at))")
        client.execute("insert into floor select jobsupervisor.new_id(), now() from generate_series(1, %s)", [jobs])
        floor = int(value(client, "select pg_total_relation_size('floor')"))
    return Figure(f"disk for a finished job, of {jobs:,}", used / jobs, "bytes", floor / jobs)
