"""`jobsupervisor enqueue` and `status`, against a database that no supervisor serves."""

from __future__ import annotations

import json
import signal
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.commands import environment, fails, rows_of, succeeds, waiting
from tests.prepared import COMMAND


def test_enqueue(tmp_path: Path, database: str) -> None:
    """The spec comes from a file or standard input, the config from --config and --set; the output is the job's id."""
    (tmp_path / "spec.json").write_text('{"text": "Grüße"}')
    options = [
        "--config",
        '{"a": 1, "b": 2}',
        "--set",
        "b=[3]",
        "--set",
        "c=plain",
        "--priority",
        "7",
        "--user-id",
        "u1",
    ]
    options += ["--timeout", "1.5", "--memory-mb", "64", "--run-at", "2100-01-01", "--correlation-id", "r1"]
    first = succeeds(tmp_path, "enqueue", "noop", "spec.json", *options, DATABASE_URL=database).strip()
    second = succeeds(tmp_path, "enqueue", "noop", "-", given='{"n": 1}', DATABASE_URL=database).strip()
    rows = {
        str(row["id"]): row
        for row in rows_of(database, "select *, extract(epoch from timeout) as s from jobsupervisor.job")
    }
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
    assert len(rows_of(database)) == 1


@pytest.mark.parametrize(
    ("arguments", "spec", "said"),
    [
        (["bogus", "-"], "{}", ["kind must be a registered kind, got 'bogus'", "Registered: ", "RENDER_PLUGINS"]),
        (["noop", "-"], "[]", ["spec must be a JSON object, got array", "Put what is to be rendered in an object"]),
        (["noop", "-", "--timeout", "-1"], "{}", ["timeout must be positive", "Leave timeout out"]),
        (["noop", "-"], '{"text": "\\u0000"}', ["unsupported Unicode escape sequence"]),
    ],
    ids=["kind", "spec", "timeout", "nul"],
)
def test_what_the_database_refuses(
    tmp_path: Path, database: str, arguments: list[str], spec: str, said: list[str]
) -> None:
    """A refusal is told with its hint, exits with 1, and leaves no job behind."""
    message = fails(1, tmp_path, "enqueue", *arguments, given=spec, DATABASE_URL=database)
    assert all(part in message for part in said), message
    assert rows_of(database) == []


@pytest.mark.parametrize("how", ["cancelled", "interrupted"])
def test_enqueue_and_wait(tmp_path: Path, database: str, how: str) -> None:
    """With --wait the command ends when the job does, here by being cancelled, or at Ctrl-C, with the job still there."""
    with waiting(tmp_path, database) as (process, job_id):
        assert process.stderr is not None
        if how == "cancelled":
            assert rows_of(database, f"select cancel_render('{uuid.UUID(job_id)}') as done") == [{"done": True}]
            assert process.wait() == 1
            assert process.stderr.read() == "cancelled\n"
        else:
            process.send_signal(signal.SIGINT)
            assert process.wait() == 130
            assert "Traceback" not in process.stderr.read()
            assert [str(row["id"]) for row in rows_of(database)] == [job_id]


def test_status(tmp_path: Path, database: str) -> None:
    """The state of the queue, for people and as one JSON object."""
    empty = succeeds(tmp_path, "status", DATABASE_URL=database)
    assert "no jobs" in empty
    assert "no supervisor is running" in empty
    rows_of(
        database, "select enqueue_render('noop', '{}'), enqueue_render('svg', '{}', run_at => now() + interval '1 day')"
    )
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
