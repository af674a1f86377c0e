"""Log lines: JSON for machines, fields for the journal, colours for people. Events are `noun.verb_past`, values are keys.

Libraries that log by themselves (psycopg's warnings, asyncio's) and Python's own warnings come out in the same form: a
line that is no JSON among those that are would be lost to whoever reads them, or stop him.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import io
import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from supervisor import journal
from supervisor.log_stream import LogStream
from supervisor.plain_text import escaped

_STDERR = 2
Render = Callable[[dict[str, Any]], bytes]


def _json(event: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(event, default=str) + b"\n"
    except TypeError:
        # Half a character, as of a file's name that is no UTF-8: no text to orjson, and no reason to fail.
        return json.dumps(event, default=str, skipkeys=True).encode() + b"\n"


@functools.cache
def _renderer() -> structlog.dev.ConsoleRenderer:
    # Of tracebacks the plain kind: the other one prints the local variables of each frame, passwords among them.
    return structlog.dev.ConsoleRenderer(
        colors=os.isatty(_STDERR), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )


def _for_people(event: dict[str, Any]) -> bytes:
    tame = {escaped(str(key)): _tame(key, value) for key, value in event.items()}
    return f"{_renderer()(None, '', tame)}\n".encode(errors="backslashreplace")


def _tame(key: object, value: object) -> object:
    """Return a value that does nothing to a terminal: much of what is logged was written by strangers."""
    if isinstance(value, bool | int | float | None):
        return value
    return escaped(value if isinstance(value, str) else repr(value), lines=key in {"exception", "stack"})


_render: Render = _json


def _dropped(count: int) -> bytes:
    """Return the line that says how many lines are missing before it."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return _render({"timestamp": now, "level": "warning", "event": "log.lines_dropped", "lines_dropped": count})


@functools.cache
def _stream() -> LogStream:
    """Return the stream of this process; it is opened when the log is first set up."""
    stream = LogStream(_STDERR, _dropped)
    atexit.register(stream.finish)
    return stream


class _Lines:
    """What structlog writes to: one method for all levels, which takes the whole event."""

    def __init__(self, stream: LogStream, render: Render) -> None:
        self._stream = stream
        self._render = render

    def msg(self, event: dict[str, Any]) -> None:
        """Write one line."""
        self._stream.write(self._render(event))

    debug = info = warning = warn = error = critical = fatal = exception = log = msg


class _StandardError(io.TextIOBase):
    """Standard error for whoever prints there: Python's last words, a library's. Line by line, without waiting."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream
        self._begun = ""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return _STDERR

    def isatty(self) -> bool:
        return os.isatty(_STDERR)

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        if lines:
            self._stream.write("".join(f"{line}\n" for line in lines).encode(errors=self.errors))
        return len(text)

    def flush(self) -> None:
        if self._begun:
            begun, self._begun = self._begun, ""
            self._stream.write(begun.encode(errors=self.errors))


def never_wait() -> None:
    """Have nothing that this process prints to standard error wait for a reader: a service must not stop for its log."""
    sys.stderr = _StandardError(_stream())


def descriptor() -> int:
    """Return what a crash may write its last words to, without waiting where that can be had."""
    return _stream().descriptor


def drain_on(loop: asyncio.AbstractEventLoop) -> None:
    """Have a loop write what waits for room, as soon as there is some."""
    _stream().drain_on(loop)


@functools.cache
def _journal() -> journal.JournalLogger:
    """Return one socket, however often the log is set up."""
    return journal.JournalLogger(lambda event: _stream().write(_json(event)))


def _in_order(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Put what a reader looks for first in front."""
    head = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return {**head, **event}


def _whole(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> tuple[tuple[structlog.typing.EventDict], dict[str, object]]:
    """Hand on the event as it is, where structlog would take it apart."""
    return (event,), {}


class _FromLibraries(logging.Handler):
    """Hands on what comes through the standard library's logging."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            # Arguments that do not fit, a mistake of the library's; logging would print a traceback of its own.
            message = f"{record.msg} {record.args}"
        structlog.get_logger().log(
            record.levelno, "library.warned", logger=record.name, message=message, exc_info=record.exc_info
        )


_least = logging.INFO


def tells(level: int) -> bool:
    """Whether lines of this level are written: for who would say something of each job, which costs even where it is dropped."""
    return level >= _least


def configure(level: str, form: str) -> None:
    """Set up structlog for this process, again where it was; what holds a logger follows.

    `form` is json, console, journal, or auto: console on a terminal, journal where standard error leads there, else JSON.
    """
    global _least, _render  # noqa: PLW0603 - a process has one log
    _least = getattr(logging, level.upper())
    if form == "auto":
        form = "console" if os.isatty(_STDERR) else "journal" if journal.is_our_stderr() else "json"
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _in_order,
    ]
    _render = _for_people if form == "console" else _json
    processors += [structlog.processors.format_exc_info, _whole]
    logger = _journal() if form == "journal" else _Lines(_stream(), _render)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: logger,
        # A logger that was kept would not follow when the level changes while the service runs.
        cache_logger_on_first_use=False,
    )
    # What libraries say below a warning is about themselves.
    logging.basicConfig(
        level=max(logging.WARNING, getattr(logging, level.upper())), handlers=[_FromLibraries()], force=True
    )
    logging.captureWarnings(capture=True)
