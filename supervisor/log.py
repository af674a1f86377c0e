"""Log lines: JSON for machines, fields for the journal, colours for people. Events are `noun.verb_past`, values are keys.

Libraries that log by themselves (psycopg's warnings, asyncio's) and Python's own warnings come out in the same form: a
line that is no JSON among those that are would be lost to whoever reads them, or stop him.
"""

from __future__ import annotations

import functools
import logging
import sys

import orjson
import structlog

from supervisor import journal

_journal = functools.cache(journal.JournalLogger)
"""One socket, however often the log is set up."""


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
    global _least  # noqa: PLW0603 - a process has one log
    _least = getattr(logging, level.upper())
    if form == "auto":
        form = "console" if sys.stderr.isatty() else "journal" if journal.is_our_stderr() else "json"
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _in_order,
    ]
    if form == "console":
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
        factory: structlog.typing.WrappedLogger = structlog.PrintLoggerFactory(sys.stderr)
    elif form == "journal":
        processors += [structlog.processors.format_exc_info, _whole]
        to_the_journal = _journal()
        factory = lambda *_: to_the_journal  # noqa: E731 - what structlog calls for each logger
    else:
        processors += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=lambda event, **_: orjson.dumps(event, default=str)),
        ]
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=factory,
        # A logger that was kept would not follow when the level changes while the service runs.
        cache_logger_on_first_use=False,
    )
    # What libraries say below a warning is about themselves.
    logging.basicConfig(
        level=max(logging.WARNING, getattr(logging, level.upper())), handlers=[_FromLibraries()], force=True
    )
    logging.captureWarnings(capture=True)
