"""The end of this process: who hears that it is asked for, and who sees to it that it comes.

Theory of operation. Signals are heard by a thread of our own, at the other end of the descriptor that Python's handler in C
writes to (signal.set_wakeup_fd): so they are heard while the event loop hangs, and after it has ended. The thread only
counts and hands on; the loop acts.

    first SIGTERM or SIGINT     the loop is asked to stop; from now on the process has a deadline
    second                      the loop is asked to stop at once; the deadline is HURRY_SECONDS
    third                       the process ends

At the deadline the thread says in the log what is waited for, kills every process that descends from this one, and ends this
one with EXIT_CODE. It waits for nobody: not for the log, whose lock the hung loop may hold, and not for the processes. For
where not even a thread gets on (a library that hangs and holds the interpreter's lock) there is the kernel's alarm, a moment
later: it prints where every thread stands, and its signal ends the process (not one that is number 1 of a container, which its
engine kills). The fork server, and with it the children, then
die with their parent (PR_SET_PDEATHSIG).

Until somebody asks for the end the thread sleeps, without a timer.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import psutil
import structlog

from supervisor.stopping import ALARM_SECONDS, HURRY_SECONDS

log = structlog.get_logger()

EXIT_CODE = 1
_STOPS = (signal.SIGTERM, signal.SIGINT)
_LOOK_AGAIN = 0
"""A byte that is no signal: the deadline is another."""
_MOMENT = 2.0
"""Seconds that the last words, and each deed after them, may take."""
_LONGEST = 1e8
"""Seconds: three years. The kernel's timers take no number that an operator may write."""

_DAY = 86400.0
"""Seconds of one wait: poll(2) takes no more milliseconds than an int holds."""

_at_last: list[Callable[[], None]] = []


@contextlib.contextmanager
def at_last(deed: Callable[[], None]) -> Iterator[None]:
    """Have it done, should the process end itself within the block: such as ending a server in the server's own way."""
    _at_last.append(deed)
    try:
        yield
    finally:
        _at_last.remove(deed)


