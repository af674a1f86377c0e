"""A host whose clock is wrong: jobs begin when the database says that they are due, and the times told are the database's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.commands import environment
from tests.prepared import CHECKOUT, COMMAND
from tests.service.support import PATIENCE, ByScript, Queue, artifact

WRONG = """
import time

time.time = lambda real=time.time: real() + {offset}
"""


@pytest.mark.parametrize("offset", [-600, 600])
def test_a_delayed_job_begins_on_time(offset: int, database: str, tmp_path: Path) -> None:
    """With the host's clock ten minutes off, and no poll to help: one began up to a polling interval late."""
    (tmp_path / "sitecustomize.py").write_text(WRONG.format(offset=offset))
    path = f"{tmp_path}:{CHECKOUT}"
    with ByScript(database, tmp_path, PYTHONPATH=path) as service, Queue(database) as queue:
        service.ready()
        assert artifact(queue.final(queue.enqueue("write", {"text": "wrong clock"}))) == b"wrong clock"
        rows = queue.rows("select enqueue_render('write', '{\"text\": \"x\"}', run_at => now() + interval '2 s') as id")
        job = str(rows[0]["id"])
        queue.final(job)
        ((_, late),) = [
            tuple(row.values())
            for row in queue.rows(
                "select id, extract(epoch from started_at - run_at)::float from render_jobs where id = %s", job
            )
        ]
        # Not a figure: it took as long as the polling interval, which is an hour here, or would not have begun at all.
        assert 0 <= late < 20
        assert service.stop() == 0


@pytest.mark.parametrize(("offset", "found"), [(-600, "600 s behind"), (600, "600 s ahead of"), (0, "as")])
def test_doctor_compares_the_clocks(offset: int, found: str, database: str, tmp_path: Path) -> None:
    """It says by how much this host's clock is off the database's, and what goes by which."""
    (tmp_path / "sitecustomize.py").write_text(WRONG.format(offset=offset))
    settings = {"PYTHONPATH": str(tmp_path), "DATABASE_URL": database, "RENDER_SANDBOX": "off"}
    ran = subprocess.run(
        [COMMAND, "doctor", "--json"],
        env=environment(tmp_path, **settings),
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    (check,) = (check for check in json.loads(ran.stdout) if check["name"] == "clock")
    assert (check["state"], check["found"]) == ("degraded" if offset else "ok", f"{found} the database's")


WORK = "select pid from pg_stat_activity where application_name like 'jobsupervisor % work' and datname = current_database()"


def test_times_are_those_at_which_it_happened(database: str, tmp_path: Path) -> None:
    """What is told of an attempt is when it ended, by the database's clock, however long the telling took.

    The session that is told is stopped for two seconds while the job ends. The end was told as the time at which the server
    took the statement.
    """
    with ByScript(database, tmp_path) as service, Queue(database) as queue:
        service.ready()
        for _ in range(5):
            queue.final(queue.enqueue("write", {"text": "so that the clocks are compared"}))
        gate = tmp_path / "gate"
        job = queue.enqueue("gate", {"gate": str(gate)})
        queue.running(job)
        child = service.child_with(job)
        session = psutil.Process(queue.rows(WORK)[0]["pid"])
        session.suspend()
        try:
            gate.touch()
            child.wait(PATIENCE)  # a plug-in's child ends with its job
            (ended,) = queue.rows("select extract(epoch from clock_timestamp())::float as at")
            queue.execute("select pg_sleep(2)")
        finally:
            session.resume()
        queue.final(job)
        (row,) = queue.rows(
            "select extract(epoch from finished_at)::float as at from render_attempts where job_id = %s", job
        )
        # Two seconds late, it was; a busy machine tells of it a moment before we look.
        assert ended["at"] - 1 <= row["at"] <= ended["at"] + 1
        assert service.stop() == 0
