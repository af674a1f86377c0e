"""How many files a supervisor may have open, and how many it needs (RLIMIT_NOFILE, getrlimit(2)).

A login or a service manager gives a soft limit of 1,024, so that programs that use select(2) work, and a far higher hard limit,
for those that do not. This is one of the latter: it waits with epoll(7) and poll(2). So it raises its soft limit at the start,
and refuses to start with more children than the hard limit has room for. Children have a limit of their own
(renderer.sandbox), whatever this one is.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import weakref
from typing import Any

import structlog

from supervisor.errors import ConfigurationError

log = structlog.get_logger()

SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN})
"""What the kernel says where this process, or the machine, has no more of something: it passes, and is no fault of a job's."""

PER_CHILD = 3 + 2 * 8 + 2 * 4
"""Of one child: its job socket, its log pipe and its pidfd; the empty outputs that are kept for it, each open twice; and the outputs
of what it holds ahead."""
OTHERS = 256 + 2 * 256
"""Connections of the database and of HTTP, files that are served and stored, and what libraries keep; and the outputs that wait for
the disk (supervisor/artifacts/directory.py)."""
_QUIET_SECONDS = 10.0
"""Between two lines of the log that tell of a shortage."""
_told: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, float] = weakref.WeakKeyDictionary()


def raise_limit() -> None:
    """Raise the soft limit to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Not where the machine's own limit (fs.nr_open) has been lowered below it since: then what there is must do.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def needed(children: int) -> int:
    """Return how many files so many children take to be open, at most."""
    return OTHERS + PER_CHILD * children


def limit() -> int | None:
    """Return the hard limit; None where there is none."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def require(children: int) -> None:
    """Make sure that so many children can be served. Raises ConfigurationError."""
    most = limit()
    if most is None or most >= needed(children):
        return
    fewer = (most - OTHERS) // PER_CHILD
    way_out = f"or set RENDER_CONCURRENCY to at most {fewer}" if fewer > 0 else "which is too low for a single one"
    raise ConfigurationError(
        f"RENDER_CONCURRENCY: {children} children need {needed(children)} open files, and the hard limit of this process is "
        f"{most}; raise it (LimitNOFILE= of the unit, `ulimit -Hn`, `--ulimit nofile=` of a container), {way_out}"
    )


def tell_shortage(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Be the loop's handler of errors that nobody awaits: a shortage is told in a line, everything else as ever.

    A connection that cannot be accepted is one: asyncio itself tries again after a second.
    """
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in SHORT:
        tell(loop, context.get("message"), error)
    else:
        loop.default_exception_handler(context)


def tell(loop: asyncio.AbstractEventLoop, doing: str | None, error: OSError) -> None:
    """Tell of a shortage in the log, once for many: of one connection asyncio tells as often as the backlog is long."""
    if loop.time() - _told.get(loop, -_QUIET_SECONDS) >= _QUIET_SECONDS:
        _told[loop] = loop.time()
        log.warning("machine.short", doing=doing, problem=str(error))
