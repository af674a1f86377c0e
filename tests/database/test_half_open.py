"""A network that swallows packets: no end of a connection is told anything, and both must find out by themselves.

The service runs in a network namespace, joined to the server's by a pair of virtual interfaces. The network is cut by
giving each end a wrong hardware address for the other: the links stay up and every packet is lost, as behind a firewall
that forgot the connection, or with a machine that lost power.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from supervisor.embedded import EmbeddedServer
from supervisor.store.connection import connect_async
from tests.database.support import event, migrated_server, recovered, sessions, wait_until
from tests.plugins.skips import needs_root
from tests.service.support import ByScript, Queue, artifact

CLONE_NEWNET = 0x40000000
NOWHERE = "02:00:00:00:00:01"
NOTICED_WITHIN = 15
SETTINGS = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")


def ip(*arguments: str) -> str:
    """Run iproute2's `ip`; return what it says."""
    said = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if said.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {said.stderr.strip()}")
    return said.stdout


class Cable:
    """A namespace, and what joins it to ours."""

    def __init__(self) -> None:
        # Addresses that are set aside for tests of networks (RFC 2544), four for each process.
        first = (198 << 24) + (18 << 16) + (os.getpid() % (1 << 15)) * 4
        self.ours, self.theirs = (socket.inet_ntoa((first + n).to_bytes(4, "big")) for n in (1, 2))
        self.namespace = f"jobsupervisor-{os.getpid()}"
        self._near, self._far = f"jsn{os.getpid()}", f"jsf{os.getpid()}"

    def lay(self) -> None:
        """Make all of it."""
        ip("netns", "add", self.namespace)
        ip("link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", self.namespace)
        ip("addr", "add", f"{self.ours}/30", "dev", self._near)
        ip("-n", self.namespace, "addr", "add", f"{self.theirs}/30", "dev", self._far)
        ip("link", "set", self._near, "up")
        for device in (self._far, "lo"):
            ip("-n", self.namespace, "link", "set", device, "up")

    def remove(self) -> None:
        """Remove all of it; the pair goes with one end."""
        for command in (("link", "del", self._near), ("netns", "del", self.namespace)):
            with contextlib.suppress(RuntimeError):
                ip(*command)

    def cut(self) -> None:
        """Lose every packet from now on, both ways."""
        ip("neigh", "replace", self.theirs, "lladdr", NOWHERE, "dev", self._near, "nud", "permanent")
        far = ("lladdr", NOWHERE, "dev", self._far, "nud", "permanent")
        ip("-n", self.namespace, "neigh", "replace", self.ours, *far)

    def mend(self) -> None:
        """Let packets through again."""
        ip("neigh", "del", self.theirs, "dev", self._near)
        ip("-n", self.namespace, "neigh", "del", self.ours, "dev", self._far)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Be in the namespace: what is started or connected in the block stays there."""
        libc = ctypes.CDLL(None, use_errno=True)
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/var/run/netns/{self.namespace}", os.O_RDONLY)
        try:
            assert libc.setns(there, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(home, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        finally:
            os.close(home)
            os.close(there)


@pytest.fixture
def cable() -> Iterator[Cable]:
    """Provide a namespace and a cable to it."""
    if shutil.which("ip") is None:
        pytest.skip("a network that can be cut needs iproute2's `ip`, which is not installed")
    cable = Cable()
    try:
        try:
            cable.lay()
        except RuntimeError as error:
            if os.geteuid() != 0:
                needs_root(f"a network that can be cut has a network namespace of its own: {error}")
            pytest.skip(f"a network that can be cut needs network namespaces, which are forbidden here: {error}")
        yield cable
    finally:
        cable.remove()


@contextlib.contextmanager
def server_at(cable: Cable) -> Iterator[tuple[EmbeddedServer, str]]:
    """Run a server that can be reached over the cable; yield it and its URL there."""
    with migrated_server({"listen_addresses": f"127.0.0.1,{cable.ours}"}, tcp=True) as server:
        with (server.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {cable.theirs}/32 trust\n")
        os.kill(server.pid, signal.SIGHUP)
        yield server, f"postgresql://postgres@{cable.ours}:{server.port}/postgres"


async def _in_force(url: str) -> tuple[dict[str, str], dict[str, int]]:
    """Return the settings of a connection of ours: those of the server's end and those of our own."""
    connection = await connect_async(url, "test")
    try:
        server: dict[str, str] = {}
        for name in SETTINGS:
            row: Any = await (await connection.execute(f"show {name}".encode())).fetchone()
            server[name] = row[0]
        with socket.socket(fileno=os.dup(connection.fileno())) as sock:
            options = ("KEEPIDLE", "KEEPINTVL", "KEEPCNT", "USER_TIMEOUT")
            client = {name: sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_{name}")) for name in options}
            client["KEEPALIVE"] = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    finally:
        await connection.close()
    return server, client


def test_the_settings_of_both_ends_notice_within_15_seconds(cable: Cable) -> None:
    """Silence, then probes, add up to less than 15 s on either end; so does data that nobody acknowledges."""
    with server_at(cable) as (_, url), cable.inside():
        server, client = asyncio.run(_in_force(url))
    assert server == dict(zip(SETTINGS, ("5", "2", "3", "10000"), strict=True))
    assert client == {"KEEPIDLE": 5, "KEEPINTVL": 2, "KEEPCNT": 3, "USER_TIMEOUT": 10_000, "KEEPALIVE": 1}
    assert client["KEEPIDLE"] + client["KEEPINTVL"] * client["KEEPCNT"] < NOTICED_WITHIN


def test_both_ends_notice_a_network_that_swallows_packets(cable: Cable, tmp_path: Path) -> None:
    """An idle supervisor and its server each find both connections dead; then all goes on under the same name.

    The render that ran meanwhile is finished, and counts.
    """
    with server_at(cable) as (server, url), psycopg.connect(server.url(), autocommit=True) as operator:
        with cable.inside():
            service = ByScript(url, tmp_path)
        with service, Queue(server.url()) as queue:
            service.ready()
            gate = tmp_path / "gate"
            job = queue.enqueue("gate", {"gate": str(gate)})
            queue.running(job)
            assert sorted(sessions(operator)) == ["jobsupervisor listen", "jobsupervisor main work"]
            cable.cut()
            event(service, "database.lost", connection="work")
            event(service, "database.lost", connection="listen")
            wait_until(lambda: not sessions(operator), lambda: sessions(operator))
            # The name is free on the server's side, and the process that goes by it lives.
            gate.touch()
            cable.mend()
            row = queue.final(job)
            assert artifact(row) == b"passed the gate"
            assert (row["attempts"], queue.outcomes(job)) == (1, ["ok"])
            recovered(service, "work", "listen")
            assert queue.rows("select name from jobsupervisor.supervisor") == [{"name": "main"}]
            assert service.stop() == 0
