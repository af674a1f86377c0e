"""One child, as the supervisor sees it: a job goes in, an observation comes out, however the child ends.

The supervisor owns the deadline and the kill. A child is a stranger from its first job on: its frames are read up to a
limit, in any order it likes, and its log is drained and kept as a short tail.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from renderer import wire
from renderer.outcome import Outcome
from supervisor import memory, usage
from supervisor.cgroups import ChildGroup
from supervisor.child_process import ChildProcess, ExitStatus
from supervisor.classify import Kill, Observation
from supervisor.memory import MemorySample, MemoryWatch
from supervisor.model import Job

log = structlog.get_logger()

_BOOT_SECONDS = 30.0
_TAIL_BYTES = 4096
_MESSAGES, _MESSAGES_PER_SECOND = 100, 20
"""How many messages an attempt may bring: an honest child says ten things a second. A flood would slow the loop for all."""
_CLOSED_GRACE = 2.0
"""Seconds between the end of a child's socket and that of its process, before it counts as one that runs on."""


class ChildFailed(Exception):  # noqa: N818 - reads as the state it is
    """A child did not come up: our fault or the machine's, never a job's."""


class LayerMissing(ChildFailed):
    """It did not come up because the sandbox lacks a layer that is required."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one attempt: wall clock and processor time in seconds, memory and output in bytes."""

    timeout: float
    cpu: float
    memory: int
    output: int


@dataclass(frozen=True, slots=True)
class Having:
    """The job that a child has, since a time of the monotonic clock."""

    job: Job
    limits: Limits
    since: float


