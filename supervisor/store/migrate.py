"""Installs and upgrades the schema: numbered files, checksummed, applied under a lock, in one transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row

from supervisor.errors import SchemaError
from supervisor.store.connection import connect, unreachable
from supervisor.store.search_path import fixed_path
from supervisor.store.statements import Migration, migrations, query

DEFAULT_PUBLIC_SCHEMA = "public"
_ENCODINGS = {"UTF8", "SQL_ASCII"}
_PRIVILEGE = "42501"
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class SchemaState:
    """What is applied in a database and what is still to come, for one public schema."""

    applied: tuple[int, ...]
    pending: tuple[Migration, ...]
    public_schema: str


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Turn what the database refuses into an error for people: its own words, and what to do.

    A connection that broke is no refusal. Raises SchemaError, DatabaseUnreachable.
    """
    try:
        yield
    except psycopg.Error as error:
        # No code: libpq's own word that the link is gone. 57P: the server ends the session, and says so.
        if isinstance(error, psycopg.OperationalError) and (error.sqlstate or "57P").startswith("57P"):
            raise unreachable(error) from error
        way_out = (
            "the role must own the schema jobsupervisor, or may create it"
            if error.sqlstate == _PRIVILEGE
            else "nothing was changed; put that right and run it again"
        )
        said = (error.diag.message_primary or str(error), error.diag.message_detail, error.diag.message_hint, way_out)
        raise SchemaError("\n".join(filter(None, said))) from None


def migrate(url: str, public_schema: str | None = None) -> SchemaState:
    """Apply what is pending; return the state as it was before.

    Raises SchemaError when the database is newer than the program, when an applied file was changed since, when the
    public schema differs from the installed one, or when a public name or the private schema is taken by what is not ours.
    """
    with _readable(), connect(url) as connection, connection.transaction():
        connection.execute(query("search_path_once"))
        connection.execute(query("migration_lock"))
        state = _state(connection, public_schema)
        if not state.applied:
            _refuse_strangers(connection)
        for migration in state.pending:
            _apply(connection, migration, state.public_schema)
    return state


def schema_state(url: str, public_schema: str | None = None) -> SchemaState:
    """Return what is applied and pending, changing nothing. Raises SchemaError as `migrate` does."""
    with _readable(), connect(url) as connection, fixed_path(connection):
        return _state(connection, public_schema)


def nothing_applied(public_schema: str | None) -> SchemaState:
    """Return the state of an empty database, to show what would run there."""
    return SchemaState((), migrations(), public_schema or DEFAULT_PUBLIC_SCHEMA)


def require_current(url: str) -> SchemaState:
    """Return the state of an up-to-date schema. Raises SchemaError when it is behind, or newer than this program."""
    state = schema_state(url)
    if state.pending:
        raise SchemaError(
            f"the schema must be at version {migrations()[-1].version}, it is at {max(state.applied, default=0)}; "
            "run `jobsupervisor migrate`"
        )
    return state


def script(state: SchemaState) -> str:
    """Return the SQL that `migrate` would run, whole: run by hand it leaves what `migrate` leaves, its records too."""
    if not state.pending:
        return ""
    first = (query("search_path_once"), query("migration_lock"))
    parts = ["begin;", *(f"{statement.rstrip()};" for statement in first), bootstrap_text()]
    for migration in state.pending:
        record = query("migration_record") % {
            name: sql.Literal(value).as_string() for name, value in _record(migration, state.public_schema).items()
        }
        parts += [
            f"-- migration {migration.version:04}_{migration.name}",
            _text(migration, state.public_schema),
            f"{record.rstrip()};",
        ]
    return "\n".join((*parts, "commit;\n"))


def bootstrap_text() -> str:
    """Return the statements that make the table of applied migrations."""
    return query("migration_bootstrap")


def _require_unicode(connection: psycopg.Connection[Any]) -> None:
    """Refuse a database that cannot keep every text: an error message of a job that it cannot would end the service."""
    encoding = connection.cursor(row_factory=scalar_row).execute(query("database_encoding")).fetchone()
    # SQL_ASCII keeps bytes as they come.
    if encoding not in _ENCODINGS:
        raise SchemaError(
            f"the database's encoding must be UTF8: it is {encoding}; make a new one with "
            "`create database … encoding 'UTF8' template template0` and restore into it"
        )


