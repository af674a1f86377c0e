"""A migration, or a look at the schema, whose connection breaks: told as that, and not as a want of privileges."""

from __future__ import annotations

import threading

import psycopg

from supervisor.errors import DatabaseUnreachable
from supervisor.store.migrate import migrate
from supervisor.store.statements import query
from tests.chaos.admin import Admin, until

WAITING = """
    select pid from pg_stat_activity
    where datname = current_database() and application_name = 'jobsupervisor' and wait_event_type = 'Lock'"""


def test_a_broken_connection_is_no_want_of_privileges(database: str) -> None:
    """A session that is ended while it waits for the lock."""
    ended: list[BaseException] = []

    def run() -> None:
        try:
            migrate(database)
        except Exception as error:  # noqa: BLE001 - looked at below
            ended.append(error)

    admin = Admin(database)
    thread = threading.Thread(target=run)
    with psycopg.connect(database) as holder:
        holder.execute(query("migration_lock"))
        thread.start()
        assert until(lambda: bool(admin.rows(WAITING)))
        admin.rows("select pg_terminate_backend(%(pid)s)", pid=admin.value(WAITING))
        thread.join()
    (error,) = ended
    assert isinstance(error, DatabaseUnreachable), error
