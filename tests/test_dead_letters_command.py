"""`jobsupervisor dead-letters`: list, show, redrive and purge, on dead letters that are there."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import psycopg
import pytest

from tests.commands import fails, rows_of, succeeds

DEAD = """
insert into jobsupervisor.dead_letter (
    id, kind, priority, run_at, attempt, charged, offences, progress, failure, error, user_id, created_at, died_at, history, spec, config)
values
    ('00000000-0000-7000-8000-000000000001', 'noop', 0, now(), 2, 2, 2, 0, 'memory', 'over its [/memory]' || chr(10) || 'tail',
        'u1', now(), now() - interval '3 days', '[{"error": "attempt 1"}, {"error": "attempt 2"}]', '{"n": 1}', '{"c": 2}'),
    ('00000000-0000-7000-8000-000000000002', 'noop', 0, now(), 1, 1, 0, 0, 'invalid', null, null, now(), now(), '[]', '{}', '{}'),
    ('00000000-0000-7000-8000-000000000003', 'svg', 0, now(), 1, 1, 0, 0, 'invalid', 'svg: empty', null, now(), now(), '[]', '{}', '{}')
"""
ATTEMPTS = """
insert into jobsupervisor.attempt (job_id, attempt, supervisor, started_at, finished_at, outcome, error)
select '00000000-0000-7000-8000-000000000001', n, 'main', now(), now(), 'memory', 'attempt ' || n from generate_series(1, 2) n
"""
FIRST, SECOND, THIRD = (f"00000000-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))


@pytest.fixture
def dead(database: str) -> str:
    """Provide a database with three dead letters: two kinds, two failures, one of them days old with two attempts."""
    with psycopg.connect(database) as connection:
        connection.execute(DEAD)
        connection.execute(ATTEMPTS)
    return database


def listed(home: Path, url: str, *options: str) -> set[str]:
    """Return the ids of the dead letters that are listed."""
    return {
        row["id"] for row in json.loads(succeeds(home, "dead-letters", "list", "--json", *options, DATABASE_URL=url))
    }


def test_dead_letters_list(tmp_path: Path, dead: str) -> None:
    """They are listed by kind and failure, at most so many; for people with the first line of the error as it is."""
    assert listed(tmp_path, dead) == {FIRST, SECOND, THIRD}
    assert listed(tmp_path, dead, "--kind", "noop") == {FIRST, SECOND}
    assert listed(tmp_path, dead, "--failure", "invalid") == {SECOND, THIRD}
    assert listed(tmp_path, dead, "--kind", "scene") == set()
    assert FIRST not in listed(tmp_path, dead, "--limit", "2")
    table = succeeds(tmp_path, "dead-letters", "list", DATABASE_URL=dead)
    assert "over its [/memory]" in table
    assert "tail" not in table
    assert "no dead letters" in succeeds(tmp_path, "dead-letters", "list", "--kind", "scene", DATABASE_URL=dead)


def test_dead_letters_show(tmp_path: Path, dead: str) -> None:
    """One is shown whole, with its spec, its config and each of its attempts; an unknown one is exit code 1."""
    shown = json.loads(succeeds(tmp_path, "dead-letters", "show", FIRST.upper(), DATABASE_URL=dead))
    assert (shown["id"], shown["kind"], shown["failure"], shown["attempts"]) == (FIRST, "noop", "memory", 2)
    assert (shown["spec"], shown["config"], shown["user_id"]) == ({"n": 1}, {"c": 2}, "u1")
    assert [attempt["error"] for attempt in shown["history"]] == ["attempt 1", "attempt 2"]
    said = fails(1, tmp_path, "dead-letters", "show", str(uuid.uuid4()), DATABASE_URL=dead)
    assert "`dead-letters list` lists them" in said


def test_dead_letters_redrive(tmp_path: Path, dead: str) -> None:
    """One by its id, all of a kind, or all: each goes back into the queue under its own id, once."""
    for both in (("--kind", "svg"), ("--failure", "memory"), ("--all",)):
        assert "not both" in fails(2, tmp_path, "dead-letters", "redrive", FIRST, *both, DATABASE_URL=dead)
    assert succeeds(tmp_path, "dead-letters", "redrive", FIRST, DATABASE_URL=dead) == f"{FIRST}\n"
    assert "must be that of a dead letter" in fails(1, tmp_path, "dead-letters", "redrive", FIRST, DATABASE_URL=dead)
    assert succeeds(tmp_path, "dead-letters", "redrive", "--kind", "svg", DATABASE_URL=dead) == f"{THIRD}\n"
    assert succeeds(tmp_path, "dead-letters", "redrive", "--all", DATABASE_URL=dead) == f"{SECOND}\n"
    assert succeeds(tmp_path, "dead-letters", "redrive", "--all", DATABASE_URL=dead) == "no dead letters\n"
    assert {(str(row["id"]), row["status"]) for row in rows_of(dead)} == {
        (job, "queued") for job in (FIRST, SECOND, THIRD)
    }


def test_dead_letters_purge(tmp_path: Path, dead: str) -> None:
    """Those that are old enough are deleted with their attempts, and counted."""
    assert succeeds(tmp_path, "dead-letters", "purge", "--older-than", "2d", DATABASE_URL=dead) == "purged 1\n"
    assert listed(tmp_path, dead) == {SECOND, THIRD}
    assert rows_of(dead, "select * from render_attempts") == []
    assert succeeds(tmp_path, "dead-letters", "purge", "--older-than", "0s", DATABASE_URL=dead) == "purged 2\n"
