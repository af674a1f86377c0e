"""The unit under a real systemd: it starts, is told to reload, hangs, is killed, is stopped; and what it can reach."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderer import samples
from tests.service.support import Queue
from tests.systemd.machine import CREDENTIAL, GATES, UNIT, Machine

PLUGINS = "gate=tests.kinds.behaviour:gate,sleep=tests.kinds.behaviour:sleep"


@pytest.fixture
def queue(url: str) -> Iterator[Queue]:
    """Provide a client."""
    with Queue(url, PLUGINS) as queue:
        yield queue


def gate(machine: Machine, queue: Queue, name: str) -> str:
    """Enqueue a job that waits for a file; return when it runs."""
    machine.run("rm", "-f", f"{GATES}/{name}")
    job = queue.enqueue("gate", {"gate": f"{GATES}/{name}"}, correlation_id=f"request-{name}")
    queue.running(job)
    return job


def opened(machine: Machine, queue: Queue, name: str, job: str) -> list[str]:
    """Let such a job go on; return the outcomes of its attempts when it has ended."""
    machine.run("touch", f"{GATES}/{name}")
    assert queue.final(job)["status"] == "completed"
    return queue.outcomes(job)


def said(machine: Machine, event: str, count: int = 1) -> bool:
    """Whether the service has logged an event, so many times since the machine was booted."""
    return len(machine.journal(f"_SYSTEMD_UNIT={UNIT}", f"EVENT={event}")) >= count


def events(machine: Machine, event: str) -> int:
    """Return how often the service has logged an event."""
    return len(machine.journal(f"_SYSTEMD_UNIT={UNIT}", f"EVENT={event}"))


def test_the_sandbox_of_the_children_is_whole(machine: Machine) -> None:
    """Inside the unit, a child tries each layer and is refused; nothing is missing."""
    machine.configure()
    unit = machine.run("cat", f"/usr/local/lib/systemd/system/{UNIT}")
    unit = unit.replace("Type=notify\n", "Type=oneshot\n").replace("jobsupervisor run", "jobsupervisor doctor --json")
    kept = [line for line in unit.splitlines() if not line.startswith(("Restart", "WatchdogSec"))]
    machine.write("/run/systemd/system/examined.service", "\n".join([*kept, ""]))
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "examined.service")
    lines = machine.journal("_SYSTEMD_UNIT=examined.service", "_TRANSPORT=stdout")
    checks = {check["name"]: check["state"] for check in json.loads("".join(line["MESSAGE"] for line in lines))}
    layers = {name: state for name, state in checks.items() if name.startswith("sandbox: ")}
    assert len(layers) == 10
    assert set(layers.values()) == {"ok"}
    assert "missing" not in checks.values()


def test_it_starts_and_renders(machine: Machine, queue: Queue, url: str) -> None:
    """The unit is active when jobs are taken; every kind renders inside its sandbox; the status line counts."""
    with machine.service():
        assert machine.shown("ActiveState") == "active"
        jobs = [
            queue.enqueue("svg", samples.svg()),
            queue.enqueue("scene", samples.scene(), config=json.dumps({"format": "gif", "width": 160, "height": 90})),
        ]
        for job in jobs:
            row = queue.final(job)
            assert row["status"] == "completed", row
            assert machine.run("sha256sum", row["output_url"].removeprefix("file://")).startswith(row["output_sha256"])
        line = "serving: 0 running, 0 waiting, 0 to acknowledge; 2 completed, 0 failed, 0 retried"
        machine.until(lambda: machine.shown("StatusText") == line, "two jobs in the status line")
        secret = url.partition("//")[2].partition("@")[0].partition(":")[2]
        environment = Path(f"/proc/{machine.main_process.pid}/environ").read_text()
        assert secret not in environment
        assert secret not in machine.log()
        assert secret in machine.run("cat", CREDENTIAL)


def test_log_lines_have_fields(machine: Machine, queue: Queue) -> None:
    """What became of a job is found in the journal by its id and by the request's, with kind and attempt as fields."""
    with machine.service():
        job = queue.enqueue("svg", samples.svg(), correlation_id="invoice 42")
        queue.final(job)
        machine.until(lambda: machine.journal(f"JOB_ID={job}", "EVENT=job.completed"), "the job's line")
        (line,) = machine.journal("CORRELATION_ID=invoice 42", "EVENT=job.completed")
        assert (line["JOB_ID"], line["KIND"], line["ATTEMPT"], line["OUTCOME"]) == (job, "svg", "1", "ok")
        assert (line["PRIORITY"], line["SYSLOG_IDENTIFIER"], line["_SYSTEMD_UNIT"]) == ("6", "jobsupervisor", UNIT)
        assert line["MESSAGE"].startswith("job.completed outcome=ok ")
        assert 'correlation_id="invoice 42"' in line["MESSAGE"]


