"""What a plug-in needs beyond every child: refused unless the operator allows it, and then for that kind only."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from renderer.needs import NONE, Needs
from supervisor.settings import load
from tests.service.support import PATIENCE, Service, artifact, service_and_queue

KINDS = ("read", "start", "threads", "swell")
NEEDY = ",".join(f"{name}=tests.kinds.needy:{name}" for name in KINDS)
# Each twice, as two kinds of one renderer: one that is allowed what it needs, and one that is not.
POOR = ",".join(f"poor-{name}=tests.kinds.needy:{name}" for name in KINDS)


def run_all(
    database: str, here: Path, allowed: str, jobs: list[tuple[str, dict[str, Any]]], **options: Any
) -> list[bytes]:
    """Return the artifacts of some jobs, all of them in the queue at once."""
    plugins = f"{NEEDY},{POOR}"
    with service_and_queue(database, here, RENDER_PLUGINS=plugins, RENDER_ALLOW_NEEDS=allowed, **options) as (_, queue):
        ids = [queue.enqueue(kind, spec) for kind, spec in jobs]
        return [artifact(queue.final(job)) for job in ids]


def test_a_directory(database: str, tmp_path: Path) -> None:
    """It can be read by the kind that it was allowed to, live and with what is inside; by no other kind."""
    shown = tmp_path / "shown"
    (shown / "deeper").mkdir(parents=True)
    for directory in (tmp_path, shown, shown / "deeper"):
        directory.chmod(0o755)
    (shown / "deeper" / "file").write_text("seen")
    (tmp_path / "beside").write_text("hidden")
    inside, beside = {"path": str(shown / "deeper" / "file")}, {"path": str(tmp_path / "beside")}
    jobs = [("read", inside), ("poor-read", inside), ("read", beside), ("read", inside)]
    found = run_all(database, tmp_path, f"read:read={shown}", jobs)
    assert found == [b"seen", b"FileNotFoundError", b"FileNotFoundError", b"seen"]


def test_programs(database: str, tmp_path: Path) -> None:
    """They run for the kind that may start them, as nobody and in its files; no other kind can start one."""
    say = {"command": "echo $$ $(id -u) $(ls -d /etc/passwd 2>&1 | wc -l); test -r /etc/passwd || echo denied"}
    first, second = run_all(database, tmp_path, "start:subprocesses", [("start", say), ("poor-start", say)])
    assert second == b"PermissionError"
    number, user, *_ = first.split()
    assert int(number) < 100
    assert int(user) != 0
    assert first.endswith(b"denied\n")


def test_threads(database: str, tmp_path: Path) -> None:
    """As many as were allowed, the first one included; for the others the usual number."""
    jobs = [("threads", {"count": 100}), ("poor-threads", {"count": 100})]
    assert run_all(database, tmp_path, "threads:threads=48", jobs) == [b"47", b"31"]


def test_memory_of_programs_is_summed(database: str, tmp_path: Path) -> None:
    """Programs that left their child, each below the limit, are killed with it when all of them are above."""
    plugins = f"{NEEDY},{POOR}"
    with service_and_queue(
        database,
        tmp_path,
        RENDER_PLUGINS=plugins,
        RENDER_ALLOW_NEEDS=f"swell:subprocesses,swell:read={sys.prefix}",
        RENDER_OFFENCE_LIMIT=1,
    ) as (service, queue):
        job = queue.enqueue("swell", {"processes": 6, "python": "/usr/bin/python3"}, memory_mb=150)
        row = queue.final(job)
        assert (row["failure"], row["status"]) == ("memory", "failed"), row["error"]
        left = [process for process in service.processes() if "setsid" in " ".join(process.cmdline())]
        _, alive = psutil.wait_procs(left, timeout=PATIENCE)
        assert alive == []


def test_needs_that_are_not_allowed(database: str, tmp_path: Path) -> None:
    """The kind is not available, and the log says which setting would make it so; the other kinds go on."""
    plugins = "greedy=tests.kinds.needy:greedy"
    with service_and_queue(database, tmp_path, RENDER_PLUGINS=plugins, RENDER_ALLOW_NEEDS="greedy:threads=64") as (
        service,
        queue,
    ):
        (line,) = service.events("kind.unavailable")
        assert line["kind"] == "greedy"
        assert line["problem"].endswith("RENDER_ALLOW_NEEDS=greedy:subprocesses,greedy:read=/somewhere")
        assert queue.final(queue.enqueue("noop", {}))["status"] == "completed"


def test_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs of one kind are gathered, whatever their order; what is no need is named."""
    monkeypatch.setenv("RENDER_ALLOW_NEEDS", "a:read=/x/, b:threads=64,a:subprocesses,a:read=/y")
    assert load().allowed_needs == {
        "a": Needs(subprocesses=True, read=("/x", "/y")),
        "b": Needs(threads=64),
    }
    assert Needs().beyond(NONE) == []


@pytest.mark.parametrize("part", ["a", "a:everything", "a:read=here", "a:read=/", "a:threads=-1", ":subprocesses"])
def test_a_wrong_setting(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """The part that is wrong is told, with what it must be."""
    monkeypatch.setenv("RENDER_ALLOW_NEEDS", f"ok:subprocesses,{part}")
    with pytest.raises(Exception, match="RENDER_ALLOW_NEEDS: each must be kind:threads=N") as raised:
        load()
    assert f"got {part!r}" in str(raised.value)


def test_a_service_without_needs(database: str, tmp_path: Path) -> None:
    """An empty setting allows nothing and starts."""
    with Service(database, tmp_path, RENDER_ALLOW_NEEDS="") as service:
        service.ready()
