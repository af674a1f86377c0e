# ruff: noqa: ARG001 - every function of a plug-in takes the same arguments
"""Endings: without an answer, after it, and with errors that fight whoever reads them."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from typing import Any, NoReturn

from renderer import Output
from tests.hostile.plugins import Json, call, say


def render(spec: Json, config: Json, out: Output) -> None:
    """Do what `do` names."""
    globals()[spec["do"]](spec, out)


def exit_quietly(spec: Json, out: Output) -> None:
    """End with success, and without an answer."""
    os._exit(0)


def exit_by_call(spec: Json, out: Output) -> None:
    """End the same way, past the interpreter."""
    call("exit_group", 0)


def abort(spec: Json, out: Output) -> None:
    """End as native code does that finds itself broken."""
    os.abort()


def die(spec: Json, out: Output) -> None:
    """Die by the signal `number`."""
    os.kill(os.getpid(), spec["number"])
    time.sleep(1e6)


def null_pointer(spec: Json, out: Output) -> None:
    """Follow a null pointer."""
    ctypes.string_at(0)


def smash_the_stack(spec: Json, out: Output) -> None:
    """Write over the own interpreter, where the crash handler has its files and its stack."""
    faulthandler.disable()
    faulthandler.enable(file=0)
    ctypes.memset(id(sys), 0xFF, 4096)
    sys.path  # noqa: B018
    ctypes.string_at(1)


def dump_for_ever(spec: Json, out: Output) -> None:
    """Have the crash handler write all the time, then crash."""
    faulthandler.dump_traceback_later(0.001, repeat=True, file=2)
    time.sleep(0.05)
    faulthandler._sigsegv()  # type: ignore[attr-defined]  # noqa: SLF001


def _answer(out: Output) -> None:
    out.write(b"answered")
    out.flush()
    say(type="done", outcome="ok", content_type="text/plain")


def answer_and_die(spec: Json, out: Output) -> None:
    """Answer, and die before anybody could have read it."""
    _answer(out)
    os.kill(os.getpid(), signal.SIGKILL)


def answer_and_hang(spec: Json, out: Output) -> None:
    """Answer and never end."""
    _answer(out)
    time.sleep(1e6)


def answer_and_go_on(spec: Json, out: Output) -> None:
    """Answer several times, in different ways; then return, which answers once more."""
    _answer(out)
    say(type="done", outcome="render_error", error="changed my mind")
    say(type="progress", progress=0.1)


def leave_threads(spec: Json, out: Output) -> None:
    """Return while threads go on to write, to the log and to the output."""
    copy = os.dup(out.fileno())
    out.content_type = "text/plain"
    out.write(b"answered")

    def work() -> None:
        while True:
            with contextlib.suppress(OSError):
                os.write(2, b"still here\n")
                os.pwrite(copy, b"SPOILED!", 0)

    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()


class Beyond(BaseException):
    """No Exception."""


def say_nothing(spec: Json, out: Output) -> None:
    """Return, and have written nothing."""


def raise_beyond(spec: Json, out: Output) -> None:
    """Raise what `except Exception` does not catch: `name`."""
    raise {"KeyboardInterrupt": KeyboardInterrupt, "GeneratorExit": GeneratorExit, "Beyond": Beyond}[spec["name"]]


def raise_unspeakable(spec: Json, out: Output) -> None:
    """Raise what raises when it is asked for its text, and what is no Exception at that."""

    class Mute(Exception):  # noqa: N818
        def __str__(self) -> NoReturn:
            raise Beyond

        __repr__ = __str__

    raise Mute


def raise_liar(spec: Json, out: Output) -> None:
    """Raise what answers every question with an exception of its own."""

    class Liar(OSError):  # noqa: N818
        def __getattribute__(self, name: str) -> Any:
            raise Beyond

    raise Liar


def raise_exit(spec: Json, out: Output) -> None:
    """Call sys.exit with what cannot be shown."""

    class Code:
        def __repr__(self) -> NoReturn:
            raise Beyond

    raise SystemExit(Code())


def raise_plain_exit(spec: Json, out: Output) -> None:
    """Call sys.exit."""
    sys.exit(3)


def raise_invalid(spec: Json, out: Output) -> None:
    """Refuse the spec with an exception of its own that only has the right name."""

    class InvalidSpec(Exception):  # noqa: N818
        pass

    raise InvalidSpec("text: must rhyme")


def raise_endless_chain(spec: Json, out: Output) -> None:
    """Raise an exception whose cause is itself, by way of another."""
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


def raise_deep_chain(spec: Json, out: Output) -> None:
    """Raise an exception with a hundred thousand causes."""
    error: BaseException = ValueError("bottom")
    for _ in range(100_000):
        above = ValueError("above")
        above.__cause__ = error
        error = above
    raise error


def raise_long(spec: Json, out: Output) -> None:
    """Raise with a message of 100 MB, in characters that no encoding takes."""
    raise ValueError("\ud800" * (50 << 20))


def raise_binary(spec: Json, out: Output) -> None:
    """Raise with a message of what terminals, JSON and PostgreSQL choke on."""
    raise ValueError("nul \0, escape \x1b[2J, alone \udcff, bell \a, next line \x85, return \r")


def raise_as_internal(spec: Json, out: Output) -> None:
    """Raise what the machine would say if the disk were full, so as not to be charged."""
    raise OSError(28, "No space left on device")


def break_the_loop(spec: Json, out: Output) -> None:
    """Take away all that could tell of the error, then raise it."""

    def broken(*_: object, **__: object) -> NoReturn:
        raise Beyond

    traceback.format_exc = traceback.extract_tb = broken
    os._exit = os.write = broken
    os.close(3)
    raise ValueError


def without_standard_files(spec: Json, out: Output) -> None:
    """Close and remove the standard files, as some libraries do to be quiet; then write."""
    for file in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if file is not None:
            file.close()
    sys.stdout = sys.stderr = sys.stdin = None
    os.closerange(0, 3)
    out.content_type = "text/plain"
    out.write(b"answered")


def close_the_output(spec: Json, out: Output) -> None:
    """Write by a file of its own on the descriptor, which closes that, as it is easily done by mistake."""
    with os.fdopen(out.fileno(), "wb") as file:
        file.write(b"answered")
    out.content_type = "text/plain"


def later_signals(spec: Json, out: Output) -> None:
    """Return, and have a timer interrupt whoever goes on."""

    def interrupt(*_: object) -> NoReturn:
        raise Beyond

    signal.signal(signal.SIGALRM, interrupt)
    out.content_type = "text/plain"
    out.write(b"answered")
    signal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)
