"""Through a real PgBouncer that shares its sessions by transaction: LISTEN direct, polling only, and what is refused."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from supervisor.embedded import EmbeddedServer
from supervisor.embedded.account import Account
from supervisor.store.client import Client
from supervisor.store.migrate import migrate
from supervisor.store.own_connection import OwnConnection
from supervisor.store.render_queue import RenderQueue
from tests.database.support import changes, event, memory_directory, migrated_server
from tests.queue.shadows import PATH, cast_shadows
from tests.service.support import PATIENCE, Queue, Service, artifact

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed (Debian: pgbouncer)")
pytestmark = needs_pgbouncer

CONFIGURATION = """
[databases]
* = host={server} port={port} user=postgres
[pgbouncer]
listen_addr =
unix_socket_dir = {directory}
listen_port = 6432
auth_type = any
pool_mode = {mode}
default_pool_size = 4
"""


class Pooler:
    """A PgBouncer in front of a server."""

    def __init__(self, server: EmbeddedServer, directory: Path, mode: str) -> None:
        assert PROGRAM is not None
        self.url = f"postgresql://postgres@/postgres?host={quote(str(directory), safe='')}&port=6432"
        configuration = directory / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(server=server.socket_directory, port=server.port, directory=directory, mode=mode)
        )
        # As the server's user, who alone gets to its socket.
        owner = server.data.stat()
        account = Account(owner.st_uid, owner.st_gid) if os.geteuid() == 0 else None
        if account is not None:
            account.own(directory)
        self._process = subprocess.Popen(
            [PROGRAM, configuration],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )

    def wait(self) -> None:
        """Wait until it says that it is up."""
        assert self._process.stderr is not None
        descriptor, said = self._process.stderr.fileno(), b""
        deadline = time.monotonic() + PATIENCE
        while b"process up" not in said:
            assert select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0], said
            piece = os.read(descriptor, 4096)
            assert piece, said
            said += piece

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=PATIENCE)


@contextlib.contextmanager
def pooler(server: EmbeddedServer, mode: str = "transaction") -> Iterator[Pooler]:
    """Run a PgBouncer in front of `server`."""
    directory = Path(tempfile.mkdtemp(prefix="jobsupervisor-pooler-"))
    try:
        pooler = Pooler(server, directory, mode)
        try:
            pooler.wait()
            yield pooler
        finally:
            pooler.stop()
    finally:
        shutil.rmtree(directory)


def render_some(queue: Queue, pooled_url: str) -> None:
    """Have jobs rendered while other clients of the pooler come and go, so that statements move between its sessions."""
    holders: list[psycopg.Connection[tuple[object, ...]]] = []
    try:
        for number in range(30):
            if number % 3 == 0:
                holder = psycopg.connect(pooled_url, prepare_threshold=None)
                holder.execute("select pg_backend_pid()")  # in a transaction: that session is taken
                holders.append(holder)
            if len(holders) > 2:
                holders.pop(0).close()
            row = queue.final(queue.enqueue("write", {"text": str(number)}))
            assert artifact(row) == str(number).encode()
            assert queue.outcomes(str(row["id"])) == ["ok"]
    finally:
        for holder in holders:
            holder.close()


def names(queue: Queue) -> list[str]:
    """Return what the sessions of the supervisor call themselves on the server."""
    rows = queue.rows(
        "select application_name as name from pg_stat_activity "
        "where datname = current_database() and application_name like 'jobsupervisor%'"
    )
    return sorted(row["name"] for row in rows)


def test_listening_directly_and_working_through_the_pooler(tmp_path: Path) -> None:
    """DATABASE_URL through the pooler, LISTEN_DATABASE_URL direct: woken at once, with no statement prepared.

    The next poll is an hour away, so each job is found by its notification. Nothing of ours stays set in a shared session.
    """
    with (
        migrated_server() as server,
        pooler(server) as pool,
        Queue(server.url()) as queue,
        Service(pool.url, tmp_path, LISTEN_DATABASE_URL=server.url()) as service,
    ):
        service.ready()
        render_some(queue, pool.url)
        assert "jobsupervisor listen" in names(queue)
        assert changes(service) == []
        with psycopg.connect(pool.url, prepare_threshold=None, autocommit=True) as other:
            assert other.execute("show statement_timeout").fetchone() == ("0",)
            assert other.execute("select count(*) from pg_prepared_statements").fetchone() == (0,)
        assert service.stop() == 0


def test_a_client_prepares_nothing_through_the_pooler() -> None:
    """However often it sends the same: the next statement may go to another session."""
    with migrated_server() as server, pooler(server) as pool:
        own = OwnConnection(pool.url)
        try:
            for _ in range(5):
                with own.use() as connection:
                    connection.execute("select id from render_jobs where id = %s", [uuid4()])
                    assert connection.execute("select count(*) from pg_prepared_statements").fetchone() == (0,)
        finally:
            own.close()


def test_polling_through_the_pooler(tmp_path: Path) -> None:
    """RENDER_ENABLE_EVENTS=false needs no session of its own: everything goes through the pooler."""
    settings = {"RENDER_ENABLE_EVENTS": "false", "RENDER_POLLING_INTERVAL": 0.1}
    with (
        migrated_server() as server,
        pooler(server) as pool,
        Queue(server.url()) as queue,
        Service(pool.url, tmp_path, **settings) as service,
    ):
        service.ready()
        render_some(queue, pool.url)
        assert changes(service) == []
        assert service.stop() == 0


def test_no_shadow_runs_through_the_pooler(tmp_path: Path) -> None:
    """Sessions whose database would search `public` and a schema before pg_catalog: each statement finds pg_catalog alone.

    Nothing may be set in a pooler's sessions, so the search path is set for each transaction; other clients keep theirs.
    """
    settings = {"RENDER_ENABLE_EVENTS": "false", "RENDER_POLLING_INTERVAL": 0.1}
    with EmbeddedServer.start(parent=memory_directory(), roles=True) as server:
        with psycopg.connect(server.url(), autocommit=True) as operator:
            operator.execute("create schema render")
            migrate(server.url(), "render")
            cast_shadows(operator)
            operator.execute(f"alter database postgres set search_path = {PATH}".encode())
        control = make_conninfo(server.url(), options="-csearch_path=pg_catalog,render")
        with pooler(server) as pool, Queue(control) as queue, Service(pool.url, tmp_path, **settings) as service:
            service.ready()
            for _ in range(3):
                assert artifact(queue.final(queue.enqueue("write", {"text": "x"}))) == b"x"
            migrate(pool.url)
            with Client.connect(pool.url) as client:
                assert client.flow()["completed_last_hour"] == 3
            with RenderQueue(pool.url) as client:
                queue.final(str(client.enqueue("noop", {}, timeout=1.5)))
            assert queue.rows("select is_called from ahead.ran") == [{"is_called": False}]
            with psycopg.connect(pool.url, prepare_threshold=None, autocommit=True) as other:
                assert other.execute("show search_path").fetchone() == (PATH,)
            assert service.stop() == 0


def test_a_restart_behind_the_pooler_is_survived(tmp_path: Path) -> None:
    """The server restarts behind the pooler while a job renders: the ack is sent when the pooler has sessions again."""
    with (
        migrated_server() as server,
        pooler(server) as pool,
        Service(pool.url, tmp_path, LISTEN_DATABASE_URL=server.url()) as service,
    ):
        gate = tmp_path / "gate"
        with Queue(server.url()) as queue:
            service.ready()
            job = queue.enqueue("gate", {"gate": str(gate)})
            queue.running(job)
        server.restart("immediate")
        gate.touch()
        with Queue(server.url()) as queue:
            row = queue.until(job, lambda row: row["status"] == "completed")
            assert (row["attempts"], queue.outcomes(job)) == (1, ["ok"])
            assert artifact(queue.final(queue.enqueue("write", {"text": "after"}))) == b"after"
        event(service, "database.recovered", connection="listen")
        assert service.stop() == 0


def test_listening_through_a_transaction_pooler_is_refused(tmp_path: Path) -> None:
    """Notifications would get lost and the name's lock would stay with a stranger: exit code 2, with both ways out."""
    with migrated_server() as server, pooler(server) as pool, Service(pool.url, tmp_path) as service:
        assert service.process.wait(60) == 2
        (line,) = [line for line in service.log.read_text().splitlines() if not line.startswith("{")]
        assert line.startswith("DATABASE_URL: LISTEN needs a session of its own")
        assert "LISTEN_DATABASE_URL" in line
        assert "RENDER_ENABLE_EVENTS=false" in line


def test_listening_through_a_session_pooler_works(tmp_path: Path) -> None:
    """A pooler that keeps a session per client will do: one warning, jobs are woken, a second start gets the name."""
    with migrated_server() as server, pooler(server, "session") as pool, Queue(server.url()) as queue:
        for _ in range(2):
            with Service(pool.url, tmp_path) as service:
                service.ready()
                assert artifact(queue.final(queue.enqueue("write", {"text": "x"}))) == b"x"
                assert queue.rows("select name from jobsupervisor.supervisor") == [{"name": "main"}]
                event(service, "database.listens_through_pooler")
                assert service.stop() == 0
