"""An assembler for classic BPF, as far as seccomp takes it (seccomp(2), linux/filter.h).

A program is written from its last instruction to its first. All jumps go forward, so where a jump is written its target
stands already, and no second pass has to fill in distances. A place is counted from the end, and never moves.
"""

from __future__ import annotations

import struct
from typing import NewType

Place = NewType("Place", int)

MAX_INSTRUCTIONS = 4096
"""BPF_MAXINSNS."""

_FAR = 255  # a conditional jump has 8 bits for each of its two distances

# linux/bpf_common.h. The kernel remembers calls for which a program of these, on number and convention alone, says "allow"
# and does not run the program for them again (since 5.11); other instructions would cost that.
_LOAD = 0x20
_JUMP = 0x05
_JUMP_EQUAL = 0x15
_JUMP_AT_LEAST = 0x35
_AND = 0x54
_RETURN = 0x06


class Program:
    """A program that grows at its front."""

    def __init__(self) -> None:
        self._instructions: list[bytes] = []
        self._copies: dict[Place, Place] = {}

    def __len__(self) -> int:
        return len(self._instructions)

    def give(self, value: int) -> Place:
        """Answer the call with this value."""
        return self._emit(_RETURN, value)

    def load(self, offset: int, then: Place) -> Place:
        """Load 32 bits of seccomp_data, then go on."""
        return self._before(then, _LOAD, offset)

    def mask(self, bits: int, then: Place) -> Place:
        """Keep only these bits of what is loaded, then go on."""
        return self._before(then, _AND, bits)

    def if_equal(self, value: int, yes: Place, no: Place) -> Place:
        """Go on at `yes` when what is loaded equals `value`, else at `no`."""
        return self._branch(_JUMP_EQUAL, value, yes, no)

    def if_at_least(self, value: int, yes: Place, no: Place) -> Place:
        """Go on at `yes` when what is loaded is `value` or more, else at `no`."""
        return self._branch(_JUMP_AT_LEAST, value, yes, no)

    def assemble(self) -> bytes:
        """Return the program as an array of struct sock_filter."""
        if len(self) > MAX_INSTRUCTIONS:
            raise ValueError(f"a filter must be at most {MAX_INSTRUCTIONS} instructions, got {len(self)}")
        return b"".join(reversed(self._instructions))

    def _emit(self, code: int, value: int, yes: int = 0, no: int = 0) -> Place:
        self._instructions.append(struct.pack("=HBBI", code, yes, no, value))
        return Place(len(self) - 1)

    def _distance(self, target: Place) -> int:
        """Instructions that a jump written now would skip."""
        return len(self) - 1 - target

    def _before(self, then: Place, code: int, value: int) -> Place:
        if self._distance(then):
            self._emit(_JUMP, self._distance(then))
        return self._emit(code, value)

    def _branch(self, code: int, value: int, yes: Place, no: Place) -> Place:
        # Twice: a stepping stone for one of the two may push the other out of reach.
        for _ in range(2):
            yes, no = self._near(yes), self._near(no)
        return self._emit(code, value, self._distance(yes), self._distance(no))

    def _near(self, target: Place) -> Place:
        """Return a place within reach that leads to the target: itself, or a jump to it that is shared until it is far."""
        copy = self._copies.get(target, target)
        # One short of the limit, for the stone that the other branch may need.
        if self._distance(copy) >= _FAR:
            copy = self._copies[target] = self._emit(_JUMP, self._distance(target))
        return copy
