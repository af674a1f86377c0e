"""A database whose statements are counted twice: by the server, and on the wire between it and the service.

The server's count (pg_stat_statements) is nobody's opinion, but has no transactions. The wire's has all that was sent:
BEGIN, COMMIT, pings, preparation. The service goes through the proxy under a role of its own; the client that gives it
work goes directly, under another. The meter looks from another database, so that pg_stat_database does not count it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.driver import Connection, connect, database, value
from benchmarks.proxy import CountingProxy, counting
from benchmarks.wire import Counts
from supervisor.embedded import EmbeddedServer

ROLE = "service"
TRANSACTIONS = "select xact_commit + xact_rollback from pg_stat_database where datname = 'postgres'"
TOLD = 11.0
COUNTED = """
select left(regexp_replace(s.query, '\\s+', ' ', 'g'), 100), sum(s.calls)::integer
from pg_stat_statements s join pg_roles r on r.oid = s.userid
where s.toplevel and r.rolname = 'service'
group by 1
"""


@dataclass(frozen=True, slots=True)
class Count:
    """What a piece of work cost: by the server, and on the wire."""

    server: int
    wire: Counts
    texts: dict[str, int]
    """The server's count by statement."""

    def details(self, per: float = 1.0) -> dict[str, float]:
        """Return the other counts beside the server's, for so many jobs or hours."""
        return {
            "on the wire": self.wire.statements / per,
            "transactions": self.wire.transactions / per,
            "messages": self.wire.messages.total() / per,
            "notifications": self.wire.notifications / per,
        }


@dataclass(frozen=True, slots=True)
class Counted:
    """The server, the proxy that the service goes through, a client that listens to events, and the meter."""

    server: EmbeddedServer
    proxy: CountingProxy
    client: Connection
    meter: Connection

    @property
    def service_url(self) -> str:
        """Where the service connects to."""
        return self.proxy.url(user=ROLE)

    def reset(self) -> None:
        """Begin to count."""
        self.meter.execute("select pg_stat_statements_reset()")
        self.proxy.take()

    def read(self) -> Count:
        """Return what was counted since `reset`."""
        texts = {str(text): int(calls) for text, calls in self.meter.execute(COUNTED).fetchall()}
        return Count(sum(texts.values()), self.proxy.take(), texts)

    def over(self, work: Callable[[], object]) -> Count:
        """Count over a piece of work."""
        self.reset()
        work()
        return self.read()

    def server_transactions(self) -> int:
        """Return the server's own count of transactions in this database, the client's among them.

        Sessions tell theirs at most once a second, and one that has gone idle after ten: wait for `TOLD` seconds.
        """
        return int(value(self.meter, TRANSACTIONS) or 0)

    def quiet(self, seconds: float = 0.5, at_most: float = 10.0) -> None:
        """Wait until the service has sent nothing for so long: what it does at its start is not to be counted."""
        deadline = time.monotonic() + at_most
        while time.monotonic() < deadline:
            before = self.proxy.counts.statements
            time.sleep(seconds)
            if self.proxy.counts.statements == before:
                return


@contextmanager
def counted() -> Iterator[Counted]:
    """Run all of it. Without autovacuum, whose transactions would be counted with the others."""
    with (
        database(shared_preload_libraries="pg_stat_statements", autovacuum="off") as server,
        counting(server.socket_directory / f".s.PGSQL.{server.port}") as proxy,
        connect(server.url()) as client,
    ):
        client.execute(f"create role {ROLE} superuser login")
        client.execute("create database meter")
        client.execute("listen render_events")
        with connect(server.url("meter")) as meter:
            meter.execute("create extension pg_stat_statements")
            yield Counted(server, proxy, client, meter)