def _state(connection: psycopg.Connection[Any], public_schema: str | None) -> SchemaState:
    """Compare what the database records with what this program ships."""
    _require_unicode(connection)
    shipped = migrations()
    rows: list[tuple[int, str, str, str]] = []
    if _is_recorded(connection):
        rows = cast("list[tuple[int, str, str, str]]", connection.execute(query("migration_applied")).fetchall())
    if rows and rows[-1][0] > shipped[-1].version:
        raise SchemaError(
            f"the database must not be newer than this program: it is at version {rows[-1][0]}, this program knows "
            f"{shipped[-1].version}; upgrade jobsupervisor here"
        )
    for (version, name, checksum, _), migration in zip(rows, shipped, strict=False):
        if checksum != migration.checksum:
            raise SchemaError(
                f"an applied migration must not change: {version:04}_{name} differs from the file that was applied; "
                "install the jobsupervisor release that applied it, or one that follows it"
            )
    installed = rows[-1][3] if rows else None
    if installed is not None and public_schema not in {None, installed}:
        raise SchemaError(
            f"the public schema cannot change: it is {installed!r}, got {public_schema!r}; "
            f"leave --public-schema out, or pass {installed!r}"
        )
    return SchemaState(
        applied=tuple(row[0] for row in rows),
        pending=shipped[len(rows) :],
        public_schema=installed or public_schema or DEFAULT_PUBLIC_SCHEMA,
    )


def _is_recorded(connection: psycopg.Connection[Any]) -> bool:
    """Whether there is a table of ours for applied migrations."""
    return bool(connection.cursor(row_factory=scalar_row).execute(query("migration_installed")).fetchone())


def _refuse_strangers(connection: psycopg.Connection[Any]) -> None:
    """Raise SchemaError where the private schema has objects, though no migration is recorded: they are somebody's."""
    rows = connection.execute(query("migration_strangers"), {"recorded": _is_recorded(connection)}).fetchall()
    if rows:
        named = ", ".join(row[0] for row in rows[:_MOST_NAMED])
        more = f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
        raise SchemaError(
            f"the schema jobsupervisor must be ours alone, and no migration is recorded there, but it has {named}{more}; "
            "they are left alone. Rename that schema (`alter schema jobsupervisor rename to …`), or, if this is a copy "
            "of an installation, restore its table jobsupervisor.migration with its rows too"
        )


def _apply(connection: psycopg.Connection[Any], migration: Migration, public_schema: str) -> None:
    """Run one migration and record it, inside the caller's transaction."""
    if not connection.execute(query("schema_exists"), {"schema": public_schema}).fetchone()[0]:  # type: ignore[index]
        raise SchemaError(
            f"the public schema must exist: there is no schema {public_schema!r} in this database; create it first"
        )
    taken = connection.execute(
        query("migration_taken"),
        {
            "schema": public_schema,
            "functions": list(migration.functions),
            "relations": list(migration.relations),
        },
    ).fetchall()
    if taken:
        raise SchemaError(
            f"schema {public_schema!r} must not have objects of these names: {', '.join(row[0] for row in taken)}; "
            "they are not ours and are left alone. Rename them, or install into another schema: "
            "`create schema render; ` and `jobsupervisor migrate --public-schema render`"
        )
    connection.execute(cast("Any", bootstrap_text()))
    connection.execute(cast("Any", _text(migration, public_schema)))
    connection.execute(query("migration_record"), _record(migration, public_schema))


def _record(migration: Migration, public_schema: str) -> dict[str, Any]:
    """Return what is recorded of an applied migration, as `migration_record` takes it."""
    return {
        "version": migration.version,
        "name": migration.name,
        "checksum": migration.checksum,
        "public_schema": public_schema,
    }


def _text(migration: Migration, public_schema: str) -> str:
    """Return a migration's statements with the public schema filled in."""
    return migration.text.replace("__public__", sql.Identifier(public_schema).as_string())
