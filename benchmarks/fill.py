"""Fills the tables directly, by the million: what took months on a real system is there in minutes."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.driver import Connection

QUEUED = """
insert into jobsupervisor.job (id, kind, user_id, spec, config)
select jobsupervisor.new_id(), %(kind)s,
    case when random() < %(share)s then 'big' else 'tenant ' || (random() * %(tenants)s)::integer end,
    '{"n": 1}', '{}'
from generate_series(1, %(jobs)s)
"""
FINISHED = """
with finished as (
    insert into jobsupervisor.finished_job (
        id, kind, status, priority, run_at, attempt, charged, user_id, output_url, output_sha256, output_bytes,
        content_type, created_at, started_at, finished_at)
    select jobsupervisor.new_id(), %(kind)s, 'completed', 0, now(), 1, 1, 'tenant ' || (random() * %(tenants)s)::integer,
        'file:///var/lib/jobsupervisor/artifacts/' || n, sha256(n::text::bytea), 40000, 'image/png', now(), now(), now()
    from generate_series(1, %(jobs)s) n
    returning id
)
insert into jobsupervisor.attempt (
    job_id, attempt, supervisor, started_at, finished_at, outcome, peak_memory_bytes, cpu_seconds, timeout_seconds)
select id, 1, 'host', now(), now(), 'ok', 90000000, 0.2, 900 from finished
"""
CHUNK = 250_000


@dataclass(frozen=True, slots=True)
class Load:
    """What a database holds. `share` of the queued jobs belongs to one tenant, the rest to `tenants` of them."""

    name: str
    queued: int = 0
    finished: int = 0
    tenants: int = 1
    share: float = 0.0


def fill(client: Connection, load: Load, kind: str) -> None:
    """Put it into an installed schema. Analysed and vacuumed, as autovacuum would leave it."""
    for statement, jobs in ((QUEUED, load.queued), (FINISHED, load.finished)):
        for start in range(0, jobs, CHUNK):
            client.execute(
                statement,
                {"kind": kind, "share": load.share, "tenants": load.tenants, "jobs": min(CHUNK, jobs - start)},
            )
    client.execute("vacuum analyze")
    client.execute("checkpoint")
