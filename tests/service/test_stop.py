"""The end of a service: what a drain waits for, and what it does not."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from supervisor.embedded import EmbeddedServer
from supervisor.store.migrate import migrate
from tests.service.support import PATIENCE, Queue, Service, artifact


def hours(queue: Queue) -> str:
    """Enqueue a job that never ends; return when it runs."""
    job = queue.enqueue("sleep", {})
    queue.running(job)
    return job


def ask_twice(service: Service) -> int:
    """Send SIGTERM, and again when the drain has begun; return the exit code."""
    service.process.send_signal(signal.SIGTERM)
    service.wait_for_notice("STATUS=draining")
    return service.stop()


@contextlib.contextmanager
def silent(server: EmbeddedServer) -> Iterator[None]:
    """Stop all processes of a server: connections stand, and nothing is answered."""
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    try:
        _all(processes, psutil.Process.suspend)
        yield
    finally:
        _all(processes, psutil.Process.resume)


def _all(processes: list[psutil.Process], action: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # one of a session that was at its end
            action(process)


def test_the_manager_is_told_how_long_a_stop_may_take(database: str, tmp_path: Path) -> None:
    """The time-out of a unit need not know RENDER_SHUTDOWN_SECONDS: the service asks for what it may take, and some more."""
    with Service(database, tmp_path, RENDER_SHUTDOWN_SECONDS=120) as service:
        service.ready()
        service.process.send_signal(signal.SIGTERM)
        said = dict(line.split("=", 1) for line in service.wait_for_notice("STOPPING=1").splitlines())
        assert int(said["EXTEND_TIMEOUT_USEC"]) > 120e6
        assert service.process.wait(PATIENCE) == 0


def test_a_second_signal_ends_a_drain_and_charges_nobody(database: str, tmp_path: Path) -> None:
    """The first SIGTERM would wait an hour; the second kills what runs, gives it back uncharged, and exits with 0."""
    with Service(database, tmp_path, RENDER_SHUTDOWN_SECONDS=3600) as service, Queue(database) as queue:
        service.ready()
        job = hours(queue)
        assert ask_twice(service) == 0
        row = queue.job(job)
        assert (row["status"], row["attempts"], queue.outcomes(job)) == ("queued", 0, ["internal"])
        assert not queue.rows("select from jobsupervisor.supervisor")
        assert not service.events("supervisor.left_behind")


def test_a_second_signal_does_not_wait_for_a_database_that_is_silent(tmp_path: Path) -> None:
    """The server accepts everything and answers nothing: the service ends all the same, and no job is lost."""
    with EmbeddedServer.start() as server:
        migrate(server.url())
        with Service(server.url(), tmp_path, RENDER_SHUTDOWN_SECONDS=3600) as service:
            with Queue(server.url()) as queue:
                service.ready()
                job = hours(queue)
            with silent(server):
                assert ask_twice(service) == 0
            assert len(service.events("supervisor.left_behind")) == 1
        with Queue(server.url()) as queue, Service(server.url(), tmp_path, RENDER_OFFENCE_LIMIT=9) as successor:
            successor.ready()
            # Rescued; or given back, where what was sent last waited in the server's socket and was read after all.
            queue.until(job, lambda _: queue.outcomes(job)[:1] in (["lost"], ["internal"]))
            assert successor.stop(signal.SIGKILL) == -signal.SIGKILL


def test_a_signal_during_the_start_ends_it(database: str, tmp_path: Path) -> None:
    """SIGTERM before the service is ready is not forgotten: it ends without having taken a job."""
    with Service(database, tmp_path) as service, Queue(database) as queue:
        job = queue.enqueue("write", {"text": "for the next one"})
        service.wait_for_notice("STATUS=starting")
        assert service.stop() == 0
        assert queue.job(job)["attempts"] == 0
        with Service(database, tmp_path) as successor:
            successor.ready()
            assert artifact(queue.final(job)) == b"for the next one"
            assert successor.stop() == 0
