"""Children, fork servers and supervisors that die: nothing is lost, neighbours go on, nothing is left behind."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil

from tests.service.support import PATIENCE, Queue, Service, artifact, service_and_queue


def test_killed_child_is_retried_and_the_neighbour_is_untouched(database: str, tmp_path: Path) -> None:
    """SIGKILL of a child in mid-render: its job is tried again and completes, the other child's job has one attempt."""
    with service_and_queue(database, tmp_path) as (service, queue):
        gate = tmp_path / "gate"
        neighbour = queue.enqueue("gate", {"gate": str(gate)})
        victim = queue.enqueue("gate", {"gate": str(tmp_path / "other")})
        queue.running(neighbour)
        queue.running(victim)
        service.child_with(victim).kill()
        (tmp_path / "other").touch()
        row = queue.final(victim)
        gate.touch()
        assert artifact(row) == b"passed the gate"
        assert row["attempts"] == 2
        first, second = queue.attempts(victim)
        assert (first["outcome"], first["exit_signal"]) == ("crash", signal.SIGKILL)
        assert (second["outcome"], second["exit_signal"]) == ("ok", None)
        assert artifact(queue.final(neighbour)) == b"passed the gate"
        assert queue.outcomes(neighbour) == ["ok"]


def test_offenders_become_dead_letters_while_a_neighbour_renders(database: str, tmp_path: Path) -> None:
    """Over its memory and over its time, twice each: dead letters with their cause; honest jobs go on meanwhile."""
    with service_and_queue(database, tmp_path, RENDER_CONCURRENCY=3) as (_, queue):
        hungry = queue.enqueue("heap", {"mb": 400}, memory_mb=64)
        slow = queue.enqueue("sleep", {}, timeout="0.3 s")
        honest = [queue.enqueue("write", {"text": str(n)}) for n in range(30)]
        for job, failure in ((hungry, "memory"), (slow, "timeout")):
            row = queue.final(job)
            assert (row["status"], row["failure"], row["attempts"]) == ("failed", failure, 2)
            assert queue.outcomes(job) == [failure, failure]
        assert [artifact(queue.final(job)) for job in honest] == [str(n).encode() for n in range(30)]
        letters = queue.rows("select kind, failure, attempts from render_dead_letters order by kind")
        assert letters == [
            {"kind": "heap", "failure": "memory", "attempts": 2},
            {"kind": "sleep", "failure": "timeout", "attempts": 2},
        ]


def test_killed_supervisor_takes_its_children_along_and_its_successor_takes_its_jobs(
    database: str, tmp_path: Path
) -> None:
    """SIGKILL of the supervisor: fork server and children end; the same name starting again completes the job."""
    with Queue(database) as queue:
        job = queue.enqueue("gate", {"gate": str(tmp_path / "gate")})
        with Service(database, tmp_path) as service:
            service.ready()
            queue.running(job)
            processes = service.processes()
            assert len(processes) >= 3
            service.process.kill()
            service.process.wait()
            _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
            assert not alive
        assert queue.job(job)["status"] == "processing"
        (tmp_path / "gate").touch()
        with Service(database, tmp_path) as successor:
            successor.ready()
            row = queue.final(job)
            assert artifact(row) == b"passed the gate"
            assert queue.outcomes(job) == ["lost", "ok"]
            assert row["attempts"] == 1


def test_killed_fork_server_is_restarted_and_nobody_is_charged(database: str, tmp_path: Path) -> None:
    """SIGKILL of the fork server: its children end, the job goes on under a new one, its first attempt is ours."""
    with service_and_queue(database, tmp_path) as (service, queue):
        job = queue.enqueue("gate", {"gate": str(tmp_path / "gate")})
        queue.running(job)
        child = service.child_with(job)
        service.fork_server().kill()
        child.wait()  # or it may pass the gate yet
        (tmp_path / "gate").touch()
        row = queue.final(job)
        assert artifact(row) == b"passed the gate"
        assert queue.outcomes(job) == ["internal", "ok"]
        assert row["attempts"] == 1
        assert len(service.events("forkserver.restarted")) == 1


def test_idle_children_that_die_are_replaced(database: str, tmp_path: Path) -> None:
    """Every child is killed while it has nothing to do; the next jobs find new ones."""
    with service_and_queue(database, tmp_path) as (service, queue):
        queue.final(queue.enqueue("write", {"text": "first"}))
        children = [process for process in service.processes() if "child" in " ".join(process.cmdline())]
        assert children
        for process in children:
            process.kill()
        psutil.wait_procs(children, timeout=PATIENCE)
        for number in range(4):
            assert artifact(queue.final(queue.enqueue("write", {"text": str(number)}))) == str(number).encode()


def test_lost_connections_come_back(database: str, tmp_path: Path) -> None:
    """Both connections are terminated while a job runs: the render finishes, its ack is sent, new jobs are taken."""
    with service_and_queue(database, tmp_path) as (service, queue):
        gate = tmp_path / "gate"
        job = queue.enqueue("gate", {"gate": str(gate)})
        queue.running(job)
        terminated = queue.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and application_name like 'jobsupervisor%'"
        )
        assert len(terminated) == 2
        gate.touch()
        row = queue.final(job)
        assert artifact(row) == b"passed the gate"
        assert row["attempts"] == 1
        assert artifact(queue.final(queue.enqueue("write", {"text": "after"}))) == b"after"
        names = queue.rows("select name from jobsupervisor.supervisor")
        assert names == [{"name": "main"}]
        assert {event["connection"] for event in service.events("database.lost")} <= {"work", "listen"}


def test_second_supervisor_takes_another_name(database: str, tmp_path: Path) -> None:
    """Two supervisors of one name on one database: the second is #2, and both work."""
    second_directory = tmp_path / "second"
    second_directory.mkdir()
    with (
        service_and_queue(database, tmp_path) as (_, queue),
        Service(database, second_directory) as second,
    ):
        second.ready()
        assert queue.rows("select name from jobsupervisor.supervisor order by name") == [
            {"name": "main"},
            {"name": "main#2"},
        ]
        jobs = [queue.enqueue("write", {"text": "x"}) for _ in range(12)]
        assert {queue.final(job)["status"] for job in jobs} == {"completed"}
        assert second.stop() == 0
