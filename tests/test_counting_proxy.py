"""The proxy that counts statements counts what was sent, whatever way it was cut and whichever way it was said."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from benchmarks.proxy import CountingProxy, counting
from benchmarks.wire import SSL_REQUEST, Backend, Counts, Frontend
from supervisor.embedded import EmbeddedServer


def message(kind: bytes, body: bytes = b"") -> bytes:
    """Return one message of the protocol."""
    return kind + struct.pack("!I", 4 + len(body)) + body


def start(**parameters: str) -> bytes:
    """Return the message that starts a session."""
    body = struct.pack("!I", 196608) + b"".join(f"{k}\0{v}\0".encode() for k, v in parameters.items()) + b"\0"
    return struct.pack("!I", 4 + len(body)) + body


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_messages_are_told_apart_wherever_they_are_cut(step: int) -> None:
    """Bytes come as the network has them; a request for encryption may come first."""
    said = struct.pack("!II", 8, SSL_REQUEST) + start(user="u", application_name="a")
    said += message(b"Q", b"begin\0") + message(b"P", b"name\0select  1\n\0\0\0") + message(b"B") + message(b"E")
    said += message(b"S")
    counts = Counts()
    frontend = Frontend(counts)
    for position in range(0, len(said), step):
        frontend.feed(said[position : position + step])
    assert frontend.parameters == {"user": "u", "application_name": "a"}
    assert counts.connections == 1
    assert dict(counts.messages) == {"query": 1, "parse": 1, "bind": 1, "execute": 1, "sync": 1}
    assert dict(counts.texts) == {"begin": 1, "parse: select 1": 1}


@pytest.mark.parametrize("step", [1, 4, 1000])
def test_answers_are_counted(step: int) -> None:
    """BEGIN, a statement and COMMIT are three statements and one transaction; a row is neither; a ping is one of each."""
    said = message(b"Z", b"I")  # the session is there: no transaction
    said += message(b"C", b"BEGIN\0") + message(b"Z", b"T")
    said += message(b"D", b"row") + message(b"C", b"SELECT 1\0") + message(b"Z", b"T")
    said += message(b"C", b"COMMIT\0") + message(b"Z", b"I")
    said += message(b"I") + message(b"Z", b"I")
    said += message(b"E", b"oops\0") + message(b"Z", b"I")
    said += message(b"A", b"note") + message(b"Z", b"I")
    counts = Counts()
    backend = Backend(counts)
    for position in range(0, len(said), step):
        backend.feed(said[position : position + step])
    assert (counts.statements, counts.transactions, counts.errors, counts.notifications) == (4, 3, 1, 1)


@pytest.fixture
def proxy(pg_server: EmbeddedServer) -> Iterator[CountingProxy]:
    """Provide a proxy to the tests' server."""
    with counting(pg_server.socket_directory / f".s.PGSQL.{pg_server.port}") as proxy:
        yield proxy


@pytest.mark.parametrize("way", ["socket", "tcp"])
def test_a_real_session(proxy: CountingProxy, way: str) -> None:
    """Through either door, plainly and prepared, in a transaction and out of one."""
    with psycopg.connect(proxy.url() if way == "socket" else proxy.tcp_url(), autocommit=True) as connection:
        assert proxy.take().connections == 1
        connection.execute("select 1")
        assert (counts := proxy.take()).statements == counts.transactions == 1
        with connection.transaction():
            connection.execute("select 1")
            connection.execute("select 2")
        assert ((counts := proxy.take()).statements, counts.transactions) == (4, 1)
        for _ in range(3):
            connection.execute("select %s", [1], prepare=True)
        counts = proxy.take()
        assert (counts.statements, counts.transactions) == (3, 3)
        assert (counts.messages["parse"], counts.messages["execute"]) == (1, 3)
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("select 1 / 0")
        assert ((counts := proxy.take()).statements, counts.transactions, counts.errors) == (0, 1, 1)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """The client is told by the end of its connection, and the proxy goes on."""
    with counting(tmp_path / ".s.PGSQL.5432") as proxy, pytest.raises(psycopg.OperationalError):
        psycopg.connect(proxy.url())
