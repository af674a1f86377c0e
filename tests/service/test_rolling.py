"""Rolling restarts under load: two supervisors, one always being restarted, and no job lost or charged.

JOBSUPERVISOR_ROLLING_RESTARTS=50 is the long form; it prints its figures (`pytest -s`).
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

from renderer import samples
from tests.service.support import PLUGINS, Queue, Service

RESTARTS = int(os.environ.get("JOBSUPERVISOR_ROLLING_RESTARTS", "2"))
BACKLOG = 12
"""Jobs that are queued at any time: both supervisors always have more to do than they can."""
SETTINGS: dict[str, object] = {
    "RENDER_POLLING_INTERVAL": 5,
    "RENDER_LOG_LEVEL": "info",
    "HTTP_PORT": 0,
    "RENDER_PLUGINS": PLUGINS,
}
COUNTS = """
select count(*) as jobs, count(*) filter (where status = 'completed') as completed,
       count(*) filter (where status = 'queued') as queued,
       coalesce(max(attempts), 0) as most_attempts from render_jobs
"""


class Load:
    """A client that keeps the queue filled until it is told to stop."""

    def __init__(self, url: str) -> None:
        self._queue = Queue(url)
        self._enough = threading.Event()
        self.jobs: list[str] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        scene, config = samples.scene(), json.dumps({"format": "gif", "width": 160, "height": 90, "fps": 10})
        while not self._enough.wait(0.05):
            (counts,) = self._queue.rows(COUNTS)
            for number in range(BACKLOG - counts["queued"]):
                what = ("svg", samples.svg(), "{}") if number % 2 else ("scene", scene, config)
                self.jobs.append(self._queue.enqueue(what[0], what[1], config=what[2]))

    def stop(self) -> None:
        """Enqueue no more."""
        self._enough.set()
        self._thread.join()
        self._queue.__exit__()


def test_rolling_restarts_lose_and_charge_nothing(database: str, tmp_path: Path) -> None:
    """Every job ends completed after one charged attempt, though each restart drains a supervisor or kills its children.

    Half of the restarts, the second first, allow no time to drain: children that render are killed, and their jobs given back
    uncharged.
    """
    names = ("one", "two")
    begun, taken, killed = time.monotonic(), list[float](), 0

    def start(name: str, seconds: float) -> Service:
        return Service(database, tmp_path, RENDER_SUPERVISOR_NAME=name, RENDER_SHUTDOWN_SECONDS=seconds, **SETTINGS)

    with Queue(database) as queue:
        services = {name: start(name, seconds) for name, seconds in zip(names, (60, 0), strict=True)}
        for service in services.values():
            service.ready()
        load = Load(database)
        try:
            for number in range(RESTARTS):
                name = names[number % 2]
                # Under load: it has finished something since its last start.
                queue.until_row(
                    "select count(*) as ended from render_attempts a where a.supervisor = %s and a.started_at > %s",
                    lambda row: row["ended"] > 0,
                    name,
                    *_since(queue),
                )
                stopped = time.monotonic()
                assert services[name].stop() == 0
                services[name].__exit__()
                services[name] = start(name, 0 if number % 4 in {0, 3} else 60).ready()
                taken.append(time.monotonic() - stopped)
            load.stop()
            (counts,) = [
                queue.until_row(COUNTS, lambda row: row["completed"] == row["jobs"]),
            ]
            for service in services.values():
                assert service.stop() == 0
        finally:
            load.stop()
            for service in services.values():
                service.__exit__()
        assert counts["jobs"] == len(load.jobs)
        assert counts["most_attempts"] == 1
        outcomes = queue.rows("select outcome, count(*) as count from render_attempts group by outcome")
        found = {row["outcome"]: row["count"] for row in outcomes}
        assert found.pop("ok") == len(load.jobs)
        killed = found.pop("internal", 0)
        assert not found
    print(  # noqa: T201 - figures of the long form
        f"{RESTARTS} restarts in {time.monotonic() - begun:.0f} s: {len(load.jobs)} jobs, all completed, none charged twice; "
        f"{killed} attempts killed and given back; restart {sorted(taken)[len(taken) // 2]:.1f} s in the middle, "
        f"{max(taken):.1f} s at most"
    )


def _since(queue: Queue) -> tuple[object]:
    return (queue.rows("select now() as now")[0]["now"],)
