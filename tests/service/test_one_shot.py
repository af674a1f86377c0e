"""Many short jobs in one run of the one-shot path, again and again: each run ends, and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.commands import open_home
from tests.prepared import CHECKOUT
from tests.service.support import Queue

ROUNDS = int(os.environ.get("JOBSUPERVISOR_ONE_SHOT_ROUNDS", "2"))
JOBS = int(os.environ.get("JOBSUPERVISOR_ONE_SHOT_JOBS", "300"))
_SECONDS = 30 + JOBS / 10
"""What a run may take on a machine that does other things."""

_RUN = """
import sys
from supervisor.local import work_off
from supervisor.settings import load

class View:
    def moved(self, job_id, fraction): pass
    def settled(self, job_id, verdict, ending): pass

work_off(load(), set(sys.stdin.read().split()), View())
"""
_ENQUEUE = """
    select enqueue_render('svg', jsonb_build_object('svg', format(
        '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><path d="M0 0h%%sv8z"/></svg>', n)),
        jsonb_build_object('width', case when n %% 20 = 0 then 2000 else 8 end)) as id
    from generate_series(1, %s) n
"""
"""Every now and then one takes so long that what its child holds beyond it is taken back."""


def test_each_run_ends_when_its_last_job_has(database: str) -> None:
    """Of six such runs three hung for ever with all of their jobs final, waiting for children that held nothing any more.

    `JOBSUPERVISOR_ONE_SHOT_ROUNDS=20 JOBSUPERVISOR_ONE_SHOT_JOBS=2220 .venv/bin/python -m pytest --timeout=0
    tests/service/test_one_shot.py` tries it for longer.
    """
    with open_home() as home, Queue(database) as queue:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CHECKOUT),
            "HOME": str(home),
            "DATABASE_URL": database,
            "HTTP_PORT": "0",
            "RENDER_SANDBOX": "best-effort",
            "RENDER_CONCURRENCY": "4",
            "RENDER_ARTIFACTS_URL": f"file://{home}/artifacts",
        }
        for done in range(1, ROUNDS + 1):
            ids = [str(row["id"]) for row in queue.rows(_ENQUEUE, JOBS)]
            ended = subprocess.run(
                [sys.executable, "-c", _RUN],
                input="\n".join(ids),
                env=environment,
                cwd=Path(home),
                timeout=_SECONDS,
                capture_output=True,
                text=True,
                check=False,
            )
            assert ended.returncode == 0, ended.stderr
            assert "stop_overdue" not in ended.stderr + ended.stdout
            completed = queue.rows("select count(*) as jobs from render_jobs where status = 'completed'")
            assert completed == [{"jobs": done * JOBS}]
