"""What is told to the service manager: the watchdog's food, and the status line."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor import watchdog
from supervisor.status import StatusLine


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Provide what the service manager has been told since it was last asked."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        def said() -> list[str]:
            found = []
            while True:
                try:
                    found.append(sock.recv(4096).decode())
                except BlockingIOError:
                    return found

        yield said


INTERVALS: list[tuple[str | None, str | None, float | None]] = [
    ("30000000", None, 15.0),
    ("30000000", "our own", 15.0),
    ("30000000", "1", None),
    ("0", None, None),
    ("soon", None, None),
    (None, None, None),
]


@pytest.mark.parametrize(("microseconds", "process", "seconds"), INTERVALS)
def test_it_is_fed_where_the_manager_asks_for_it(
    monkeypatch: pytest.MonkeyPatch, microseconds: str | None, process: str | None, seconds: float | None
) -> None:
    """At half of the time that the manager waits, and not where it waits for somebody else or for nobody."""
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", process)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value.replace("our own", str(os.getpid())))
    assert watchdog.interval() == seconds


def test_it_starves_without_progress(manager: Callable[[], list[str]]) -> None:
    """It is fed as long as there is progress, and never again after there was none."""
    progress = iter([True, True, False])

    async def until_it_starves() -> None:
        asked = asyncio.Event()

        def makes_progress() -> bool:
            found = next(progress)
            if not found:
                asked.set()
            return found

        feeding = asyncio.create_task(watchdog.feed(0, makes_progress))
        await asked.wait()
        for _ in range(10):  # it would be asked again in each turn
            await asyncio.sleep(0)
        assert not feeding.done()
        feeding.cancel()

    asyncio.run(until_it_starves())
    assert manager() == ["WATCHDOG=1", "WATCHDOG=1"]


def test_the_status_line_is_told_when_it_changed(
    manager: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first change at once, many within a moment together, and nothing as long as nothing changes."""

    async def change() -> None:
        timers: list[Callable[[], None]] = []

        def call_later(_: float, callback: Callable[[], None]) -> object:
            timers.append(callback)
            return object()

        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", call_later)
        line = StatusLine()
        line.state("serving")
        timers.pop()()
        line.counts((1, 0, 0))
        for done in range(100):
            line.ended({"completed" if done else "retried": 1})
        line.counts((0, 0, 0))
        timers.pop()()
        assert len(timers) == 1
        timers.pop()()
        assert not timers
        line.state("database away")
        line.drains()
        timers.pop()()

    asyncio.run(change())
    assert manager() == [
        "STATUS=serving: 0 running, 0 waiting, 0 to acknowledge; 0 completed, 0 failed, 0 retried",
        "STATUS=serving: 1 running, 0 waiting, 0 to acknowledge; 0 completed, 0 failed, 0 retried",
        "STATUS=serving: 0 running, 0 waiting, 0 to acknowledge; 99 completed, 0 failed, 1 retried",
        "STATUS=database away: 0 running, 0 waiting, 0 to acknowledge; 99 completed, 0 failed, 1 retried",
        "STATUS=draining, database away: 0 running, 0 waiting, 0 to acknowledge; 99 completed, 0 failed, 1 retried",
    ]
