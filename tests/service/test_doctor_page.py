"""The lines that docs/doctor.md shows are those that doctor prints of a machine and a database with these faults."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.commands import environment
from tests.prepared import CHECKOUT, COMMAND

PAGE = CHECKOUT / "docs" / "doctor.md"
BEHIND = "import time\n\ntime.time = lambda real=time.time: real() - 600\n"
OTHER = "5f0c8a3e-9d3b-4c36-8e0e-2f6f3d0c9a11"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CHECKS = {"open files", "clock", "who may create", "artifacts"}


def shown(text: str, store: str = "/srv/artifacts") -> list[str]:
    """Return the lines of a table about these checks, without the padding, and with the same names for what differs."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in text.replace(store, "/srv/artifacts").splitlines()]
    wanted = [row for row in rows if row[0] in CHECKS and len(row) > 2]
    lines = [" | ".join(row) for row in wanted]
    return [UUID.sub(lambda match: match[0] if match[0] == OTHER else "UUID", line) for line in lines]


def doctor(database: str, directory: Path, *before: str, **settings: str) -> str:
    """Run doctor; return what it printed."""
    store = directory / "artifacts"
    given = {
        "DATABASE_URL": database,
        "RENDER_ARTIFACTS_URL": f"file://{store}",
        "RENDER_SANDBOX": "off",
        "COLUMNS": "200",
    }
    ran = subprocess.run(
        [*before, str(COMMAND), "doctor"],
        env=environment(directory, **{**given, **settings}),
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout


def test_several_faults_at_once(database: str, tmp_path: Path) -> None:
    """Few open files, a clock that is behind, a public schema that is open, and another's store of artifacts."""
    (tmp_path / "sitecustomize.py").write_text(BEHIND)
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / ".jobsupervisor-installation").write_text(f'{{"installation": "{OTHER}"}}')
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("grant create on schema public to public")
    limited = ("prlimit", "--nofile=1024:1024")
    text = doctor(database, tmp_path, *limited, PYTHONPATH=str(tmp_path), RENDER_CONCURRENCY="64")
    expected = shown(PAGE.read_text())[:4]
    assert [line for line in shown(text, f"{tmp_path}/artifacts") if " | ok | " not in line] == expected


@pytest.mark.parametrize("fault", ["not mounted", "restored"])
def test_a_store_that_is_not_as_it_was(fault: str, database: str, tmp_path: Path) -> None:
    """A marker that is gone, and an artifact of a job that nobody here knows."""
    first = doctor(database, tmp_path)
    assert "artifacts" in first
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("insert into jobsupervisor.artifact_store (place) values (%s)", [f"{tmp_path}/artifacts"])
        row = connection.execute("select id::text from jobsupervisor.installation").fetchone()
    assert row is not None
    if fault == "restored":
        (tmp_path / "artifacts" / ".jobsupervisor-installation").write_text(f'{{"installation": "{row[0]}"}}')
        (tmp_path / "artifacts" / "00").mkdir()
        (tmp_path / "artifacts" / "00" / "7fffffff-ffff-7000-8000-000000000000-1.txt").write_text("newer")
    text = doctor(database, tmp_path)
    expected = shown(PAGE.read_text())[4 if fault == "not mounted" else 5]
    assert expected in shown(text, f"{tmp_path}/artifacts")
