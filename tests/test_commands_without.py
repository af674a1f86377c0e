"""Commands whose database has lost something, or gives them less than they need: one message, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.client.support import enqueuing_role
from tests.commands import command, fails, rows_of, succeeds, waiting

DATABASE_COMMANDS = [
    ["status"],
    ["enqueue", "noop", "-"],
    ["dead-letters", "list"],
    ["dead-letters", "redrive", "--all"],
    ["dead-letters", "purge", "--older-than", "0s"],
]
each_command = pytest.mark.parametrize("arguments", DATABASE_COMMANDS, ids=" ".join)


def run(url: str, statement: str) -> None:
    """Run one statement, committed."""
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


@each_command
def test_the_private_schema_is_gone(tmp_path: Path, database: str, arguments: list[str]) -> None:
    """The functions are left: the error says what to run."""
    run(database, "drop schema jobsupervisor cascade")
    said = fails(1, tmp_path, *arguments, given="{}", DATABASE_URL=database)
    assert "jobsupervisor migrate" in said
    assert said.count("\n") == 1


def test_doctor_finds_what_is_gone(tmp_path: Path, database: str) -> None:
    """The schema is missing; every other check is made as well."""
    run(database, "drop schema jobsupervisor cascade")
    result = command(tmp_path, "doctor", DATABASE_URL=database)
    assert result.returncode == 1
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("schema ")]
    assert "missing" in line
    assert "jobsupervisor migrate" in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("statement_timeout%3D1ms", "canceling statement due to statement timeout"),
        ("default_transaction_read_only%3Don", "the database must take writes: "),
    ],
    ids=["statement timeout", "read only"],
)
@each_command
def test_a_session_that_is_limited(
    tmp_path: Path, database: str, arguments: list[str], options: str, said: str
) -> None:
    """A limit that the URL or the role brings along ends the command with the server's word for it."""
    with psycopg.connect(database) as holder:
        for table in ("job", "dead_letter"):
            holder.execute(f"lock table jobsupervisor.{table} in access exclusive mode".encode())
        url = f"{database}&options=-c%20{options}"
        assert said in fails(1, tmp_path, *arguments, given="{}", DATABASE_URL=url)


@pytest.fixture
def enqueuer(database: str) -> Iterator[str]:
    """Provide the URL of a role that may enqueue, and owns nothing."""
    with enqueuing_role(database) as url:
        yield url


def test_what_an_enqueuing_role_can_do(tmp_path: Path, enqueuer: str, database: str) -> None:
    """It enqueues and works the dead letters one by one; what needs the tables says which role it needs."""
    succeeds(tmp_path, "enqueue", "noop", "-", given="{}", DATABASE_URL=enqueuer)
    assert succeeds(tmp_path, "dead-letters", "list", DATABASE_URL=enqueuer) == "no dead letters\n"
    for arguments in (["status"], ["status", "--json"], ["dead-letters", "purge", "--older-than", "0s"]):
        said = fails(1, tmp_path, *arguments, DATABASE_URL=enqueuer)
        assert said.startswith("permission denied for ")
        assert "Connect as the role that owns the schema jobsupervisor" in said
    assert len(rows_of(database)) == 1


def test_render_as_an_enqueuing_role(tmp_path: Path, enqueuer: str, database: str) -> None:
    """To know whether a service is there takes more: it says so, and leaves no job that nobody waits for."""
    (tmp_path / "in.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>')
    said = fails(1, tmp_path, "render", "in.svg", "-o", "out.png", DATABASE_URL=enqueuer)
    assert "Connect as the role that owns the schema jobsupervisor" in said
    assert [row["status"] for row in rows_of(database)] == ["cancelled"]


def test_a_session_that_ends_while_it_waits(tmp_path: Path, database: str) -> None:
    """`enqueue --wait` whose connection is ended says so in one line; the job is still there."""
    with waiting(tmp_path, database) as (process, job_id):
        assert process.stderr is not None
        run(
            database,
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and application_name = 'jobsupervisor client'",
        )
        said = process.stderr.read()
        assert process.wait() == 1
    assert said.startswith("the database must be reachable: ")
    assert said.count("\n") == 1
    assert [str(row["id"]) for row in rows_of(database)] == [job_id]


def test_garbage_on_the_channel_while_it_waits(tmp_path: Path, database: str) -> None:
    """What strangers notify ends no wait and breaks none."""
    with waiting(tmp_path, database) as (process, _):
        assert process.stderr is not None
        for payload in ("", "nothing", "[]", "{}", '{"id": 7}'):
            run(database, f"notify render_events, '{payload}'")
        run(database, "select cancel_render(id) from render_jobs")
        assert process.wait() == 1
        assert process.stderr.read() == "cancelled\n"


def test_a_url_that_leads_nowhere(tmp_path: Path) -> None:
    """A host that no resolver takes, and a timeout that is no number."""
    for url, code, words in (
        (f"postgresql://u@{'a' * 70}/d", 1, "the database must be reachable: "),
        ("postgresql://u@h/d?connect_timeout=soon", 2, "DATABASE_URL: connect_timeout must be a whole number"),
    ):
        for arguments in (["status"], ["run"], ["migrate", "--check"]):
            told = fails(code, tmp_path, *arguments, DATABASE_URL=url, RENDER_LOG_LEVEL="error")
            # On a busy machine a line of the log may tell that a child took its time to end.
            said = "".join(line for line in told.splitlines(keepends=True) if not line.startswith("{"))
            assert said.startswith(words)
            assert said.count("\n") == 1
