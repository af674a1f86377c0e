# ruff: noqa: ARG001 - every function of a plug-in takes the same arguments
"""Time: as long as there is, whoever asks to stop."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import threading
import time

from renderer import Output
from tests.hostile.plugins import Json


def render(spec: Json, config: Json, out: Output) -> None:
    """Do what `do` names."""
    globals()[spec["do"]](spec, out)


def loop(spec: Json, out: Output) -> None:
    """Loop in Python and let no exception end it."""
    while True:
        with contextlib.suppress(BaseException):
            while True:
                pass


def native_loop(spec: Json, out: Output) -> None:
    """Loop in native code that holds the interpreter's lock."""
    sum(itertools.repeat(0))


def expression(spec: Json, out: Output) -> None:
    """Match an expression that takes for ever."""
    re.match(r"(a|aa)+$", "a" * 80 + "b")


def sleep(spec: Json, out: Output) -> None:
    """Sleep for ever."""
    time.sleep(1e6)


def deaf(spec: Json, out: Output) -> None:
    """Ignore and block every signal that can be, then wait."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        time.sleep(1e6)


def stop_itself(spec: Json, out: Output) -> None:
    """Stop, as by job control."""
    os.kill(os.getpid(), signal.SIGSTOP)


def busy_threads(spec: Json, out: Output) -> None:
    """Compute in many threads, and wait for them."""
    for _ in range(8):
        threading.Thread(target=loop, args=(spec, out)).start()
    loop(spec, out)


def hang_in_the_answer(spec: Json, out: Output) -> None:
    """Return, with a content type that takes for ever to become text."""

    class Type:
        def __str__(self) -> str:
            time.sleep(1e6)
            return ""

    out.write(b"x")
    out.content_type = Type()  # type: ignore[assignment]


def hang_in_the_error(spec: Json, out: Output) -> None:
    """Raise what takes for ever to become text."""

    class Slow(Exception):  # noqa: N818
        def __str__(self) -> str:
            time.sleep(1e6)
            return ""

    raise Slow


def deaf_to_its_socket(spec: Json, out: Output) -> None:
    """Read nothing more from the job socket, and wait."""
    with socket.socket(fileno=os.dup(3)) as sock:
        sock.shutdown(socket.SHUT_RD)
    time.sleep(1e6)


def past_a_lock(spec: Json, out: Output) -> None:
    """Wait for a lock that nobody gives back."""
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
