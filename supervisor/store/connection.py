"""How connections are made, and which errors mean that the database cannot be reached."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from supervisor.errors import ConfigurationError, DatabaseUnreachable

# A half-open link must die in seconds, not in the kernel's two hours: probes after 5 s of silence, 3 of them 2 s
# apart, and unacknowledged data for at most 10 s (tcp(7): TCP_KEEPIDLE, TCP_USER_TIMEOUT; libpq takes them by name).
_LIVENESS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    # Among several hosts, and after a failover, only a server that takes writes will do.
    "target_session_attrs": "read-write",
}


def conninfo(url: str, application: str) -> str:
    """Return libpq's connection string for `url`, with our liveness settings where the URL has none of its own."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # libpq's text quotes the URL, password and all.
        raise ConfigurationError(
            "DATABASE_URL: must be a connection URL or string that libpq takes, as in postgresql://user@host/database"
        ) from None
    return make_conninfo(**{"application_name": application, **_LIVENESS, **given})


def unreachable(error: psycopg.Error) -> DatabaseUnreachable:
    """Turn a connection error into one for people. libpq's texts name host and port, never the password."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return DatabaseUnreachable(
        f"the database must be reachable: {reason}; check DATABASE_URL and that the server accepts connections"
    )


def connect(url: str, application: str = "jobsupervisor") -> psycopg.Connection[Any]:
    """Open a plain connection in autocommit, for commands. Raises DatabaseUnreachable."""
    try:
        return psycopg.connect(conninfo(url, application), autocommit=True)
    except psycopg.OperationalError as error:
        raise unreachable(error) from None


async def connect_async(url: str, application: str) -> psycopg.AsyncConnection[Any]:
    """Open a connection in autocommit for the supervisor. Raises DatabaseUnreachable."""
    try:
        return await psycopg.AsyncConnection.connect(conninfo(url, application), autocommit=True)
    except psycopg.OperationalError as error:
        raise unreachable(error) from None
