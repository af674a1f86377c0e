"""The command line, run as installed: examples in every help, exit codes, one line for each mistake, no traceback."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer

from supervisor.cli import app
from supervisor.embedded import EmbeddedServer
from tests.commands import command, fails, succeeds
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
        (["enqueue", "noop"], "Missing argument"),
        (["enqueue", "noop", "absent.json"], "SPEC must be a readable file: absent.json: No such file or directory"),
        (["enqueue", "noop", "."], "SPEC must be a readable file: .: Is a directory"),
        (["enqueue", "noop", "-", "--set", "width"], "--set must be key=value, got 'width'"),
        (["enqueue", "noop", "-", "--config", "[1]"], "--config must be a JSON object, got [1]"),
        (["enqueue", "noop", "-", "--priority", "9999999999"], "Invalid value for '--priority'"),
        (["enqueue", "noop", "-", "--memory-mb", "9999999999"], "Invalid value for '--memory-mb'"),
        (["enqueue", "noop", "-", "--config", "{"], "--config must be JSON: "),
        (["dead-letters", "show", "7"], "a job's id must be a UUID, got '7'"),
        (["dead-letters", "redrive", "7"], "a job's id must be a UUID, got '7'"),
        (["dead-letters", "redrive"], "redrive must be told what: an ID, --kind, --failure, or --all"),
        (["dead-letters", "purge", "--older-than", "old"], "an age must be a number with s, min, h or d, as in 30d"),
        (["dead-letters", "list", "--limit", "0"], "Invalid value for '--limit'"),
        (["render", "absent.svg", "-o", "x.png"], "INPUT must be a readable file: absent.svg"),
        (["render", "picture.tiff", "-o", "x.png"], "INPUT must be "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], words: str) -> None:
    """What a user got wrong is exit code 2 and a sentence that shows it, before any database is asked."""
    said = fails(2, tmp_path, *arguments, given="{}", DATABASE_URL=NOWHERE)
    assert words in " ".join(said.split())


def test_a_spec_that_is_no_json(tmp_path: Path) -> None:
    """A file with a mistake is named with the line of the mistake; so is text that is not UTF-8."""
    (tmp_path / "spec.json").write_text('{\n  "a": 1,\n}')
    said = fails(2, tmp_path, "enqueue", "noop", "spec.json", DATABASE_URL=NOWHERE)
    assert said.startswith("SPEC spec.json must be JSON: ")
    assert "line 2 column 9" in said
    (tmp_path / "spec.json").write_bytes(b'{"a": "\xff"}')
    assert "must be text in UTF-8" in fails(2, tmp_path, "enqueue", "noop", "spec.json", DATABASE_URL=NOWHERE)


@pytest.mark.parametrize(
    "arguments", [["run"], ["status"], ["migrate", "--check"], ["enqueue", "noop", "-"]], ids=" ".join
)
def test_a_database_that_does_not_answer(tmp_path: Path, arguments: list[str]) -> None:
    """An unreachable database is exit code 1 and one line, with where it was looked for and without the password."""
    said = fails(1, tmp_path, *arguments, given="{}", DATABASE_URL=NOWHERE, RENDER_LOG_LEVEL="error")
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
    assert "applied 0001_" in succeeds(tmp_path, "migrate", DATABASE_URL=empty)
    assert succeeds(tmp_path, "migrate", DATABASE_URL=empty) == "the schema is up to date\n"
    assert succeeds(tmp_path, "migrate", "--check", DATABASE_URL=empty) == "the schema is up to date\n"
    assert succeeds(tmp_path, "migrate", "--sql", DATABASE_URL=empty) == ""


def test_the_schema_is_missing(tmp_path: Path, empty: str) -> None:
    """Where nothing is installed, the service and the commands say what to run."""
    for arguments in (["run"], ["status"], ["enqueue", "noop", "-"], ["dead-letters", "list"]):
        said = fails(1, tmp_path, *arguments, given="{}", DATABASE_URL=empty, RENDER_LOG_LEVEL="error")
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


def test_doctor(tmp_path: Path, database: str) -> None:
    """Every check has a name, a state and a finding; this machine and database have no check that is missing."""
    checks = json.loads(succeeds(tmp_path, "doctor", "--json", DATABASE_URL=database, RENDER_SANDBOX="best-effort"))
    assert {check["state"] for check in checks} <= {"ok", "degraded"}
    assert all(check["found"] for check in checks)
    assert all(check["advice"] for check in checks if check["state"] != "ok")
    names = {check["name"] for check in checks}
    assert {"python", "kinds", "database", "schema", "artifacts", "embedded database"} <= names
    assert any(name.startswith("sandbox: ") for name in names)


def test_doctor_knows_who_is_told(tmp_path: Path) -> None:
    """Every channel of alerts is named, what Apprise can make nothing of is missing, and no secret is shown."""
    result = command(
        *(tmp_path, "doctor", "--json"),
        RENDER_SANDBOX="off",
        SLACK_WEBHOOK_URL="http://127.0.0.1:1/hunter2",
        PAGERDUTY_ROUTING_KEY="hunter2hunter2hunter2hunter2hunt",
        ALERT_URLS="json://u:hunter2@127.0.0.1:1/p, nosuchthing://hunter2",
    )
    checks = {check["name"]: check for check in json.loads(result.stdout) if check["name"].startswith("alerts")}
    assert checks["alerts"]["found"] == "slack, pagerduty, apprise-1-json, apprise-2-nosuchthing"
    assert checks.keys() == {"alerts", "alerts: apprise-2-nosuchthing"}
    assert checks["alerts: apprise-2-nosuchthing"]["state"] == "missing"
    assert result.returncode == 1
    assert "hunter2" not in result.stdout + result.stderr


def test_doctor_finds_what_is_wrong(tmp_path: Path, empty: str) -> None:
    """A broken plug-in, a schema that is not there and a directory that cannot be are missing, with advice; exit 1."""
    (tmp_path / "broken.py").write_text("import os; os._exit(3)")
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
    assert "importing it ended the process" in missing["kind chart"]["found"]
    assert all(check["advice"] for check in missing.values())
    table = command(tmp_path, "doctor", **settings)
    assert table.returncode == 1
    assert "kind chart" in table.stdout
