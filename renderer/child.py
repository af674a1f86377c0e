"""A child: reads one job, draws, writes to the output it was handed, answers, waits for the next.

It trusts the supervisor and nothing else. Everything a job does to it ends with it: the supervisor lets it go on to
another job only after a kind that is declared reusable and an answer that says `ok` or `invalid`.

Messages (renderer.wire). To the child: jobs, one or several at once, with the descriptors of their outputs beside them.
From it: `ready` once, `progress` at most ten times a second, `done`. A child whose socket is closed by the supervisor ends.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import os
import resource
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

import orjson
import setproctitle
from pydantic import ValidationError

from renderer import sandbox, wire
from renderer.errors import InvalidSpec, LimitExceeded
from renderer.outcome import Outcome
from renderer.output import Output
from renderer.registry import Kind
from renderer.sandbox import checklist, steps
from renderer.sandbox.joblimits import LimitsInForce
from renderer.sandbox.steps import Birth

_PROGRESS_INTERVAL = 0.1  # seconds between progress messages: a person watches, nothing counts them
_ROOM = 64 * 1024  # bytes: a file system with less counts as full
_MAX_MESSAGE = 2000  # characters of an error message that are worth keeping


def main(birth: Birth, kinds: Mapping[str, Kind]) -> NoReturn:
    """Be a child, from the fork to the end. Never returns, never raises."""
    status = 1
    try:
        setproctitle.setproctitle("jobsupervisor: child [spare]")
        state, failure = _enter(birth)
        number = steps.take_sockets()
        if number is not None:
            setproctitle.setproctitle(f"jobsupervisor: child {number} [starting]")
            with socket.socket(fileno=sandbox.JOB_SOCKET) as sock:
                os.write(2, failure.encode())
                if state is not None:
                    wire.send(sock, state)
                    if state["type"] == "ready":
                        Child(number, sock, kinds).serve()
                        status = 0
    except BaseException:  # noqa: BLE001 - whatever a stranger left in the way
        os.write(2, traceback.format_exc().encode())
    finally:
        # Nothing may unwind into the fork server's frames, not even what goes wrong while the rest is told.
        os._exit(status)


def _enter(birth: Birth) -> tuple[dict[str, Any] | None, str]:
    """Enter the sandbox. Return what the supervisor is to be told, and what belongs into the log.

    Both are kept until there is somebody to tell.
    """
    try:
        layers, proved = checklist.enter(birth)
        # The traceback of a crash in native code goes to the log pipe, and its tail into the attempt's error.
        faulthandler.enable(sys.__stderr__ or 2, all_threads=False)
    except sandbox.LayerMissing as missing:
        return {"type": "layer_missing", "reason": str(missing)}, ""
    except Exception:  # noqa: BLE001 - whatever it is, it is ours and no job's
        return None, traceback.format_exc()
    return {"type": "ready", "layers": layers, "proved": proved}, ""


class Child:
    """The loop of one child."""

    def __init__(self, number: int, sock: socket.socket, kinds: Mapping[str, Kind]) -> None:
        self._number = number
        self._sock = sock
        self._kinds = kinds
        self._limits = LimitsInForce()
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        """What this process had used up when the last job was over."""
        self._last_progress = 0.0

    def serve(self) -> None:
        """Work until the supervisor closes the socket."""
        jobs = wire.JobReader(self._sock, on_wait=lambda: self._title("idle"))
        while (received := self._next(jobs)) is not None:
            job, spec, config, output = received
            self._title(f"{job['kind']} {job['id']}")
            # What writes nothing gets a descriptor that takes everything.
            output = os.dup(0) if output is None else output
            try:
                answer = self._attempt(job, spec, config, output)
            finally:
                with contextlib.suppress(OSError):  # a renderer closed it, as with os.fdopen() it easily does
                    os.close(output)
            # One by one: the supervisor goes by them as to which job this child is at.
            wire.send(self._sock, answer)

    def _next(self, jobs: wire.JobReader) -> tuple[dict[str, Any], bytes, bytes, int | None] | None:
        """Return the next job, or None at the end: the supervisor's, or this child's for want of descriptors."""
        try:
            return jobs.next()
        except wire.DescriptorLost as lost:
            # Jobs before this one left too many open. It has not begun, and gets another child.
            answer = {"type": "done", "id": lost.head["id"], "attempt": lost.head["attempt"], "cpu_seconds": 0.0}
            wire.send(self._sock, answer | {"outcome": Outcome.INTERNAL, "error": str(lost), "peak_memory_bytes": None})
            return None

    def _title(self, state: str) -> None:
        setproctitle.setproctitle(f"jobsupervisor: child {self._number} [{state}]")

    def _attempt(self, job: dict[str, Any], spec: bytes, config: bytes, output: int) -> dict[str, Any]:
        """Render one job; return the answer."""
        before = self._usage
        answer: dict[str, Any] = {"type": "done", "id": job["id"], "attempt": job["attempt"]}
        try:
            answer |= self._render(job, _parse(spec, "spec"), _parse(config, "config"), output)
        except BaseException as error:  # noqa: BLE001 - panics of Rust libraries and sys.exit() are BaseException
            answer |= _told(error, output)
        self._usage = after = resource.getrusage(resource.RUSAGE_SELF)
        answer["cpu_seconds"] = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
        # ru_maxrss is the peak of the whole life of the process (getrusage(2)): it is this job's only if it rose.
        answer["peak_memory_bytes"] = after.ru_maxrss * 1024 if after.ru_maxrss > before.ru_maxrss else None
        return answer

    def _render(self, job: dict[str, Any], spec: Any, config: Any, output: int) -> dict[str, Any]:
        kind = self._kinds[job["kind"]]
        self._limits.apply(job["limits"], self._usage, final=not kind.declared.reusable)
        if kind.declared.spec is not None:
            spec = kind.declared.spec.model_validate(spec)
        if kind.declared.config is not None:
            try:
                config = kind.declared.config.model_validate(config)
            except ValidationError as error:
                message, field = _first_problem(error, "config")
                raise InvalidSpec(message, field=field) from None
        out = Output(output, lambda fraction: self._report(job, fraction))
        kind.render(spec, config, out)
        if not out.closed:
            out.flush()
        return {"outcome": Outcome.OK, "content_type": _printable(str(out.content_type))}

    def _report(self, job: dict[str, Any], fraction: float) -> None:
        now = time.monotonic()
        if now - self._last_progress >= _PROGRESS_INTERVAL:
            self._last_progress = now
            wire.send(
                self._sock,
                {"type": "progress", "id": job["id"], "attempt": job["attempt"], "progress": fraction},
            )


def _parse(text: bytes, field: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidSpec(f"cannot be parsed: {error}", field=field) from None


def _told(error: BaseException, output: int) -> dict[str, Any]:
    """Return what the answer says of an exception. It is a stranger's: asking it anything may raise again, or lie."""
    try:
        outcome, message = explain(error, disk_is_full=_is_full(output))
        return {"outcome": outcome, "error": _printable(message)}
    except BaseException:  # noqa: BLE001 - a method of the stranger's
        return {"outcome": Outcome.RENDER_ERROR, "error": "an exception that cannot be read"}


