"""What the service manager is told: nothing of the supervisor may wait for a manager that does not read."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from supervisor import notify


def test_a_manager_that_does_not_read_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not take is dropped; when it reads again, it is told again."""
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(0)
        # More than any queue of datagrams holds (net.unix.max_dgram_qlen).
        for number in range(2000):
            notify.status(f"serving: {number}")
        told = []
        with contextlib.suppress(BlockingIOError):
            while True:
                told.append(manager.recv(4096))
        notify.status("serving again")
        assert told[0] == b"STATUS=serving: 0"
        assert len(told) < 2000
        assert manager.recv(4096) == b"STATUS=serving again"
