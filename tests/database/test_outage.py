"""The server goes down and comes back: what runs is finished, what is owed is sent, and the log says so once."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.database.support import changes, end, event, files, knocks, migrated_server, recovered, wait_until
from tests.service.support import Queue, Service, artifact


def _completed(row: dict[str, Any]) -> bool:
    return bool(row["status"] == "completed")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_renders_go_on_while_the_server_is_down(tmp_path: Path, stop: int) -> None:
    """Renders finish during the outage, their acks are sent after it with their tokens: one attempt each.

    The outage lasts until several tries to connect have failed after the last render ended. Each connection has one line
    in the log when it goes and one when it is back.
    """
    with migrated_server() as server, Service(server.url(), tmp_path) as service:
        gates = [tmp_path / "one", tmp_path / "two"]
        with Queue(server.url()) as queue:
            service.ready()
            jobs = [queue.enqueue("gate", {"gate": str(gate)}) for gate in gates]
            for job in jobs:
                queue.running(job)
        end(server, stop)
        knocks(server, 3)
        for gate in gates:
            gate.touch()
        wait_until(lambda: len(files(service)) == 2, lambda: files(service))
        knocks(server, 5)
        server.restart()
        with Queue(server.url()) as queue:
            for job in jobs:
                row = queue.until(job, _completed)
                assert artifact(row) == b"passed the gate"
                assert (row["attempts"], queue.outcomes(job)) == (1, ["ok"])
            recovered(service, "work", "listen")
            assert artifact(queue.final(queue.enqueue("write", {"text": "after"}))) == b"after"
        assert len(changes(service)) == 4
        assert not service.events("job.lease_lost")
        assert service.stop() == 0


def test_stop_during_an_outage(tmp_path: Path) -> None:
    """SIGTERM while the server is down ends the service, although an ack is owed; its next start settles the job."""
    with migrated_server() as server:
        gate = tmp_path / "gate"
        with Service(server.url(), tmp_path, RENDER_SHUTDOWN_SECONDS=0) as service:
            with Queue(server.url()) as queue:
                service.ready()
                job = queue.enqueue("gate", {"gate": str(gate)})
                queue.running(job)
            end(server)
            event(service, "database.lost", connection="work")
            assert service.stop() == 0
            assert len(service.events("supervisor.left_behind")) == 1
        gate.touch()
        server.restart()
        with Queue(server.url()) as queue, Service(server.url(), tmp_path) as successor:
            successor.ready()
            assert artifact(queue.final(job)) == b"passed the gate"
            assert queue.outcomes(job) == ["lost", "ok"]


def test_what_no_retry_can_mend_ends_the_service(database: str, tmp_path: Path) -> None:
    """A schema that somebody changed: one clear message, exit code 1, no retry; the job is rescued afterwards."""
    with psycopg.connect(database, autocommit=True) as operator:
        with Service(database, tmp_path) as service:
            with Queue(database) as queue:
                service.ready()
                job = queue.enqueue("gate", {"gate": str(tmp_path / "gate")})
                queue.running(job)
            operator.execute("alter table jobsupervisor.job rename column progress to renamed")
            operator.execute("notify jobsupervisor_wake")
            assert service.process.wait(60) == 1
            said = service.log.read_text()
            assert "Traceback" not in said
            (line,) = [line for line in said.splitlines() if not line.startswith("{")]
            assert "(SQLSTATE 42703)" in line
            assert "jobsupervisor migrate --check" in line
        operator.execute("alter table jobsupervisor.job rename column renamed to progress")
        (tmp_path / "gate").touch()
        with Queue(database) as queue, Service(database, tmp_path) as successor:
            successor.ready()
            assert artifact(queue.final(job)) == b"passed the gate"
            assert queue.outcomes(job) == ["lost", "ok"]
