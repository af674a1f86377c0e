"""One chaos run, from an empty database to a report."""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import structlog

from supervisor.embedded import EmbeddedServer
from supervisor.retention import keep_house
from supervisor.store.kinds import register_plugins
from supervisor.store.migrate import migrate
from tests.chaos import check_files, check_queue, check_rest
from tests.chaos.admin import PATIENCE, Admin
from tests.chaos.client import Client
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.monkey import ENDED, Monkey
from tests.chaos.proxy import Proxy
from tests.chaos.report import Report
from tests.chaos.watcher import Watcher
from tests.service.support import PLUGINS

_CLIENTS = 3
_DRY_SECONDS = 180.0
_LIVE = "select count(*) from render_jobs where status in ('queued', 'processing')"
# What is committed must outlive an immediate shutdown; the server of a test does without, as a rule.
_SERVER = {"synchronous_commit": "on"}


@dataclass(slots=True)
class Scene:
    """All parties of a run."""

    server: EmbeddedServer
    admin: Admin
    proxy: Proxy
    watcher: Watcher
    fleet: Fleet
    ledger: Ledger


def run(directory: Path, seed: int, *, seconds: float | None = None, actions: int | None = None) -> Report:
    """Let the monkey work for so long, or so often; return what was found. Call it in the main thread."""
    report = Report(seed)
    check_rest.become_subreaper()
    before = check_rest.Before.now()
    started = time.monotonic()
    with _scene(directory) as scene:
        if not scene.fleet.until(lambda: all(member.serving for member in scene.fleet.members), PATIENCE):
            raise RuntimeError(f"the supervisors did not start; their logs are in {directory}")
        descriptors = check_rest.descriptors(scene.fleet)
        monkey = _disturb(scene, Random(seed), directory, seconds, actions)  # noqa: S311 - a run that can be repeated
        report.problems += monkey.problems
        report.actions = monkey.done
        report.problems += _run_dry(scene)
        report.problems += check_rest.look_at_fleet(scene.fleet, scene.admin, descriptors)
        scene.fleet.stop()
        report.problems += check_rest.look_at_server(scene.admin)
        _compare(scene, directory, report)
    report.problems += check_rest.look_at_machine(before, scene.fleet.temporary)
    report.seconds = time.monotonic() - started
    return report


@contextlib.contextmanager
def _scene(directory: Path) -> Iterator[Scene]:
    """Put everybody on, and take them off again whatever happens."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer.start(options=_SERVER, roles=True))
        migrate(server.url())
        register_plugins(server.url(), dict(pair.split("=") for pair in PLUGINS.split(",")))
        (directory / "proxy").mkdir()
        proxy = Proxy(directory / "proxy", server.socket_directory / f".s.PGSQL.{server.port}")
        stack.callback(proxy.close)
        (directory / "logs").mkdir()
        watcher = Watcher(directory / "logs")
        stack.callback(watcher.close, PATIENCE)
        fleet = Fleet(proxy.url(server.url()), directory, watcher)
        stack.callback(fleet.close)
        yield Scene(server, Admin(server.url()), proxy, watcher, fleet, Ledger())


def _disturb(scene: Scene, random: Random, directory: Path, seconds: float | None, actions: int | None) -> Monkey:
    """Have clients and the monkey at work, until the monkey has had its time."""
    url = scene.proxy.url(scene.server.url())
    clients = [
        Client(number, url, random.getrandbits(64), directory / "gates", scene.admin, scene.watcher, scene.ledger)
        for number in range(1, _CLIENTS + 1)
    ]
    monkey = Monkey(random.getrandbits(64), scene.server, scene.admin, scene.proxy, scene.fleet, scene.watcher)
    for client in clients:
        client.start()
    try:
        monkey.work(seconds=seconds, actions=actions)
    finally:
        for client in clients:
            client.stop()
        for client in clients:
            client.join()
    return monkey


def _run_dry(scene: Scene) -> list[str]:
    """Wait until every job has come to its end."""
    deadline = time.monotonic() + _DRY_SECONDS
    while live := scene.admin.value(_LIVE):
        if time.monotonic() > deadline:
            return [f"{live} jobs did not come to an end"]
        goal = scene.watcher.count(*ENDED) + 1
        scene.fleet.until(lambda goal=goal: scene.watcher.count(*ENDED) >= goal, 1)  # type: ignore[misc]
    return []


def _compare(scene: Scene, directory: Path, report: Report) -> None:
    """Compare the database and the files with the ledger, and fill in the counts."""
    watcher, ledger = scene.watcher, scene.ledger
    queue = check_queue.look(scene.admin, ledger)
    files = check_files.look(directory / "artifacts", queue, ledger)
    report.problems += [*ledger.problems, *scene.fleet.problems, *queue.problems]
    report.problems += [f"a supervisor still has its log open: {name}" for name in watcher.close(PATIENCE)]
    report.problems += [f"not an event: {line}" for line in watcher.strange]
    for what, count in (("child killed", queue.killed), ("child stopped for a while", queue.overslept)):
        if count > report.actions[what]:
            report.problems.append(
                f"{count} attempts ended as after a {what}, which the monkey did {report.actions[what]} times"
            )
    report.lost, report.duplicated = queue.lost, queue.duplicated
    report.orders, report.statuses, report.honest_failed = len(ledger.orders), queue.by_status, queue.honest_failed
    report.redriven = sum(map(len, queue.redriven.values()))
    report.attempts = collections.Counter(each.outcome.value for some in queue.attempts.values() for each in some)
    report.rescues = watcher.count("job.rescued")
    report.given_back = watcher.count("claim.given_back")
    report.fenced = watcher.count("job.lease_lost")
    report.cut_off, report.sent_again = watcher.count("client.cut_off"), watcher.count("client.sent_again")
    report.published, report.orphans = files.published, len(files.orphans)
    with structlog.testing.capture_logs():
        kept = keep_house(scene.fleet.settings(scene.server.url()), orphan_seconds=0)
    report.collected = kept.orphans if kept else 0
    files = check_files.look(directory / "artifacts", queue, ledger)
    report.problems += [
        *files.problems,
        *(f"retention left a file that no job refers to: {path}" for path in files.orphans),
    ]