def test_reload_drops_no_job(machine: Machine, queue: Queue) -> None:
    """`systemctl reload` puts new settings in force under a running job, says which need a restart, and charges nobody."""
    with machine.service():
        before = machine.shown("MainPID")
        job = gate(machine, queue, "reload")
        reloaded = events(machine, "settings.reloaded")
        machine.configure(RENDER_CONCURRENCY=3, RENDER_SANDBOX="best-effort")
        machine.systemctl("reload", UNIT)
        machine.until(lambda: said(machine, "settings.reloaded", reloaded + 1), "the reload")
        line = machine.journal(f"_SYSTEMD_UNIT={UNIT}", "EVENT=settings.need_restart")[-1]
        assert json.loads(line["SETTINGS"]) == ["RENDER_SANDBOX"]
        queue.until_row(
            "select concurrency from jobsupervisor.supervisor where name = 'unit'", lambda row: row["concurrency"] == 3
        )
        machine.until(lambda: machine.shown("ActiveState") == "active", "active again")
        machine.configure(RENDER_CONCURRENCY="many", RENDER_OFFENCE_LIMIT=0)
        machine.systemctl("reload", UNIT)
        machine.until(lambda: said(machine, "settings.refused"), "the refusal")
        line = machine.journal(f"_SYSTEMD_UNIT={UNIT}", "EVENT=settings.refused")[-1]
        assert [problem.partition(":")[0] for problem in json.loads(line["PROBLEMS"])] == [
            "RENDER_CONCURRENCY",
            "RENDER_OFFENCE_LIMIT",
        ]
        assert opened(machine, queue, "reload", job) == ["ok"]
        assert machine.shown("MainPID") == before


def test_a_hung_loop_is_replaced(machine: Machine, queue: Queue) -> None:
    """A supervisor that is stopped does not feed the watchdog: it is killed and started anew, and its job rescued."""
    with machine.service("WatchdogSec=2\nTimeoutAbortSec=1"):
        before, restarts = machine.shown("MainPID"), int(machine.shown("NRestarts"))
        job = gate(machine, queue, "watchdog")
        machine.signal(signal.SIGSTOP)
        machine.until(lambda: int(machine.shown("NRestarts")) > restarts, "a restart")
        machine.until(lambda: machine.shown("ActiveState") == "active", "active again")
        assert machine.shown("MainPID") != before
        assert opened(machine, queue, "watchdog", job) == ["lost", "ok"]
        assert any("Watchdog timeout" in line["MESSAGE"] for line in machine.journal(f"UNIT={UNIT}"))


def test_a_killed_supervisor_comes_back_for_its_jobs(machine: Machine, queue: Queue) -> None:
    """After SIGKILL nothing is left of it, its successor is there, and takes its jobs over."""
    with machine.service():
        job = gate(machine, queue, "killed")
        restarts = int(machine.shown("NRestarts"))
        machine.signal(signal.SIGKILL)
        machine.until(lambda: int(machine.shown("NRestarts")) > restarts, "a restart")
        assert opened(machine, queue, "killed", job) == ["lost", "ok"]


def test_stop_drains_for_as_long_as_the_setting_says(machine: Machine, queue: Queue) -> None:
    """A stop lets a job finish, though the unit's own time-out is shorter: the service tells how long it may take."""
    with machine.service("TimeoutStopSec=1", RENDER_SHUTDOWN_SECONDS=80):
        job = gate(machine, queue, "drain")
        drained = events(machine, "supervisor.draining")
        machine.systemctl("stop", "--no-block", UNIT)
        machine.until(lambda: said(machine, "supervisor.draining", drained + 1), "the drain")
        machine.until(lambda: machine.shown("StatusText").startswith("draining: 1 running"), "it in the status line")
        machine.run("sleep", "1.5")  # what the unit alone would allow; a slower machine only allows more
        assert opened(machine, queue, "drain", job) == ["ok"]
        machine.until(lambda: machine.shown("ActiveState") == "inactive", "the end")
        assert machine.shown("Result") == "success"


def test_a_wrong_setting_is_not_tried_again(machine: Machine) -> None:
    """Exit code 2 ends the unit with every mistake in the log: to start it again would not put it right."""
    machine.configure(RENDER_CONCURRENCY="many", RENDER_OFFENCE_LIMIT=0)
    machine.systemctl("daemon-reload")
    machine.systemctl("start", UNIT, check=False)
    assert (machine.shown("ActiveState"), machine.shown("ExecMainStatus")) == ("failed", "2")
    lines = machine.log().splitlines()
    assert any(line.startswith("RENDER_CONCURRENCY: ") for line in lines)
    assert any(line.startswith("RENDER_OFFENCE_LIMIT: ") for line in lines)
    machine.systemctl("reset-failed", UNIT)
