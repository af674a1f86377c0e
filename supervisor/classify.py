"""Says which outcome an attempt had, from what the supervisor saw. Pure: no process, no clock, no database."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import Any, NamedTuple

from renderer.outcome import CHILD_MAY_SAY, Outcome
from supervisor.child_process import ExitStatus
from supervisor.media_types import is_media_type

MAX_ERROR = 4000
"""Characters of an error that are stored."""

# The last words of Rust and of C++ when an allocation fails. A stranger may write them too: both readings are offences.
_NO_MEMORY = re.compile(r"memory allocation of \d+ bytes failed|std::bad_alloc")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Kill:
    """Why the supervisor killed a child: the outcome that follows, and the sentence for people."""

    outcome: Outcome
    reason: str
    perhaps_dead: bool = False
    """It had closed its end, as one does that ends: how it did is not told while the fork server is stopped."""


class Observation(NamedTuple):
    """All that is known of an attempt when it is over: a reply, or an end without one."""

    reply: dict[str, Any] | None
    kill: Kill | None
    status: ExitStatus | None
    stderr_tail: str
    starved: bool
    """Its memory stood at the limit when it was last looked at."""
    out_of_memory: bool = False
    """The kernel ended it for its control group's memory."""
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None


def classify(seen: Observation) -> tuple[Outcome, str | None]:
    """Return the outcome and a message.

    A reply counts even from a child that died after it. Without one, a kill of ours explains the end; else the exit
    status does.
    """
    if seen.reply is not None:
        return _from_reply(seen.reply)
    if seen.kill is not None and not (seen.kill.perhaps_dead and _ended_by_itself(seen.status)):
        return seen.kill.outcome, seen.kill.reason
    if seen.status is None or not seen.status.known:
        return Outcome.INTERNAL, "the fork server ended, and the child with it"
    if seen.out_of_memory:
        return Outcome.MEMORY, "over its memory: the kernel ended what was in its control group"
    starved = seen.starved or _NO_MEMORY.search(seen.stderr_tail) is not None
    outcome, message = _from_status(seen.status, starved=starved)
    tail = printable(seen.stderr_tail).strip()
    return outcome, f"{message}\n{tail}"[:MAX_ERROR] if tail else message


def _ended_by_itself(status: ExitStatus | None) -> bool:
    return status is not None and status.known and status.signal != signal.SIGKILL


def _from_reply(reply: dict[str, Any]) -> tuple[Outcome, str | None]:
    """Take a child's word, as far as it goes: it may not claim an outcome that only the supervisor can find."""
    said = reply.get("outcome")
    # A stranger's JSON may hold a list there, which no set can be asked for.
    if not isinstance(said, str) or said not in CHILD_MAY_SAY:
        return Outcome.PROTOCOL, f"the reply must carry one of the outcomes of a reply, got {str(said)[:100]!r}"
    if said == Outcome.OK:
        content_type = reply.get("content_type")
        if not isinstance(content_type, str) or not is_media_type(content_type):
            return Outcome.BAD_OUTPUT, f"content_type must be a media type, got {str(content_type)[:100]!r}"
        return Outcome.OK, None
    return Outcome(said), printable(str(reply.get("error")))


def _from_status(status: ExitStatus, *, starved: bool) -> tuple[Outcome, str]:
    if status.signal is None:
        return Outcome.CRASH, f"the child ended with exit code {status.code} and without a reply"
    name = _signal_name(status.signal)
    if status.signal == signal.SIGXCPU:
        return Outcome.TIMEOUT, "over its processor time"
    if status.signal == signal.SIGXFSZ:
        return Outcome.LIMIT, "a file grew over the limit of the output"
    if status.signal == signal.SIGSYS:
        return Outcome.VIOLATION, f"a system call that the sandbox forbids ended the child ({name})"
    # A library that gets no memory often aborts or follows a null pointer.
    if starved and status.signal in {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP}:
        return Outcome.MEMORY, f"out of memory under the job's limit: the child ended with {name}"
    return Outcome.CRASH, f"the child ended with {name}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def printable(text: str) -> str:
    """Cut a stranger's text to what is stored, without what PostgreSQL's text or a terminal would choke on."""
    return _CONTROL.sub("�", text)[:MAX_ERROR]
