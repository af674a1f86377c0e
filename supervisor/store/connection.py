"""How connections are made, what our sessions are told, and what each database error means for the service.

Five meanings, by type:

- `DatabaseUnreachable`: the connection is gone, or goes to a server that takes no writes. Connect again, then send again.
- `DatabaseTroubled`: the connection is fine and the statement was refused for a reason that passes (disk full, out of
  memory, a lock that somebody holds). Send again later; nothing of the statement was done.
- `DataRefused`, a kind of the former: the server took the statement and refused a value in it, or a row that it read. Some of
  what is in the statement can be at fault and the rest not: who sent it can send less. Never a reason to end the service.
- `StatementFailed`: no later try can help (syntax, types, privileges, another schema). The service ends and says so.
- `ConfigurationError`: a URL that is none, or that leads where it must not.

Beside psycopg's errors there is UnicodeError: of a host name that the resolver cannot be asked for, of a text that cannot be
sent, and of a notification in a database whose encoding lets everything through.
"""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from supervisor.errors import ConfigurationError, DatabaseUnreachable, ExpectedError
from supervisor.store.search_path import OurAsyncConnection, OurConnection, fixed_path_async
from supervisor.store.statements import query, sent

# A half-open link must die in seconds, not in the kernel's two hours: probes after 5 s of silence, 3 of them 2 s
# apart, and unacknowledged data for at most 10 s (tcp(7): TCP_KEEPIDLE, TCP_USER_TIMEOUT). libpq takes them by one set of
# names for our end, the server takes them by another for its own.
_IDLE, _INTERVAL, _COUNT, _USER_TIMEOUT_MS = 5, 2, 3, 10_000

_CLIENT_SIDE: dict[str, Any] = {
    # Below the rescue's grace with a dead host in front of the live one, twice: a supervisor whose host list starts with
    # the dead primary must be back under its name before others take its jobs.
    "connect_timeout": 5,
    "keepalives_idle": _IDLE,
    "keepalives_interval": _INTERVAL,
    "keepalives_count": _COUNT,
    "tcp_user_timeout": _USER_TIMEOUT_MS,
    # What a job's texts are sent in, whatever the database's encoding or the environment's PGCLIENTENCODING is.
    "client_encoding": "UTF8",
    # Among several hosts, and after a failover, only a server that takes writes will do.
    "target_session_attrs": "read-write",
}

_SERVER_SIDE: dict[str, str] = {
    "keepalives_idle": str(_IDLE),
    "keepalives_interval": str(_INTERVAL),
    "keepalives_count": str(_COUNT),
    "user_timeout": str(_USER_TIMEOUT_MS),
    # Acks and claims wait for no row (see exchange.sql). What is left is the lock of somebody's ALTER TABLE, and a
    # server that is stuck: neither may stop the loop for ever.
    "lock_timeout": "5s",
    "statement_timeout": "60s",
}

_INTEGER = re.compile(r"\s*-?\d+\s*")

_RECONNECT = frozenset(
    {
        "25006",  # read only: the server was demoted, or told to be; there may be another among the hosts
        "26000",  # our prepared statement is not there: something between us and the server changed sessions
        "42P05",  # and so, somebody else's is
        "0A000",  # cached plan must not change result type: a migration ran; a new session plans anew
    }
)


_DATA = frozenset({"21", "22", "23", "38", "39", "44", "54", "P0", "XX"})
"""Classes of SQLSTATE that one value or one row brings about: cardinality, data, integrity, errors of functions and triggers,
check options, limits of size, and a row that is damaged on the server's disk."""


class DatabaseTroubled(DatabaseUnreachable):
    """A statement was refused for a reason that passes; the connection is fine."""


class DataRefused(DatabaseTroubled):
    """A statement was refused for what it carries or what it read; nothing of it was done. `cause` is the server's word."""

    def __init__(self, statement: str, cause: str) -> None:
        super().__init__(
            f"the database must take the values of {statement!r}, and refused one: {cause}; what is owed to it waits"
        )
        self.cause = cause


class StatementFailed(ExpectedError):  # noqa: N818 - reads as the state it is
    """The database refused a statement for a reason that does not pass."""


def conninfo(url: str, application: str) -> str:
    """Return libpq's connection string for `url`, with our liveness settings where the URL has none of its own."""
    try:
        given = conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeError):
        # libpq's text quotes the URL, password and all.
        raise ConfigurationError(
            "DATABASE_URL: must be a connection URL or string that libpq takes, as in postgresql://user@host/database"
        ) from None
    timeout = str(given.get("connect_timeout", "0"))
    if not _INTEGER.fullmatch(timeout):
        # psycopg keeps this time itself, and takes what is no number for a mistake in the program.
        raise ConfigurationError(f"DATABASE_URL: connect_timeout must be a whole number of seconds, got {timeout!r}")
    return make_conninfo(**{"application_name": application, **_CLIENT_SIDE, **given})


