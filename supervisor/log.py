"""Log lines: JSON for machines, colours for people. Events are `noun.verb_past`, values are keys.

Libraries that log by themselves (psycopg's warnings, asyncio's) and Python's own warnings come out in the same form: a
line that is no JSON among those that are would be lost to whoever reads them, or stop him.
"""

from __future__ import annotations

import logging
import sys

import orjson
import structlog


def _in_order(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Put what a reader looks for first in front."""
    head = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return {**head, **event}


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


def configure(level: str, form: str) -> None:
    """Set up structlog for this process; `form` is auto (console on a terminal, else JSON), json or console."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _in_order,
    ]
    if console:
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
        factory: structlog.typing.WrappedLogger = structlog.PrintLoggerFactory(sys.stderr)
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
        cache_logger_on_first_use=True,
    )
    # What libraries say below a warning is about themselves.
    logging.basicConfig(
        level=max(logging.WARNING, getattr(logging, level.upper())), handlers=[_FromLibraries()], force=True
    )
    logging.captureWarnings(capture=True)
