"""One child, as the supervisor sees it: jobs go in, what is seen of each comes out, however the child ends.

A child works on one job; where jobs are short it holds a few more, which it starts by itself when it has answered. So the
first of those that it was given and has not answered is the one that it is at: that one's clock runs, that one is charged
for what becomes of the child, and the others never began.

The supervisor owns the deadline and the kill. A child is a stranger from its first job on: its frames are read up to a
limit, in any order it likes, and its log is drained and kept as a short tail.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time
from collections.abc import Callable
from typing import Any

import structlog

from renderer import wire
from renderer.outcome import Outcome
from supervisor import memory
from supervisor.alarm import Alarm
from supervisor.artifacts.output import OutputFile
from supervisor.attempt import Attempt
from supervisor.cgroups import ChildGroup
from supervisor.child_process import ChildProcess, ExitStatus
from supervisor.classify import Kill
from supervisor.log_tail import LogTail
from supervisor.mailbox import Mailbox
from supervisor.memory import MemorySample, MemoryWatch
from supervisor.usage import fraction

log = structlog.get_logger()

_NESTED = frozenset({dict, list})
_BOOT_SECONDS = 30.0
_CLOSED_GRACE = 2.0
"""Seconds between the end of a child's socket and that of its process, before it counts as one that runs on."""


class ChildFailed(Exception):  # noqa: N818 - reads as the state it is
    """A child did not come up: our fault or the machine's, never a job's."""


class LayerMissing(ChildFailed):
    """It did not come up because the sandbox lacks a layer that is required."""