def _reason(error: psycopg.Error | UnicodeError) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _refusal(error: psycopg.Error | UnicodeError) -> str:
    """Return the server's own message and hint; its detail may hold a row, and with it a tenant's spec."""
    if not isinstance(error, psycopg.Error) or not error.diag.message_primary:
        return _reason(error)
    said = (error.diag.message_primary, error.diag.message_hint)
    return ". ".join(" ".join(part.split()).rstrip(".") for part in said if part)


def unreachable(error: psycopg.Error | UnicodeError) -> DatabaseUnreachable:
    """Turn a connection error into one for people. libpq's texts name host and port, never the password."""
    reason = _reason(error)
    if "read-only" in reason:
        return DatabaseUnreachable(
            f"the database must take writes: {reason}; DATABASE_URL must name the primary, "
            "or all servers of the cluster, as in postgresql://user@one,two/database"
        )
    return DatabaseUnreachable(
        f"the database must be reachable: {reason}; check DATABASE_URL and that the server accepts connections"
    )


def meaning(
    error: psycopg.Error | UnicodeError,
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any],
    statement: str,
) -> ExpectedError:
    """Return what an error of a named query on an open connection means for the service; see the module's kinds."""
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if connection.closed or state in _RECONNECT:
        return unreachable(error)
    if (state or "")[:2] in _DATA or (state is None and isinstance(error, psycopg.DataError | UnicodeError)):
        # Without a SQLSTATE it is the driver that cannot send a value, or read one.
        return DataRefused(statement, f"{_refusal(error)} (SQLSTATE {state or 'none'})")
    if isinstance(error, psycopg.OperationalError):
        # Classes 08, 40, 53, 55, 57 and 58: nothing that a statement could do about it.
        return DatabaseTroubled(f"the database must take statements: {_refusal(error)}; what is owed to it waits")
    return StatementFailed(
        f"the database must take our statement {statement!r}, and refused it for good: {_refusal(error)} "
        f"(SQLSTATE {state or 'none'}); check the role's privileges, and that nobody changed the "
        "schema: `jobsupervisor migrate --check`"
    )


def connect(url: str, application: str = "jobsupervisor") -> OurConnection:
    """Open a connection in autocommit, for commands. Raises DatabaseUnreachable.

    Only where names are looked for is set in it, and behind a pooler not even that: see `fixed_path`.
    """
    try:
        connection = OurConnection.connect(conninfo(url, application), autocommit=True)
    except (psycopg.OperationalError, UnicodeError) as error:
        raise unreachable(error) from None
    try:
        connection.pooled = not connection.execute(query("search_path"), {"pid": connection.info.backend_pid}).rowcount
    except BaseException as error:
        connection.close()
        if isinstance(error, psycopg.Error):
            raise unreachable(error) from None
        raise
    return connection


async def connect_async(url: str, application: str) -> OurAsyncConnection:
    """Open a connection in autocommit for the supervisor, with our settings on the server's side too.

    Raises DatabaseUnreachable. Where a pooler is in the way, its sessions serve others as well: nothing is set in them, and
    no statement is prepared; `fixed_path_async` is for each. The pooler gives itself away by the process id, which it makes up: nobody need declare it.
    """
    try:
        connection = await OurAsyncConnection.connect(conninfo(url, application), autocommit=True)
    except (psycopg.OperationalError, UnicodeError) as error:
        raise unreachable(error) from None
    sent["session"] += 1
    try:
        parameters = {"pid": connection.info.backend_pid, **_SERVER_SIDE}
        direct = (await connection.execute(query("session"), parameters)).rowcount
    except psycopg.Error as error:
        await connection.close()
        raise unreachable(error) from None
    except BaseException:
        await connection.close()
        raise
    if not direct:
        connection.pooled = True
        connection.prepare_threshold = None
    return connection


def is_pooled(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Whether a pooler stands between us and the server, as `connect_async` found."""
    return isinstance(connection, OurAsyncConnection) and connection.pooled


async def backend_pid(connection: psycopg.AsyncConnection[Any]) -> int:
    """Return the process id of the server's end, which behind a pooler is not what the connection says."""
    row = await (await execute(connection, "backend")).fetchone()
    return int(row[0]) if row else 0


async def execute(
    connection: psycopg.AsyncConnection[Any], statement: str, /, **parameters: Any
) -> psycopg.AsyncCursor[Any]:
    """Run a named query. Raises what `meaning` says of its error."""
    sent[statement] += 1
    try:
        if not parameters:  # it writes its names in full, or is several commands, which no pipeline takes
            return await connection.execute(query(statement))
        async with fixed_path_async(connection):
            return await connection.execute(query(statement), parameters)
    except (psycopg.Error, UnicodeError) as error:
        raise meaning(error, connection, statement) from error