def _printable(text: str) -> str:
    """Cut a text to what is worth keeping, without the lone surrogates that no encoding takes."""
    return text[:_MAX_MESSAGE].encode(errors="replace").decode()


def explain(error: BaseException, *, disk_is_full: bool = False) -> tuple[Outcome, str]:
    """Say which outcome an exception of a renderer is, with a message for people.

    `disk_is_full` says of the artifacts' disk whether it is: where it is not, it was a bounded one of the child's own.
    """
    if isinstance(error, ValidationError):
        message, field = _first_problem(error, "")
        return Outcome.INVALID, f"{field}: {message}" if field else message
    # By name as well, so that a plug-in need not import anything of ours.
    if isinstance(error, InvalidSpec) or any(base.__name__ == "InvalidSpec" for base in type(error).__mro__):
        return Outcome.INVALID, _text(error)
    for cause in _chain(error):
        if isinstance(cause, MemoryError) or getattr(cause, "errno", None) == errno.ENOMEM:
            return Outcome.MEMORY, f"out of memory under the job's limit{_where(error)}"
    if isinstance(error, LimitExceeded):
        return Outcome.LIMIT, _text(error)
    if isinstance(error, OSError):
        return _explain_os_error(error, disk_is_full=disk_is_full)
    if isinstance(error, RuntimeError) and "can't start new thread" in _text(error):
        return Outcome.LIMIT, f"too many threads or processes{_where(error)}"
    if isinstance(error, SystemExit):
        return Outcome.RENDER_ERROR, f"the renderer called sys.exit({error.code!r}){_where(error)}"
    return Outcome.RENDER_ERROR, f"{type(error).__name__}: {_text(error)}{_where(error)}"


def _text(error: BaseException) -> str:
    """Return an exception's message; one that cannot be had must not end the child in place of an answer."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - it is a stranger's method
        return "(its message cannot be read)"


def _is_full(output: int) -> bool:
    """Whether the file system of the artifacts has no room left: bytes or files."""
    try:
        found = os.fstatvfs(output)
    except OSError:
        return False  # a renderer closed it
    return found.f_blocks > 0 and (
        found.f_bavail * found.f_frsize < _ROOM or (found.f_files > 0 and not found.f_favail)
    )


def _explain_os_error(error: OSError, *, disk_is_full: bool) -> tuple[Outcome, str]:
    text = f"{error.strerror or _text(error)}{_where(error)}"
    if error.errno == errno.EFBIG:
        return Outcome.LIMIT, f"a file grew over the limit of the output: {text}"
    if error.errno in {errno.EMFILE, errno.ENFILE, errno.ETOOMANYREFS}:
        return Outcome.LIMIT, f"too many open files: {text}"
    if error.errno == errno.EAGAIN:
        return Outcome.LIMIT, f"too many processes: {text}"
    if error.errno in {errno.EPERM, errno.EACCES, errno.EROFS}:
        return Outcome.VIOLATION, f"the sandbox forbids it: {text}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        if disk_is_full:
            return Outcome.INTERNAL, f"the disk of the artifacts is full: {text}"
        return Outcome.LIMIT, f"over the space for temporary files: {text}"
    return Outcome.RENDER_ERROR, f"{type(error).__name__}: {_text(error)}{_where(error)}"


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception with what caused it, and what was being handled when it was raised."""
    # By identity: two exceptions are not to be compared by a method of their own.
    found: dict[int, BaseException] = {}
    current: BaseException | None = error
    while current is not None and id(current) not in found:
        found[id(current)] = current
        current = current.__cause__ if current.__cause__ is not None else current.__context__
    return list(found.values())


def _where(error: BaseException) -> str:
    """Return the place in the renderer's code that raised, as a suffix."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    return f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})"  # noqa: PTH119 - a name, no file


def _first_problem(error: ValidationError, prefix: str) -> tuple[str, str]:
    """Return message and field path of a validation error's first problem, and how many more there are."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    first = problems[0]
    field = prefix
    for part in first["loc"]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return first["msg"].removeprefix("Value error, ") + more, field
