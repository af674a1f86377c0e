"""Numbers of the system calls, by machine. The table numbers.tbl holds the kernel's own names."""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

X32 = 0x40000000
"""The bit that marks a call of the x32 convention (asm/unistd.h); its calls have the convention's value of x86_64."""


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """A calling convention: its value in seccomp_data.arch (linux/audit.h), and its calls by name."""

    name: str
    convention: int
    calls: MappingProxyType[str, int]

    @property
    def newest(self) -> int:
        """The highest number that the table knows."""
        return max(self.calls.values())


_CONVENTIONS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def _read() -> dict[str, Machine]:
    text = (resources.files(__package__) / "numbers.tbl").read_text(encoding="ascii")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    found = {}
    for column, (name, convention) in enumerate(_CONVENTIONS.items(), start=1):
        calls = {row[0]: int(row[column]) for row in rows if row[column] != "-"}
        found[name] = Machine(name, convention, MappingProxyType(calls))
    return found


MACHINES = _read()


def machine() -> Machine:
    """Return the machine that this process runs on. Raises OSError (ENOSYS) where the table has no column for it."""
    name = os.uname().machine
    # A 32-bit Python on a 64-bit kernel makes calls by another convention than the machine's name says.
    if name not in MACHINES or struct.calcsize("P") != 8:  # noqa: PLR2004 - bytes of a pointer
        raise OSError(errno.ENOSYS, f"seccomp: the filter knows {', '.join(MACHINES)} in 64 bits, this is {name}")
    return MACHINES[name]