class Child:
    """A child process and the job that it has, if any."""

    def __init__(self, process: ChildProcess, watch: MemoryWatch, on_progress: Callable[[str, float], None]) -> None:
        self.process = process
        self.jobs_done = 0
        self.born = time.monotonic()
        self.layers: dict[str, str] = {}
        self.proved: dict[str, str | None] = {}
        self.cpu_seconds = 0.0
        self.group: ChildGroup | None = None
        """Its control group, where the machine gives it one."""
        self.needs_of: str | None = None
        """The kind that it was made for, with what the operator allowed it; None for all the others."""
        self.tenant: str | None = None
        """Whose job it had last."""
        self.reserved_for: str | None = None
        """The job that it has, or is about to get. An attempt goes on when its child is done with it, while the artifact
        is published: by then the child may have another job, or be gone."""
        self._loop = asyncio.get_running_loop()
        self._watch = watch
        self._on_progress = on_progress
        self._reader = wire.FrameReader(wire.MAX_REPLY_FRAME)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._reply: asyncio.Future[dict[str, Any] | None] | None = None
        self.having: Having | None = None
        self._messages = 0
        self._kill: Kill | None = None
        self._hung_up = False
        self._over = False
        self._tail = bytearray()
        self._process_info = memory.find(process.pid)
        self.base_memory = 0
        self._loop.add_reader(process.job_socket, self._socket_readable)
        self._loop.add_reader(process.log_pipe, self._log_readable)
        process.exited.add_done_callback(self._process_exited)

    @property
    def number(self) -> int:
        """Its number in process titles and logs."""
        return self.process.number

    @property
    def resident_memory(self) -> int:
        """Resident bytes at this moment, 0 when it is gone."""
        return memory.resident(self._process_info)

    @property
    def alive(self) -> bool:
        """Whether it can take a job, or has one."""
        return not self.process.exited.done() and self._kill is None and not self._hung_up

    async def ready(self) -> None:
        """Wait until it stands in its sandbox. Raises ChildFailed, LayerMissing."""
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), _BOOT_SECONDS)
        except TimeoutError:
            raise ChildFailed(f"a child must be ready within {_BOOT_SECONDS:g} s") from None
        self.base_memory = self.resident_memory

    async def render(self, job: Job, limits: Limits, output: int) -> Observation:
        """Have a job rendered into the descriptor `output`; return what was seen when it is over."""
        usable = self.alive
        started = time.monotonic()
        self.having, self._kill, self.reserved_for = Having(job, limits, started), None, job.id
        self._reply = self._loop.create_future()
        self._messages = 0
        self._tail.clear()
        if not usable:
            # It died while it was idle, after it was chosen for this job: its end has been told, and nobody tells it
            # again. The job never reached it.
            self.kill(Outcome.INTERNAL, "the child ended before it had the job")
            self._settle(None)
        sample = self._memory_sample(limits.memory)
        if self.group is not None:
            with contextlib.suppress(OSError):  # the other limits hold
                self.group.limit(limits.memory + memory.ALLOWANCE)
        deadline = self._loop.call_later(limits.timeout, self._over_time, limits.timeout)
        sending = asyncio.ensure_future(self._send(job, limits, output))
        try:
            reply = await self._reply
        finally:
            deadline.cancel()
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sending
            self._watch.remove(sample)
            self.having = self.reserved_for = None
        status = None
        if reply is None:
            status = await asyncio.shield(self.process.exited)
        self.jobs_done += 1
        return self._observe(reply, status, sample, time.monotonic() - started)

    def _memory_sample(self, limit: int) -> MemorySample:
        """Watch the memory of an attempt: the child's own, or with it that of all that it may start."""
        ancestors = [] if self.needs_of is None else [self._process_info, memory.find(self.process.keeper)]
        sample = MemorySample(
            self._process_info, self.base_memory, limit, self._over_memory, [found for found in ancestors if found]
        )
        self._watch.add(sample)
        return sample

    def _observe(
        self, reply: dict[str, Any] | None, status: ExitStatus | None, sample: MemorySample, seconds: float
    ) -> Observation:
        if status is not None and self.jobs_done == 1:
            # The kernel's own count of its life, which was this job: what came and went between two looks is in it.
            sample.last = max(sample.last, status.peak_memory_bytes or 0)
        cpu = usage.cpu_seconds(reply, status, self.cpu_seconds, seconds)
        self.cpu_seconds += cpu or 0.0
        return Observation(
            reply=reply,
            kill=self._kill if reply is None else None,
            status=status,
            stderr_tail=self._tail.decode(errors="replace"),
            starved=sample.starved,
            out_of_memory=self.group is not None and self.group.out_of_memory,
            cpu_seconds=cpu,
            peak_memory_bytes=usage.peak_memory(reply, status, sample),
        )

    def kill(self, outcome: Outcome, reason: str, *, perhaps_dead: bool = False) -> None:
        """Kill it; its attempt, if it has one, ends with that outcome unless a reply came before."""
        if self._kill is None:
            self._kill = Kill(outcome, reason, perhaps_dead)
        self.process.kill()

    def abort(self, job_id: str, outcome: Outcome, reason: str) -> None:
        """Kill it if it has this job, or is about to get it; a job that it is done with cannot be stopped here."""
        if self.reserved_for == job_id:
            self.kill(outcome, reason)

    async def close(self) -> None:
        """Kill it if it lives, wait until it is reaped, close our descriptors."""
        self.process.kill()
        await asyncio.shield(self.process.exited)
        # Who waits for a future that is done may go on before its callbacks are called: ours must not read from numbers
        # that are another's by then.
        self._process_exited(self.process.exited)
        self._loop.remove_reader(self.process.job_socket)
        self._loop.remove_reader(self.process.log_pipe)
        self.process.close()

    async def _send(self, job: Job, limits: Limits, output: int) -> None:
        """Send the job; a child that does not read it runs into its deadline like any other."""
        head = {
            "id": job.id,
            "attempt": job.token.attempt,
            "kind": job.kind,
            "limits": {"memory": limits.memory, "cpu": limits.cpu, "output": limits.output},
        }
        frame = memoryview(wire.encode_job(head, job.spec, job.config))
        sock = self.process.job_socket
        try:
            sent = wire.send_start(sock, frame, [output])
            if sent < len(frame):
                await self._loop.sock_sendall(sock, frame[sent:])
        except OSError:
            # It died, or closed its end: the reader sees the same and settles the attempt.
            return

    def _over_time(self, seconds: float) -> None:
        self.kill(Outcome.TIMEOUT, f"over its time of {seconds:g} s")

    def _over_memory(self, sample: MemorySample) -> None:
        self.kill(
            Outcome.MEMORY,
            f"over its memory of {sample.limit // 1048576} MB: {sample.above_base // 1048576} MB resident",
        )

    def _socket_readable(self) -> None:
        try:
            data = self.process.job_socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hung_up = True
            self._loop.remove_reader(self.process.job_socket)
            self._loop.call_later(_CLOSED_GRACE, self._closed)
            return
        try:
            for message in self._reader.feed(data):
                self._handle(message)
        except wire.WireError as error:
            self._broke_protocol(str(error))
        except Exception as error:
            # Whatever a stranger finds that we did not think of ends him, and not the reading.
            log.exception("child.frame_not_handled", child=self.number)
            self._broke_protocol(f"a message could not be handled: {type(error).__name__}")

    def _handle(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if not self._ready.done():
            self._handle_boot(kind, message)
            return
        # orjson takes a nesting that Python's own repr does not: nothing of a stranger's is to be looked into.
        if any(isinstance(value, dict | list) for value in message.values()):
            self._broke_protocol("a message must hold nothing but texts, numbers, true, false and null")
            return
        self._messages += 1
        if self._messages > _MESSAGES + _MESSAGES_PER_SECOND * self._seconds_with_job():
            self._broke_protocol(f"a child may say {_MESSAGES_PER_SECOND} things a second, and {_MESSAGES} at once")
            return
        job = self.having.job if self.having else None
        if job is None or message.get("id") != job.id or message.get("attempt") != job.token.attempt:
            self._broke_protocol("a message must be about the job that the child has")
        elif kind == "progress":
            fraction = message.get("progress")
            if not isinstance(fraction, int | float) or not 0 <= fraction <= 1:
                self._broke_protocol("progress must be from 0 to 1")
            else:
                self._on_progress(job.id, float(fraction))
        elif kind == "done":
            self._settle(message)
        else:
            self._broke_protocol(f"a message must be progress or done, got {str(kind)[:50]!r}")

    def _seconds_with_job(self) -> float:
        return time.monotonic() - self.having.since if self.having else 0.0

    def _handle_boot(self, kind: object, message: dict[str, Any]) -> None:
        if kind == "ready":
            self.layers, self.proved = message["layers"], message["proved"]
            self._ready.set_result(None)
        else:
            self._fail_boot(LayerMissing(str(message.get("reason"))))

    def _fail_boot(self, error: ChildFailed) -> None:
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # seen, also where nobody waits any more

    def _settle(self, reply: dict[str, Any] | None) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(reply)

    def _broke_protocol(self, reason: str, *, perhaps_dead: bool = False) -> None:
        self.kill(Outcome.PROTOCOL, f"the child broke the protocol of its pipe: {reason}", perhaps_dead=perhaps_dead)

    def _closed(self) -> None:
        if not self.process.exited.done():
            self._broke_protocol("it closed its end and ran on", perhaps_dead=True)

    def _log_readable(self) -> None:
        try:
            data = os.read(self.process.log_pipe, 65536)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self.process.log_pipe)
        self._tail += data
        del self._tail[:-_TAIL_BYTES]

    def _process_exited(self, _: asyncio.Future[ExitStatus]) -> None:
        """Read what it said before it died, then settle: a reply that came through counts. Done once."""
        if self._over:
            return
        self._over = True
        with contextlib.suppress(Exception):  # as above, and nobody is left to be told
            while data := self.process.job_socket.recv(65536):
                for message in self._reader.feed(data):
                    self._handle(message)
        with contextlib.suppress(OSError):
            self._log_readable()
        tail = self._tail.decode(errors="replace").strip()
        self._fail_boot(ChildFailed(f"a child ended before it was ready: {tail[-1000:] or 'without a word'}"))
        self._settle(None)
