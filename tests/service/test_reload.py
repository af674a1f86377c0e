"""SIGHUP: settings are read again, and no job notices."""

from __future__ import annotations

from pathlib import Path

from tests.service.support import Queue, Service, artifact, reload


def gate(queue: Queue, directory: Path, name: str = "gate") -> str:
    """Enqueue a job that waits for a file; return when it runs."""
    job = queue.enqueue("gate", {"gate": str(directory / name)})
    queue.running(job)
    return job


def test_settings_change_under_a_running_job(database: str, tmp_path: Path) -> None:
    """New limits hold for what starts next, more children come up, and the job that runs ends as if nothing had been."""
    file = tmp_path / "environment"
    file.write_text("RENDER_CONCURRENCY=1\nRENDER_TIMEOUT_SECONDS=900\n")
    unset: dict[str, object] = {"RENDER_CONCURRENCY": "", "RENDER_OFFENCE_LIMIT": 1}
    with (
        Service(database, tmp_path, RENDER_ENVIRONMENT_FILE=file, **unset) as service,
        Queue(database) as queue,
    ):
        service.ready()
        first = gate(queue, tmp_path)
        file.write_text("RENDER_CONCURRENCY=3\nRENDER_TIMEOUT_SECONDS=0.2\nRENDER_SUPERVISOR_NAME=another\n")
        line = reload(service, "settings.reloaded")
        assert line["changed"] == ["RENDER_CONCURRENCY", "RENDER_TIMEOUT_SECONDS"]
        assert service.events("settings.need_restart")[-1]["settings"] == ["RENDER_SUPERVISOR_NAME"]
        # Beside the first, which occupies the one child that there was; under the new time limit.
        assert queue.final(queue.enqueue("sleep", {}))["failure"] == "timeout"
        queue.until_row("select concurrency from jobsupervisor.supervisor", lambda row: row["concurrency"] == 3)
        (tmp_path / "gate").touch()
        assert artifact(queue.final(first)) == b"passed the gate"
        assert queue.outcomes(first) == ["ok"]
        file.write_text("")
        assert "RENDER_TIMEOUT_SECONDS" in reload(service, "settings.reloaded")["changed"]
        (tmp_path / "gate").unlink()
        third = gate(queue, tmp_path)
        (tmp_path / "gate").touch()
        assert artifact(queue.final(third)) == b"passed the gate"
        assert service.stop() == 0


def test_fewer_children_finish_what_they_have(database: str, tmp_path: Path) -> None:
    """With less concurrency than jobs under way the jobs are finished; then as many run at once as are allowed now."""
    file = tmp_path / "environment"
    file.write_text("RENDER_CONCURRENCY=3\n")
    with Service(database, tmp_path, RENDER_ENVIRONMENT_FILE=file) as service, Queue(database) as queue:
        service.ready()
        jobs = [gate(queue, tmp_path) for _ in range(3)]
        file.write_text("RENDER_CONCURRENCY=1\n")
        reload(service, "settings.reloaded")
        (tmp_path / "gate").touch()
        for job in jobs:
            assert artifact(queue.final(job)) == b"passed the gate"
        (tmp_path / "gate").unlink()
        running = gate(queue, tmp_path)
        waiting = queue.enqueue("write", {"text": "later"})
        reload(service, "settings.reloaded")  # a whole turn of the loop in which it could have been claimed
        assert queue.job(waiting)["status"] == "queued"
        (tmp_path / "gate").touch()
        assert artifact(queue.final(running)) == b"passed the gate"
        assert artifact(queue.final(waiting)) == b"later"
        assert service.stop() == 0


def test_a_mistake_leaves_everything_as_it_was(database: str, tmp_path: Path) -> None:
    """Every mistake is told, of form and of value; what is right beside it does not take effect either."""
    file = tmp_path / "environment"
    file.write_text("RENDER_LOG_LEVEL=info\n")
    with Service(database, tmp_path, RENDER_ENVIRONMENT_FILE=file) as service, Queue(database) as queue:
        service.ready()
        file.write_text("RENDER_LOG_LEVEL=error\nRENDER_CONCURRENCY=many\nWORKER_MEMORY_LIMIT_MB=1\n")
        problems = reload(service, "settings.refused")["problems"]
        assert [problem.partition(":")[0] for problem in problems] == ["RENDER_CONCURRENCY", "WORKER_MEMORY_LIMIT_MB"]
        file.write_text("RENDER_LOG_LEVEL=error\nhunter2\nRENDER_CONCURRENCY='2\n")
        problems = reload(service, "settings.refused")["problems"]
        assert [problem.partition(": ")[0] for problem in problems] == [f"{file}:2", f"{file}:3"]
        file.unlink()
        assert "No such file" in reload(service, "settings.refused")["problems"][0]
        assert "hunter2" not in service.log.read_text()
        assert artifact(queue.final(queue.enqueue("write", {"text": "goes on"}))) == b"goes on"
        assert service.stop() == 0
        # What the log's level had hidden.
        assert service.events("job.completed")
