"""What a rule may ask of a call's arguments, and how that is put into a program.

The kernel reads flags, commands and process numbers as 32-bit integers and drops the upper half of the register; so do
these rules. One that looked at all 64 bits would refuse what the kernel takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from renderer.sandbox.seccomp.bpf import Place, Program

NUMBER, CONVENTION, _ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data (linux/seccomp.h)."""

_ALL_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class OneOf:
    """An argument, as far as the mask covers it, is one of these values."""

    argument: int
    values: tuple[int, ...]
    mask: int = _ALL_BITS

    def write(self, program: Program, yes: Place, no: Place) -> Place:
        """Put the question in front of the program."""
        return _compare(program, _low(self.argument), self, yes, no)


@dataclass(frozen=True, slots=True)
class Null:
    """An argument is a null pointer: all 64 bits."""

    argument: int

    def write(self, program: Program, yes: Place, no: Place) -> Place:
        """Put the question in front of the program."""
        zero = OneOf(self.argument, (0,))
        upper = _compare(program, _low(self.argument) + 4, zero, yes, no)
        return _compare(program, _low(self.argument), zero, upper, no)


@dataclass(frozen=True, slots=True)
class Either:
    """One of several sets of rules holds: what an argument may be depends on another, a command as a rule."""

    alternatives: tuple[tuple[Rule, ...], ...]

    def write(self, program: Program, yes: Place, no: Place) -> Place:
        """Put the question in front of the program."""
        for rules in reversed(self.alternatives):
            no = write_all(program, rules, yes, no)
        return no


Rule = OneOf | Null | Either


def only(argument: int, allowed: int, *, required: int = 0) -> OneOf:
    """Allow these flags of an argument and no other: one that a kernel learns later is refused. Some may be required."""
    return OneOf(argument, (required,), _ALL_BITS & ~allowed | required)


def write_all(program: Program, rules: Sequence[Rule], yes: Place, no: Place) -> Place:
    """Put a call's rules in front of the program: it goes on at `yes` when all hold."""
    for rule in reversed(rules):
        yes = rule.write(program, yes, no)
    return yes


def _low(argument: int) -> int:
    """Return where the lower half of an argument stands: first, as both machines are little-endian."""
    return _ARGUMENTS + 8 * argument


def _compare(program: Program, offset: int, rule: OneOf, yes: Place, no: Place) -> Place:
    place = no
    for value in reversed(rule.values):
        place = program.if_equal(value, yes, place)
    if rule.mask != _ALL_BITS:
        place = program.mask(rule.mask, place)
    return program.load(offset, place)
