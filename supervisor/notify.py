"""Tells systemd how the service is doing (sd_notify(3)). Nothing happens where it is not asked for."""

from __future__ import annotations

import os
import socket


def notify(**state: str | int) -> None:
    """Send `KEY=value` lines to the service manager; a manager that is not there is no fault of ours."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    text = "\n".join(f"{key}={value}" for key, value in state.items())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            # A leading @ stands for the abstract namespace.
            sock.sendto(text.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            return
