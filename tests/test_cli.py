"""The command line, run as installed: examples in every help, exit codes, one line for each mistake, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
import typer
from psycopg.rows import dict_row

from supervisor.cli import app
from supervisor.embedded import EmbeddedServer
from tests.commands import COMMAND, command, environment, fails, succeeds
from tests.plugins.databases import create_database, drop_database

NOWHERE = "postgresql://u:hunter2@127.0.0.1:1/d"


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command below a group."""
    for name, found in group.commands.items():
        if hasattr(found, "commands"):
            yield from commands(found, (*path, name))
        else:
            yield (*path, name)


COMMANDS = sorted(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_shows_an_example(tmp_path: Path, words: tuple[str, ...]) -> None:
    """The help of every command has an example of that command, to copy."""
    text = succeeds(tmp_path, *words, "--help")
    assert "Example:" in text
    assert " ".join(("jobsupervisor", *words)) in " ".join(text.split("Example:")[1].split())


def test_the_commands_of_the_documentation() -> None:
    """Every documented command is there: a check that the test above has something to look at."""
    documented = {"demo", "render", "migrate", "run", "enqueue", "status", "doctor", "dead-letters"}
    assert {words[0] for words in COMMANDS} >= documented


@pytest.mark.parametrize("arguments", [["run"], ["status"], ["migrate"], ["dead-letters", "list"]], ids=" ".join)
def test_no_database_is_set(tmp_path: Path, arguments: list[str]) -> None:
    """What needs a database says in one line which setting it wants and how that looks."""
    said = fails(2, tmp_path, *arguments)
    assert said.startswith("DATABASE_URL: must be set, as in postgresql://")
    assert said.count("\n") == 1


def test_wrong_settings_are_told_all_at_once(tmp_path: Path) -> None:
    """Each wrong setting has its line, and no secret is among them."""
    wrong = {"DATABASE_URL": "mysql://u:hunter2@h/d", "RENDER_CONCURRENCY": "none", "RENDER_SANDBOX": "maybe"}
    said = fails(2, tmp_path, "status", **wrong)
    assert sorted(line.split(":")[0] for line in said.splitlines()) == sorted(wrong)
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "--bogus"], "No such option: --bogus"),
        (["bogus"], "No such command 'bogus'"),
        (["enqueue", "noop"], "Missing argument 'SPEC'"),
        (["enqueue", "noop", "absent.json"], "SPEC must be a readable file: absent.json: No such file or directory"),
        (["enqueue", "noop", "."], "SPEC must be a readable file: .: Is a directory"),
        (["enqueue", "noop", "-", "--set", "width"], "--set must be key=value, got 'width'"),
        (["enqueue", "noop", "-", "--config", "[1]"], "--config must be a JSON object, got [1]"),
        (["enqueue", "noop", "-", "--config", "{"], "--config must be JSON: "),
        (["dead-letters", "show", "7"], "a job's id must be a UUID, got '7'"),
        (["dead-letters", "redrive"], "redrive must be told what: an ID, --kind, --failure, or --all"),
        (["dead-letters", "purge", "--older-than", "old"], "an age must be a number with s, min, h or d, as in 30d"),
        (["dead-letters", "list", "--limit", "0"], "0 is not in the range x>=1"),
        (["render", "absent.svg", "-o", "x.png"], "INPUT must be a readable file: absent.svg"),
        (["render", "picture.tiff", "-o", "x.png"], "INPUT must be "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(tmp_path: Path, database: str, arguments: list[str], words: str) -> None:
    """What a user got wrong is exit code 2 and a sentence that shows it."""
    said = fails(2, tmp_path, *arguments, given="{}", DATABASE_URL=database)
    assert words in " ".join(said.split())


def test_a_spec_that_is_no_json(tmp_path: Path, database: str) -> None:
    """A file with a mistake is named with the line of the mistake; so is text that is not UTF-8."""
    (tmp_path / "spec.json").write_text('{\n  "a": 1,\n}')
    said = fails(2, tmp_path, "enqueue", "noop", "spec.json", DATABASE_URL=database)
    assert said.startswith("SPEC spec.json must be JSON: ")
    assert "line 3" in said
    (tmp_path / "spec.json").write_bytes(b'{"a": "\xff"}')
    assert "must be text in UTF-8" in fails(2, tmp_path, "enqueue", "noop", "spec.json", DATABASE_URL=database)


@pytest.mark.parametrize("arguments", [["run"], ["status"], ["migrate", "--check"], ["enqueue", "noop", "-"]], ids=" ".join)
def test_a_database_that_does_not_answer(tmp_path: Path, arguments: list[str]) -> None:
    """An unreachable database is exit code 1 and one line, with where it was looked for and without the password."""
    said = fails(1, tmp_path, *arguments, given="{}", DATABASE_URL=NOWHERE)
    assert said.startswith("the database must be reachable: ")
    assert "127.0.0.1" in said
    assert "hunter2" not in said
    assert said.count("\n") == 1


@pytest.fixture
def empty(pg_server: EmbeddedServer) -> Iterator[str]:
    """Provide the URL of a database in which nothing is installed."""
    name = f"empty_{uuid.uuid4().hex}"
    create_database(pg_server, name, "template1")
    yield pg_server.url(name)
    assert drop_database(pg_server, name) == []


def test_migrate(tmp_path: Path, empty: str) -> None:
    """Behind, installed, up to date: --check says which by its exit code, and changes nothing."""
    for _ in range(2):
        behind = command(tmp_path, "migrate", "--check", DATABASE_URL=empty)
        assert (behind.returncode, behind.stderr) == (1, "")
        assert "to apply" in behind.stdout
    assert succeeds(tmp_path, "migrate", DATABASE_URL=empty).startswith("applied 0001_")
    assert succeeds(tmp_path, "migrate", DATABASE_URL=empty) == "the schema is up to date\n"
    assert succeeds(tmp_path, "migrate", "--check", DATABASE_URL=empty) == "the schema is up to date\n"
    assert succeeds(tmp_path, "migrate", "--sql", DATABASE_URL=empty) == ""


def test_the_schema_is_missing(tmp_path: Path, empty: str) -> None:
    """Where nothing is installed, the service and the commands say what to run."""
    for arguments in (["run"], ["status"], ["enqueue", "noop", "-"], ["dead-letters", "list"]):
        said = fails(1, tmp_path, *arguments, given="{}", DATABASE_URL=empty)
        assert "run `jobsupervisor migrate`" in said
        assert said.count("\n") == 1


def test_migrate_prints_what_would_run(tmp_path: Path, empty: str) -> None:
    """The printed script needs no database to be printed, installs into the named schema, and runs as it is."""
    script = succeeds(tmp_path, "migrate", "--sql", "--public-schema", "render")
    assert succeeds(tmp_path, "migrate", "--sql", "--public-schema", "render", DATABASE_URL=empty) == script
    with psycopg.connect(empty) as connection:
        connection.execute("create schema render")
        connection.execute(script.encode())
        connection.execute("select render.enqueue_render('noop', '{}')")


def test_plug_ins_are_registered_by_migrate(tmp_path: Path, database: str) -> None:
    """After migrate with RENDER_PLUGINS their kinds can be enqueued, before any supervisor ran."""
    succeeds(tmp_path, "migrate", DATABASE_URL=database, RENDER_PLUGINS="chart=charts:render")
    uuid.UUID(succeeds(tmp_path, "enqueue", "chart", "-", given="{}", DATABASE_URL=database).strip())


def jobs(url: str, statement: str = "select * from render_jobs") -> list[dict[str, Any]]:
    """Return the rows of a statement."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_enqueue(tmp_path: Path, database: str) -> None:
    """The spec comes from a file or standard input, the config from --config and --set; the output is the job's id."""
    (tmp_path / "spec.json").write_text('{"text": "Grüße"}')
    options = ["--config", '{"a": 1, "b": 2}', "--set", "b=[3]", "--set", "c=plain", "--priority", "7", "--user-id", "u1"]
    options += ["--timeout", "1.5", "--memory-mb", "64", "--run-at", "2100-01-01", "--correlation-id", "r1"]
    first = succeeds(tmp_path, "enqueue", "noop", "spec.json", *options, DATABASE_URL=database).strip()
    second = succeeds(tmp_path, "enqueue", "noop", "-", given='{"n": 1}', DATABASE_URL=database).strip()
    rows = {str(row["id"]): row for row in jobs(database, "select *, extract(epoch from timeout) as s from jobsupervisor.job")}
    assert rows.keys() == {first, second}
    row = rows[first]
    assert row["spec"] == {"text": "Grüße"}
    assert row["config"] == {"a": 1, "b": [3], "c": "plain"}
    assert (row["priority"], row["user_id"], row["correlation_id"], row["memory_mb"]) == (7, "u1", "r1", 64)
    assert float(row["s"]) == 1.5
    assert row["run_at"].isoformat().startswith("2100-01-01T00:00:00")
    assert rows[second]["spec"] == {"n": 1}


def test_the_same_key_answers_the_same_job(tmp_path: Path, database: str) -> None:
    """An idempotency key answers its job again, and is refused for another spec."""
    arguments = ["enqueue", "noop", "-", "--idempotency-key", "invoice-42"]
    first = succeeds(tmp_path, *arguments, given="{}", DATABASE_URL=database)
    assert succeeds(tmp_path, *arguments, given="{}", DATABASE_URL=database) == first
    assert "invoice-42" in fails(1, tmp_path, *arguments, given='{"other": 1}', DATABASE_URL=database)
    assert len(jobs(database)) == 1


@pytest.mark.parametrize(
    ("arguments", "spec", "said"),
    [
        (["bogus", "-"], "{}", ["kind must be a registered kind, got 'bogus'", "Registered: ", "RENDER_PLUGINS"]),
        (["noop", "-"], "[]", ["spec must be a JSON object, got array", "Put what is to be rendered in an object"]),
        (["noop", "-", "--timeout", "-1"], "{}", ["timeout must be positive", "Leave timeout out"]),
        (["noop", "-", "--priority", "99999999999"], "{}", ["integer out of range"]),
        (["noop", "-"], '{"text": "\\u0000"}', ["unsupported Unicode escape sequence"]),
    ],
    ids=["kind", "spec", "timeout", "priority", "nul"],
)
def test_what_the_database_refuses(tmp_path: Path, database: str, arguments: list[str], spec: str, said: list[str]) -> None:
    """A refusal is told with its hint, exits with 1, and leaves no job behind."""
    message = fails(1, tmp_path, "enqueue", *arguments, given=spec, DATABASE_URL=database)
    assert all(part in message for part in said), message
    assert jobs(database) == []


def test_enqueue_and_wait(tmp_path: Path, database: str) -> None:
    """With --wait the command ends when the job does: here it is cancelled, which is no success."""
    with subprocess.Popen(
        [COMMAND, "enqueue", "noop", "-", "--wait"],
        env=environment(tmp_path, DATABASE_URL=database),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("{}")
        process.stdin.close()
        job_id = process.stdout.readline().strip()
        assert jobs(database, f"select cancel_render('{uuid.UUID(job_id)}') as done") == [{"done": True}]
        assert process.wait() == 1
        assert process.stderr is not None
        assert process.stderr.read() == "cancelled\n"


def test_status(tmp_path: Path, database: str) -> None:
    """The state of the queue, for people and as one JSON object."""
    empty = succeeds(tmp_path, "status", DATABASE_URL=database)
    assert "no jobs" in empty
    assert "no supervisor is running" in empty
    jobs(database, "select enqueue_render('noop', '{}'), enqueue_render('svg', '{}', run_at => now() + interval '1 day')")
    state = json.loads(succeeds(tmp_path, "status", "--json", DATABASE_URL=database))
    assert state["jobs"] == [
        {"status": "queued", "kind": "noop", "jobs": 1},
        {"status": "queued", "kind": "svg", "jobs": 1},
    ]
    assert (state["flow"]["delayed"], state["flow"]["completed_last_hour"]) == (1, 0)
    assert state["flow"]["oldest_runnable_seconds"] >= 0
    assert (state["supervisors"], state["children"]) == ([], [])
    assert "delayed: 1" in succeeds(tmp_path, "status", DATABASE_URL=database)


def test_a_reader_that_goes_away(tmp_path: Path, database: str) -> None:
    """When the other end of the output's pipe is closed, the command ends without a traceback."""
    with subprocess.Popen(
        [COMMAND, "status", "--json"],
        env=environment(tmp_path, DATABASE_URL=database),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


def test_doctor(tmp_path: Path, database: str) -> None:
    """Every check has a name, a state and a finding; this machine and database have no check that is missing."""
    checks = json.loads(succeeds(tmp_path, "doctor", "--json", DATABASE_URL=database, RENDER_SANDBOX="best-effort"))
    assert {check["state"] for check in checks} <= {"ok", "degraded"}
    assert all(check["found"] for check in checks)
    assert all(check["advice"] for check in checks if check["state"] != "ok")
    names = {check["name"] for check in checks}
    assert {"python", "kinds", "database", "schema", "artifacts", "embedded database"} <= names
    assert any(name.startswith("sandbox: ") for name in names)


def test_doctor_finds_what_is_wrong(tmp_path: Path, empty: str) -> None:
    """A broken plug-in, a schema that is not there and a directory that cannot be are missing, with advice; exit 1."""
    (tmp_path / "broken.py").write_text("1 / 0")
    settings = {
        "DATABASE_URL": empty,
        "RENDER_PLUGINS": "chart=broken:render",
        "RENDER_ARTIFACTS_URL": "file:///proc/artifacts",
        "PYTHONPATH": str(tmp_path),
    }
    result = command(tmp_path, "doctor", "--json", **settings)
    assert result.returncode == 1
    missing = {check["name"]: check for check in json.loads(result.stdout) if check["state"] == "missing"}
    assert {"kind chart", "schema", "artifacts"} <= missing.keys()
    assert "ZeroDivisionError" in missing["kind chart"]["found"]
    assert all(check["advice"] for check in missing.values())
    table = command(tmp_path, "doctor", **settings)
    assert table.returncode == 1
    assert "kind chart" in table.stdout


def test_a_required_layer_that_is_missing(tmp_path: Path, database: str) -> None:
    """Where the sandbox that is required cannot be had, the service does not start and says which layer it is."""
    start = "from renderer import syscalls; import os, sys; syscalls.unshare(syscalls.CLONE_NEWUSER); os.execv(*sys.argv[1:3])"
    launcher = f"import os, sys; {start.replace('os.execv(*sys.argv[1:3])', 'os.execv(sys.argv[1], sys.argv[1:])')}"
    result = subprocess.run(
        [sys.executable, "-c", launcher, COMMAND, "run"],
        env=environment(tmp_path, DATABASE_URL=database, RENDER_SANDBOX="required"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    last = result.stderr.splitlines()[-1]
    assert "user, network and ipc namespaces: " in last
    assert "jobsupervisor doctor" in last


def test_click_is_what_reports_usage() -> None:
    """Typer's own exit code for wrong usage is the one that is documented."""
    assert click.UsageError.exit_code == 2