class LastResort:
    """The end of one process. `start`, `hear`, `restore` and `close` are for its main thread.

    `descriptor` is where the kernel's alarm has the stack written to: one that does not block, or standard error.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._acts: dict[int, Callable[[], None]] = {}
        self._before: dict[int, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = 0
        self._deadline: float | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._hear, name="last resort", daemon=True)
        self._wakeup = -1
        self.waits_for: Callable[[], list[str]] = list
        """What the event loop waits for, by name."""
        self.seconds: Callable[[], float] = lambda: HURRY_SECONDS
        """How long the end may take from the first signal on."""

    def start(self) -> None:
        """Hear, from now on; what is heard is acted on once `hear` has said how."""
        self._before = {number: signal.getsignal(number) for number in _STOPS}
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._thread.start()

    def restore(self) -> None:
        """Have the signals do what they did before. A deadline stays."""
        signal.set_wakeup_fd(self._wakeup)
        for number, before in self._before.items():
            signal.signal(number, before)

    def close(self) -> None:
        """End nothing any more."""
        self.call_off()
        self._writer.close()
        self._thread.join()
        self._reader.close()

    def hear(self, number: int, act: Callable[[], None]) -> None:
        """Have the running loop act on a signal, from now on."""
        self._loop = asyncio.get_running_loop()
        self._acts[number] = act
        signal.signal(number, _nothing)
        # What the main thread is at goes on: it is not the one that hears.
        signal.siginterrupt(number, False)  # noqa: FBT003 - the function's own signature

    def stop_with(self, act: Callable[[], None]) -> None:
        """Have the running loop act on each of the signals that ask for the end."""
        for number in _STOPS:
            self.hear(number, act)

    def within(self, seconds: float) -> None:
        """Have the process end within so many seconds, or sooner where that was asked for."""
        seconds = min(seconds, _LONGEST)
        with self._lock:
            at = time.monotonic() + seconds
            if self._deadline is not None and self._deadline <= at:
                return
            self._deadline = at
            # To a descriptor that does not block, where there is one (else 2): the kernel ends the process only after it has told.
            faulthandler.register(signal.SIGALRM, file=2 if self._descriptor is None else self._descriptor, chain=True)
            signal.setitimer(signal.ITIMER_REAL, seconds + ALARM_SECONDS)
        self._look_again()

    def call_off(self) -> None:
        """Have no deadline: the process goes on to do something else."""
        with self._lock:
            if self._deadline is not None:
                signal.setitimer(signal.ITIMER_REAL, 0)
                faulthandler.unregister(signal.SIGALRM)
            self._deadline, self._asked = None, 0
        self._look_again()

    def _look_again(self) -> None:
        with contextlib.suppress(OSError):  # full of what makes it look as well
            self._writer.send(bytes([_LOOK_AGAIN]))

    # The thread.

    def _hear(self) -> None:
        waits = select.poll()
        waits.register(self._reader, select.POLLIN)
        while True:
            deadline = self._deadline
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            # Not select(2), which takes no descriptor beyond 1,023.
            if not waits.poll(None if left is None else 1000 * min(left, _DAY)):
                if self._deadline is not None and time.monotonic() >= self._deadline:
                    self._end("the time is over")
                continue
            numbers = self._reader.recv(64)
            if not numbers:
                return
            for number in numbers:
                self._take(number)

    def _take(self, number: int) -> None:
        if number in _STOPS and number in self._acts:
            self._asked += 1
            if self._asked > 2:  # noqa: PLR2004 - the third
                self._end("it was asked for three times")
            self.within(self.seconds() if self._asked == 1 else HURRY_SECONDS)
        act = self._acts.get(number)
        if act is not None and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(act)

    def _end(self, reason: str) -> None:
        """Say what is waited for, kill, end."""
        try:
            for_a_moment(
                lambda: log.error("supervisor.killed_itself", reason=reason, waiting_for=self._all_waited_for())
            )
            for deed in (*reversed(_at_last), kill_descendants):
                for_a_moment(deed)
        finally:
            os._exit(EXIT_CODE)

    def _all_waited_for(self) -> list[str]:
        with contextlib.suppress(Exception):  # the loop's own things, read while it may change them
            return [*self.waits_for(), *_threads()]
        return _threads()


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Have the signal written to the descriptor, which only happens where there is a handler."""


def for_a_moment(deed: Callable[[], None]) -> None:
    """Do something that may hang or fail, and go on after a moment."""

    def do() -> None:
        with contextlib.suppress(Exception):
            deed()

    thread = threading.Thread(target=do, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the machine has no room for a thread
        do()
        return
    thread.join(_MOMENT)


def kill_descendants() -> None:
    """Kill every process that descends from this one. A number that is another process's by now is passed by (psutil)."""
    found = psutil.Process().children(recursive=True)
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, timeout=_MOMENT / 2)


def _threads() -> list[str]:
    """Return where each thread stands that an end of the interpreter waits for, the main one first."""
    frames = sys._current_frames()  # noqa: SLF001 - there is no other way to see where a thread stands
    return [
        f"thread {thread.name} in {_where(frames[thread.ident])}"
        for thread in threading.enumerate()
        if not thread.daemon and thread.ident in frames
    ]


def _where(frame: FrameType) -> str:
    """Return the innermost place in code of ours, and the call that is made from there."""
    stack = traceback.extract_stack(frame)
    ours = [entry for entry in stack if f"{os.sep}supervisor{os.sep}" in entry.filename] or stack
    innermost = ours[-1]
    place = f"{innermost.name} ({os.path.basename(innermost.filename)}:{innermost.lineno})"  # noqa: PTH119 - a name only
    return place if innermost is stack[-1] else f"{place}, at {stack[-1].name}"
