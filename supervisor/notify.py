"""Tells systemd how the service is doing (sd_notify(3)). Nothing happens where it is not asked for."""

from __future__ import annotations

import contextlib
import os
import socket
import time

from supervisor.stopping import MANAGER_SECONDS

_PATIENCE = 1.0
"""Seconds that a message waits for a manager that is behind with its reading."""


def notify(*, patience: float = _PATIENCE, **state: str | int) -> None:
    """Send `KEY=value` lines to the service manager; one that is not there, or does not read, is no fault of ours.

    A datagram to a full queue waits until somebody reads (unix(7)), and all jobs would wait with it: so it is given up.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    text = "\n".join(f"{key}={value}" for key, value in state.items())
    # Whatever the kernel refuses, a socket to begin with.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(patience)
        # A leading @ stands for the abstract namespace.
        sock.sendto(text.encode(), "\0" + address[1:] if address.startswith("@") else address)


def ready() -> None:
    """Say that jobs are being taken; after `reloading`, that the settings are those of the file."""
    notify(READY=1)


def reloading() -> None:
    """Say that settings are being read again. By the time the manager knows which of its requests this answers."""
    notify(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)


def stopping(drain_seconds: float) -> None:
    """Say that the service ends, and how long that may take: the unit cannot know what RENDER_SHUTDOWN_SECONDS is."""
    notify(STOPPING=1, EXTEND_TIMEOUT_USEC=round((drain_seconds + MANAGER_SECONDS) * 1e6))


def status(text: str) -> None:
    """Set the line that `systemctl status` shows. The next one says it too: this one waits for nobody."""
    notify(patience=0.0, STATUS=text.replace("\n", " "))
