"""A service whose log nobody takes: it goes on, drops lines, counts them, and tells how many when somebody reads again."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.prepared import CHECKOUT
from tests.service.support import PATIENCE, WITHOUT_SCENE, Queue, Service
from tests.web.support import free_port

JOBS = 40
CTRL_S, CTRL_Q = b"\x13", b"\x11"
FIRST_LINE = b"a line of others, for whom the pipe is\n"


class Log(NamedTuple):
    """A standard error; `read` opens it again and returns what a reader then gets until the service is gone."""

    stderr: int
    read: Callable[[], bytes] | None


def _read_all(descriptor: int) -> bytes:
    told = b""
    while select.select([descriptor], [], [], PATIENCE)[0]:
        try:
            data = os.read(descriptor, 1 << 16)
        except OSError:  # a terminal whose last writer is gone
            break
        if not data:
            break
        told += data
    return told


def _fill(descriptor: int) -> None:
    """Fill a pipe or a terminal; leave the flags that its writers share as they were."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, FIRST_LINE * 100)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"\n")
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)


@contextlib.contextmanager
def full_pipe() -> Iterator[Log]:
    """Yield a pipe that has no room."""
    reader, writer = os.pipe()
    _fill(writer)
    yield Log(writer, lambda: _read_all(reader))
    os.close(reader)


@contextlib.contextmanager
def closed_pipe() -> Iterator[Log]:
    """Yield a pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    yield Log(writer, None)


@contextlib.contextmanager
def full_disk() -> Iterator[Log]:
    """Yield a file on a disk that is full."""
    yield Log(os.open("/dev/full", os.O_WRONLY), None)


@contextlib.contextmanager
def full_socket() -> Iterator[Log]:
    """Yield a socket that has no room."""
    reader, writer = socket.socketpair()
    with reader:
        _fill(writer.fileno())
        yield Log(writer.detach(), lambda: _read_all(reader.fileno()))


@contextlib.contextmanager
def stopped_terminal() -> Iterator[Log]:
    """Yield a terminal on which somebody pressed Ctrl-S."""
    ours, theirs = pty.openpty()
    os.write(ours, CTRL_S)

    def resume() -> bytes:
        os.write(ours, CTRL_Q)
        return _read_all(ours)

    yield Log(theirs, resume)
    os.close(ours)


UNREAD = [full_pipe, closed_pipe, full_disk, full_socket, stopped_terminal]


def dropped(port: int) -> float:
    """Return the count of dropped lines, of the metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/metrics", timeout=PATIENCE) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("jobsupervisor_log_lines_dropped_total "):
                return float(line.split()[1])
    raise AssertionError("no counter")


class Unread(Service):
    """A service whose standard error is a descriptor of ours; it is closed here once the service has it."""

    def __init__(self, stderr: int, url: str, directory: Path, **settings: object) -> None:
        self.stderr = stderr
        super().__init__(url, directory, **settings)
        os.close(stderr)


@pytest.mark.parametrize("unread", UNREAD, ids=lambda made: made.__name__)
def test_the_service_goes_on(
    unread: Callable[[], contextlib.AbstractContextManager[Log]], database: str, tmp_path: Path
) -> None:
    """Jobs are rendered and acknowledged, HTTP answers, lines are dropped and counted, SIGTERM ends it with 0.

    A full pipe stopped acks, HTTP and SIGTERM; a closed one or a full disk ended the service.
    """
    port = free_port()
    with unread() as log:
        settings: dict[str, Any] = {"HTTP_PORT": port, "RENDER_LOG_FORMAT": "json"}
        with Unread(log.stderr, database, tmp_path, **settings) as service, Queue(database) as queue:
            service.ready()
            deadline = time.monotonic() + PATIENCE
            # Some of a terminal's, or of what is kept, until there is no room: so until some are dropped.
            while not dropped(port):
                assert time.monotonic() < deadline
                # A long id makes long lines.
                jobs = [queue.enqueue("noop", {}, correlation_id="x" * 255) for _ in range(JOBS)]
                assert {queue.final(job)["status"] for job in jobs} == {"completed"}
            assert service.process.poll() is None
            service.process.send_signal(signal.SIGTERM)
            if log.read is None:
                assert service.process.wait(PATIENCE) == 0
                return
            text = log.read()
            assert service.process.wait(PATIENCE) == 0
    lines = [json.loads(line) for line in text.replace(b"\r\n", b"\n").splitlines() if line.startswith(b"{")]
    assert [line["lines_dropped"] > 0 for line in lines if line["event"] == "log.lines_dropped"] == [True]


def test_the_fork_server_does_not_wait_for_a_reader_either(database: str, tmp_path: Path) -> None:
    """A plug-in that writes more than a pipe holds while it is imported, and then fails: the service starts without it."""
    (tmp_path / "talks.py").write_text("import os\nfor _ in range(100): os.write(2, b'x' * 4000)\n1 / 0\n")
    settings: dict[str, Any] = {
        "PYTHONPATH": f"{CHECKOUT}:{tmp_path}",
        "RENDER_PLUGINS": f"{WITHOUT_SCENE},talks=talks:render",
        "RENDER_LOG_FORMAT": "json",
    }
    with (
        full_pipe() as log,
        Unread(log.stderr, database, tmp_path, **settings) as service,
        Queue(database) as queue,
    ):
        service.ready()
        assert queue.final(queue.enqueue("noop", {}))["status"] == "completed"
        assert service.stop() == 0