class Child:
    """A child process and the attempts that it has."""

    def __init__(self, process: ChildProcess, watch: MemoryWatch, on_progress: Callable[[str, float], None]) -> None:
        self.process = process
        self.jobs_done = 0
        self.born = time.monotonic()
        self.layers: dict[str, str] = {}
        self.proved: dict[str, str | None] = {}
        self.group: ChildGroup | None = None
        """Its control group, where the machine gives it one."""
        self.needs_of: str | None = None
        """The kind that it was made for, with what the operator allowed it; None for all the others."""
        self.tenant: str | None = None
        """Whose job it had last."""
        self.outputs: list[OutputFile] = []
        """Files that it wrote to and that are empty again, for its next jobs."""
        self.base_memory = 0
        self._attempts: collections.deque[Attempt] = collections.deque()
        self._cpu_seconds = 0.0
        self._loop = asyncio.get_running_loop()
        self._watch = watch
        self._on_progress = on_progress
        self._reader = wire.FrameReader(wire.MAX_REPLY_FRAME)
        self._mailbox = Mailbox(process.job_socket, self)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._alarm = Alarm(self._loop, self._ring)
        self._tail = LogTail(self._loop, process.log_pipe)
        self._group_limit = 0
        self._sample: MemorySample | None = None
        self._kill: Kill | None = None
        self._hung_up = False
        self._over = False
        self._rests = False
        self._held_up: list[Attempt] = []
        """Attempts that cannot be sent just now: the child knows nothing of them, and no clock of theirs runs."""
        self._process_info = memory.find(process.pid)
        try:
            self._loop.add_reader(process.job_socket, self._socket_readable)
        except OSError:
            # Or the loop would take whatever gets the number of the pipe next for what it listens to already.
            self._tail.close()
            raise
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

    @property
    def having(self) -> Attempt | None:
        """The attempt that it is at."""
        return self._attempts[0] if self._attempts else None

    @property
    def held(self) -> int:
        """How many attempts it has: the one that it is at, and those that come after it."""
        return len(self._attempts)

    def ahead(self) -> list[Attempt]:
        """Return the attempts that have not begun and were not taken back."""
        return [attempt for attempt in self._attempts if attempt.since is None and not attempt.withdrawn]

    async def ready(self) -> None:
        """Wait until it stands in its sandbox. Raises ChildFailed, LayerMissing."""
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), _BOOT_SECONDS)
        except TimeoutError:
            raise ChildFailed(f"a child must be ready within {_BOOT_SECONDS:g} s") from None
        self.base_memory = self.resident_memory

    def give(self, attempt: Attempt) -> None:
        """Have a job rendered, after those that it has. It is on its way with the next `flush`."""
        if not self.alive:
            # Its end has been told, and nobody tells it again.
            self._loop.call_soon(attempt.on_end, attempt, None)
            return
        self._attempts.append(attempt)
        self._mailbox.put(attempt)
        if len(self._attempts) == 1:
            self._begin(attempt)

    def flush(self) -> None:
        """Send what it was given; a child that does not read runs into its deadline like any other."""
        self._mailbox.flush()
        if self._rests:
            # After the frame: it is woken once, and finds it there.
            self._rests = False
            self.process.go_on()

    def rest(self) -> None:
        """Stand still until the next `flush`: nobody looks at what an idle child does, and a thread of its last job may go on.

        One that had no job runs nothing of a stranger's, and waits as it is.
        """
        if self.jobs_done and not self._attempts and not self._rests and self.alive:
            self._rests = True
            self.process.stop()

    def held_up(self, attempts: list[Attempt]) -> None:
        """Stop the clock of the attempt whose turn it is, while its frame cannot be sent: the child does not have it."""
        self._held_up += attempts
        if self.having in attempts:
            self._alarm.stop()

    def under_way(self, attempts: list[Attempt]) -> None:
        """Start the clock anew: the frame is being sent."""
        self._held_up.clear()
        if self.having is not None and self.having in attempts:
            self._begin(self.having)

    def not_sent(self, attempts: list[Attempt]) -> None:
        """Hand back attempts that the child heard nothing of; it is as well as before."""
        self._held_up.clear()
        log.warning("child.not_reached", child=self.number, attempts=len(attempts))
        for attempt in reversed(attempts):
            if attempt in self._attempts:
                self._attempts.remove(attempt)
                attempt.since = None
                attempt.on_end(attempt, None)
        if not self._attempts:
            self._stop_watching()

    def cut_off(self, reason: str) -> None:
        """End a child that has the start of a frame and will never have the rest: that is ours, and no job's."""
        self.kill(Outcome.INTERNAL, reason)

    def _begin(self, attempt: Attempt) -> None:
        """Take it that the child is at this attempt now."""
        attempt.since = time.monotonic()
        self._tail.clear()
        attempt.sample = self._memory_sample(attempt.limits.memory)
        if self.group is not None and self._group_limit != attempt.limits.memory:
            self._group_limit = attempt.limits.memory
            with contextlib.suppress(OSError):  # the other limits hold
                self.group.limit(attempt.limits.memory + memory.ALLOWANCE)
        self._alarm.set(attempt.since + attempt.limits.timeout)

    def _memory_sample(self, limit: int) -> MemorySample:
        """Watch the memory of an attempt: the child's own, or with it that of all that it may start."""
        if self._sample is None:
            ancestors = [] if self.needs_of is None else [self._process_info, memory.find(self.process.keeper)]
            self._sample = MemorySample(
                self._process_info, self.base_memory, limit, self._over_memory, [found for found in ancestors if found]
            )
        sample = self._sample
        sample.begin(limit)
        self._watch.add(sample)
        return sample

    def _ring(self) -> None:
        attempt = self.having
        if attempt is not None and self._kill is None:
            self.kill(Outcome.TIMEOUT, f"over its time of {attempt.limits.timeout:g} s")

    def _stop_watching(self) -> None:
        """Have no timer while it has no job: an idle child costs nothing."""
        if self._sample is not None:
            self._watch.remove(self._sample)
        self._alarm.stop()

    def _end(self, reply: dict[str, Any] | None, status: ExitStatus | None = None) -> None:
        """Take it that the child is done with the attempt that it was at: by an answer, or with its process."""
        attempt = self._attempts.popleft()
        self.jobs_done += 1
        seen = attempt.observe(
            reply,
            self._kill,
            status,
            cpu_before=self._cpu_seconds,
            first=self.jobs_done == 1,
            stderr_tail=str(self._tail),
            out_of_memory=status is not None and self.group is not None and self.group.out_of_memory,
        )
        self._cpu_seconds += seen.cpu_seconds or 0.0
        attempt.on_end(attempt, seen)
        if self._kill is not None or self._over:
            # Whatever it does until it is dead, of these nothing counts.
            self._hand_back()
        elif self.having in self._held_up:
            # The child knows nothing of it: its clock begins when it is sent.
            self._alarm.stop()
        elif self._attempts and self._attempts[0].since is None:
            self._begin(self._attempts[0])
        if not self._attempts:
            self._stop_watching()

    def _hand_back(self) -> None:
        while self._attempts:
            attempt = self._attempts.popleft()
            attempt.on_end(attempt, None)

    def kill(self, outcome: Outcome, reason: str, *, perhaps_dead: bool = False) -> None:
        """Kill it; the attempt that it is at, if any, ends with that outcome unless an answer came before."""
        if self._kill is None:
            self._kill = Kill(outcome, reason, perhaps_dead)
        self.process.kill()

    def abort(self, attempt: Attempt, outcome: Outcome, reason: str) -> bool:
        """Kill it if it is at this attempt, and say whether: one that it is done with cannot be stopped here."""
        if self.having is not attempt:
            return False
        self.kill(outcome, reason)
        return True

    async def close(self) -> None:
        """Kill it if it lives, wait until it is reaped, close our descriptors."""
        self.process.kill()
        await asyncio.shield(self.process.exited)
        # Who waits for a future that is done may go on before its callbacks are called: ours must not read from numbers
        # that are another's by then.
        self._process_exited(self.process.exited)
        self._mailbox.close()
        self._loop.remove_reader(self.process.job_socket)
        self._tail.close()
        self.process.close()
        for output in self.outputs:
            output.close()
        self.outputs.clear()

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
        if not self._ready.done():
            self._handle_boot(message)
            return
        # orjson takes a nesting that Python's own repr does not: nothing of a stranger's is to be looked into.
        if not _NESTED.isdisjoint(map(type, message.values())):
            self._broke_protocol("a message must hold nothing but texts, numbers, true, false and null")
            return
        attempt = self.having
        if attempt is None:
            self._broke_protocol("a message must be about the job that the child has")
        elif (rule := attempt.breach(message)) is not None:
            self._broke_protocol(rule)
        elif message["type"] == "done":
            self._end(message)
        elif not attempt.withdrawn:
            self._on_progress(attempt.job.id, fraction(message["progress"]) or 0.0)

    def _handle_boot(self, message: dict[str, Any]) -> None:
        if message.get("type") == "ready":
            self.layers, self.proved = message["layers"], message["proved"]
            self._ready.set_result(None)
        else:
            self._fail_boot(LayerMissing(str(message.get("reason"))))

    def _fail_boot(self, error: ChildFailed) -> None:
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # seen, also where nobody waits any more

    def _broke_protocol(self, reason: str, *, perhaps_dead: bool = False) -> None:
        self.kill(Outcome.PROTOCOL, f"the child broke the protocol of its pipe: {reason}", perhaps_dead=perhaps_dead)

    def _closed(self) -> None:
        if not self.process.exited.done():
            self._broke_protocol("it closed its end and ran on", perhaps_dead=True)

    def _process_exited(self, _: asyncio.Future[ExitStatus]) -> None:
        """Read what it said before it died, then settle: an answer that came through counts. Done once."""
        if self._over:
            return
        self._over = True
        with contextlib.suppress(Exception):  # as above, and nobody is left to be told
            while data := self.process.job_socket.recv(65536):
                for message in self._reader.feed(data):
                    self._handle(message)
        self._tail.read_rest()
        tail = str(self._tail).strip()
        self._fail_boot(ChildFailed(f"a child ended before it was ready: {tail[-1000:] or 'without a word'}"))
        if self.having in self._held_up:
            self._hand_back()
        elif self._attempts:
            self._end(None, self.process.exited.result())
