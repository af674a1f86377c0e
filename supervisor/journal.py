"""Sends log lines to systemd's journal with their values as fields (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).

`journalctl JOB_ID=…` finds what became of a job, `CORRELATION_ID=…` all that a request caused. The journal takes a line as
one datagram. What cannot be sent goes to standard error, as JSON: there the journal takes it too, without fields. A journal
that takes nothing for a while holds nobody up: lines are dropped, and the next one says how many (LINES_LOST).
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from supervisor.log_stream import LogStream

_ADDRESS = "/run/systemd/journal/socket"
_BUFFER = 8 * 1024 * 1024
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_NOT_IN_NAMES = re.compile(r"[^A-Z0-9_]")
_PLAIN = re.compile(r"[\w.:/@#%+,*-]+")
_TAKEN = frozenset({"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"})
_SPOKEN_FOR = frozenset({"timestamp", "level", "event", "exception"})
_MOST = 64  # characters of a field's name


def is_our_stderr() -> bool:
    """Whether standard error leads to the journal, as the service manager says (systemd.exec(5), $JOURNAL_STREAM)."""
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class JournalLogger:
    """What structlog writes to: one method for all levels, which takes the whole event."""

    def __init__(self, otherwise: Callable[[dict[str, Any]], None], address: str | None = None) -> None:
        self._otherwise = otherwise
        self._address = address or _ADDRESS
        self._lost = 0
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)

    def msg(self, event: Mapping[str, Any]) -> None:
        """Send one line."""
        fields = dict(event) | ({"lines_lost": self._lost} if self._lost else {})
        try:
            self._sock.sendto(datagram(fields), self._address)
        except BlockingIOError:
            self._lost += 1
            LogStream.dropped += 1
            return
        except OSError:
            self._otherwise(fields)
        self._lost = 0

    def close(self) -> None:
        """Send nothing more."""
        self._sock.close()

    debug = info = warning = warn = error = critical = fatal = exception = log = msg


def datagram(event: Mapping[str, Any]) -> bytes:
    """Return a line as the journal takes it."""
    fields = {
        "MESSAGE": _message(event),
        "PRIORITY": str(_PRIORITIES.get(event.get("level", "info"), 6)),
        "SYSLOG_IDENTIFIER": "jobsupervisor",
    }
    for key, value in event.items():
        if value is not None and key not in {"timestamp", "level"}:
            fields[_name(key)] = _text(value)
    return b"".join(_field(name, value.encode("utf-8", "replace")) for name, value in fields.items())


def _message(event: Mapping[str, Any]) -> str:
    """Return what a person reads: the event, its values, and where something was raised, how."""
    values = ((key, _text(value)) for key, value in event.items() if key not in _SPOKEN_FOR and value is not None)
    line = " ".join(
        [
            str(event.get("event", "")),
            *(
                f"{key}={text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)}"
                for key, text in values
            ),
        ]
    )
    return f"{line}\n{event['exception']}" if event.get("exception") else line


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


def _name(key: str) -> str:
    """Return a field's name: capitals, digits and underscores; a leading underscore is the journal's own."""
    name = _NOT_IN_NAMES.sub("_", key.upper()).lstrip("_0123456789")[:_MOST] or "FIELD"
    return f"FIELD_{name}" if name in _TAKEN else name


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return b"%b\n%b%b\n" % (name.encode(), struct.pack("<Q", len(value)), value)
    return b"%b=%b\n" % (name.encode(), value)
