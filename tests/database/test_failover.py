"""Failover to a promoted standby: streaming replication, several hosts in DATABASE_URL, servers that take no writes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg.conninfo import make_conninfo

from supervisor.embedded import EmbeddedServer
from supervisor.embedded.account import Account
from tests.database.support import end, event, files, memory_directory, migrated_server, recovered, wait_until
from tests.plugins.databases import program
from tests.service.support import Queue, Service, artifact

DURABLE = {"synchronous_commit": "on"}
"""What a client was told is committed is written, and so counted as something that the standby must have."""
CAUGHT_UP = """
    select count(*) filter (where replay_lsn >= pg_current_wal_lsn()) as caught_up from pg_stat_replication
"""


@contextlib.contextmanager
def standby_of(primary: EmbeddedServer) -> Iterator[EmbeddedServer]:
    """Run a hot standby that streams from `primary`."""
    directory = Path(tempfile.mkdtemp(prefix="jobsupervisor-standby-", dir=memory_directory()))
    try:
        directory.chmod(0o711)
        tool = program(primary, "pg_basebackup")
        backup: list[str | Path] = [
            tool,
            "-d",
            primary.url(),
            "-D",
            directory / "data",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        ]
        subprocess.run(backup, check=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, capture_output=True)
        # Not by the tool's -R: a newer tool than the server writes options there that the server does not know.
        (directory / "data" / "standby.signal").touch()
        with (directory / "data" / "postgresql.auto.conf").open("a") as configuration:
            quoted = make_conninfo(primary.url()).replace("'", "''")
            configuration.write(f"primary_conninfo = '{quoted}'\n")
        if os.geteuid() == 0:
            # As the primary's user, who alone gets to its socket.
            owner = primary.data.stat()
            Account(owner.st_uid, owner.st_gid).own(directory / "data")
        with EmbeddedServer.start(directory, options={"fsync": "off"}, roles=True) as standby:
            yield standby
    finally:
        shutil.rmtree(directory)


def cluster_url(*servers: EmbeddedServer) -> str:
    """Return one URL with all servers."""
    hosts = ",".join(quote(str(server.socket_directory), safe="") for server in servers)
    return f"postgresql://postgres@/postgres?host={hosts}&port={','.join(str(server.port) for server in servers)}"


def until_caught_up(server: EmbeddedServer) -> None:
    """Wait until the standby has everything that the primary committed."""
    with psycopg.connect(server.url(), autocommit=True) as connection:

        def caught_up() -> bool:
            row = connection.execute(CAUGHT_UP).fetchone()
            return row is not None and bool(row[0])

        wait_until(caught_up, lambda: connection.execute("select * from pg_stat_replication").fetchall())


def test_the_promoted_standby_is_found_and_the_render_counts(tmp_path: Path) -> None:
    """The primary dies in mid-render and the standby is promoted: the render's ack is taken there, under its token.

    Both connections go over by themselves, and until the promotion the standby, which takes no writes, is not used. The
    supervisor keeps its name and id, and new jobs are rendered.
    """
    with (
        migrated_server(DURABLE) as primary,
        standby_of(primary) as standby,
        Service(cluster_url(primary, standby), tmp_path) as service,
    ):
        gate = tmp_path / "gate"
        with Queue(primary.url()) as queue:
            service.ready()
            job = queue.enqueue("gate", {"gate": str(gate)})
            queue.running(job)
            before = queue.rows("select id, name from jobsupervisor.supervisor")
        until_caught_up(primary)
        end(primary, signal.SIGQUIT)
        event(service, "database.lost", connection="work")
        event(service, "database.lost", connection="listen")
        gate.touch()
        with psycopg.connect(standby.url(), autocommit=True) as operator:
            assert operator.execute("select pg_is_in_recovery()").fetchone() == (True,)
            assert not service.events("database.recovered")
            operator.execute("select pg_promote()")
        with Queue(standby.url()) as queue:
            row = queue.until(job, lambda row: row["status"] == "completed")
            assert artifact(row) == b"passed the gate"
            assert (row["attempts"], queue.outcomes(job)) == (1, ["ok"])
            assert queue.rows("select id, name from jobsupervisor.supervisor") == before
            assert artifact(queue.final(queue.enqueue("write", {"text": "after"}))) == b"after"
            recovered(service, "work", "listen")
        assert service.stop() == 0


def test_a_server_that_takes_no_writes_is_refused_at_the_start(tmp_path: Path) -> None:
    """A standby alone in DATABASE_URL: exit code 1, one line with the rule and the way out."""
    with (
        migrated_server(DURABLE) as primary,
        standby_of(primary) as standby,
        Service(standby.url(), tmp_path) as service,
    ):
        assert service.process.wait(60) == 1
        (line,) = [line for line in service.log.read_text().splitlines() if not line.startswith("{")]
        assert "the database must take writes" in line
        assert "all servers of the cluster" in line


def test_a_server_that_stops_taking_writes_is_left(tmp_path: Path) -> None:
    """The server becomes read-only under open connections: acks wait and are sent when it takes writes again."""
    with migrated_server() as server, Service(server.url(), tmp_path) as service, Queue(server.url()) as queue:
        service.ready()
        gate = tmp_path / "gate"
        job = queue.enqueue("gate", {"gate": str(gate)})
        queue.running(job)
        with psycopg.connect(server.url(), autocommit=True) as operator:
            operator.execute("alter system set default_transaction_read_only = on")
            operator.execute("select pg_reload_conf()")
            gate.touch()
            lost = event(service, "database.lost", connection="work")
            assert "the database must take writes" in lost["problem"]
            operator.execute("alter system reset default_transaction_read_only")
            operator.execute("select pg_reload_conf()")
        row = queue.until(job, lambda row: row["status"] == "completed")
        assert (row["attempts"], queue.outcomes(job)) == (1, ["ok"])
        recovered(service, "work")


def test_a_failover_that_forgets_what_was_committed_last(tmp_path: Path) -> None:
    """The standby lacks a completion and a claim: the one job is rendered again, the other's render counts as it is.

    Replication is not synchronous here, as it is by default. The job whose claim was forgotten is claimed a second time
    by the supervisor in which it runs, under the very token that it has.
    """
    with (
        migrated_server(DURABLE) as primary,
        standby_of(primary) as standby,
        Service(cluster_url(primary, standby), tmp_path, RENDER_CONCURRENCY=2) as service,
    ):
        gates = {name: tmp_path / name for name in ("neighbour", "completed", "claimed")}
        with Queue(primary.url()) as queue:
            service.ready()
            jobs = {name: queue.enqueue("gate", {"gate": str(gates[name])}) for name in ("neighbour", "completed")}
            for job in jobs.values():
                queue.running(job)
            jobs["claimed"] = queue.enqueue("gate", {"gate": str(gates["claimed"])}, priority=1)
            until_caught_up(primary)
            with psycopg.connect(standby.url(), autocommit=True) as operator:
                operator.execute("alter system set primary_conninfo = ''")
                operator.execute("select pg_reload_conf()")
            queue.until_row("select count(*) from pg_stat_replication", lambda row: row["count"] == 0)
            gates["completed"].touch()
            queue.final(jobs["completed"])
            queue.running(jobs["claimed"])
        end(primary, signal.SIGQUIT)
        event(service, "database.lost", connection="work")
        gates["neighbour"].touch()
        with psycopg.connect(standby.url(), autocommit=True) as operator:
            operator.execute("select pg_promote()")
        with Queue(standby.url()) as queue:
            queue.until(jobs["claimed"], lambda row: row["status"] == "processing")
            gates["claimed"].touch()
            for job in jobs.values():
                row = queue.until(job, lambda row: row["status"] == "completed")
                assert artifact(row) == b"passed the gate"
                assert (row["attempts"], queue.outcomes(job)) == (1, ["ok"])
        assert len(files(service)) == 3
        assert service.stop() == 0
