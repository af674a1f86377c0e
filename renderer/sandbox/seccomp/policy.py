"""From families to a program that the kernel runs before each call."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Sequence
from functools import cache

from renderer.needs import NONE, Needs
from renderer.sandbox import ForbiddenCalls
from renderer.sandbox.seccomp import families, numbers, rules
from renderer.sandbox.seccomp.bpf import Place, Program
from renderer.syscalls import checked, libc

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2  # linux/prctl.h, linux/seccomp.h

# Answers, linux/seccomp.h.
KILL = 0x80000000
ERRNO = 0x00050000
ALLOW = 0x7FFF0000


class _Filter(ctypes.Structure):
    """struct sock_fprog (linux/filter.h)."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install(unknown: ForbiddenCalls, needs: Needs = NONE) -> None:
    """Filter the calls of this thread from now on, and of all that it starts.

    There is no way back, and PR_SET_NO_NEW_PRIVS must stand. Threads that run already are not filtered (seccomp(2)).
    Raises OSError: ENOSYS on a machine without a table, EINVAL on a kernel without seccomp, EACCES without no_new_privs.
    """
    enter(build(numbers.machine(), unknown, needs, os.getpid()))


def prepare(unknown: ForbiddenCalls, needs: Needs, process: int) -> None:
    """Build the filter of children that will have this number, so that they need not."""
    with contextlib.suppress(OSError):  # each child says why it has none
        build(numbers.machine(), unknown, needs, process)


def enter(program: bytes) -> None:
    """Have the kernel run this program before each call from now on."""
    filter_ = _Filter(len(program) // 8, program)
    unused = ctypes.c_ulong(0)
    mode = ctypes.c_ulong(_MODE_FILTER)
    checked(libc.prctl(_PR_SET_SECCOMP, mode, ctypes.byref(filter_), unused, unused), "seccomp")


@cache
def build(machine: numbers.Machine, unknown: ForbiddenCalls, needs: Needs, process: int) -> bytes:
    """Return the program for a process of this number, as an array of struct sock_filter."""
    program = Program()
    kill, missing = program.give(KILL), program.give(ERRNO | errno.ENOSYS)
    allow, fail = program.give(ALLOW), program.give(ERRNO | errno.EPERM)
    refuse = kill if unknown is ForbiddenCalls.KILL else fail
    answers = {machine.calls[call]: missing for call in families.MISSING.split()}
    for call, asked in families.ASKED_IN_VAIN.items():
        answers[machine.calls[call]] = rules.write_all(program, asked, fail, refuse)
    for family in families.allowed(needs, process):
        # A call that a machine never had (open, on aarch64) is another one by its newer name.
        for call in set(family.calls.split()) & machine.calls.keys():
            answers[machine.calls[call]] = allow
        for call, asked in family.ruled.items():
            if call in machine.calls:
                answers[machine.calls[call]] = rules.write_all(program, asked, allow, refuse)
    asked, error = families.locks(needs)
    fcntl = machine.calls["fcntl"]
    answers[fcntl] = rules.write_all(program, asked, program.give(ERRNO | error), answers[fcntl])
    spans = _spans(answers, refuse, machine.newest)
    spans += [(machine.newest + 1, missing), (numbers.X32, kill)]
    start = program.load(rules.NUMBER, _search(program, spans))
    right = program.if_equal(machine.convention, start, kill)
    program.load(rules.CONVENTION, right)
    return program.assemble()


def _spans(answers: dict[int, Place], otherwise: Place, newest: int) -> list[tuple[int, Place]]:
    """Return runs of numbers that have the same answer: the first number of each run, and the answer."""
    spans: list[tuple[int, Place]] = []
    for number in range(newest + 1):
        answer = answers.get(number, otherwise)
        if not spans or spans[-1][1] != answer:
            spans.append((number, answer))
    return spans


def _search(program: Program, spans: Sequence[tuple[int, Place]]) -> Place:
    """Put a binary search in front of the program: about seven comparisons find any number."""
    if len(spans) == 1:
        return spans[0][1]
    middle = len(spans) // 2
    upper, lower = _search(program, spans[middle:]), _search(program, spans[:middle])
    return program.if_at_least(spans[middle][0], upper, lower)
