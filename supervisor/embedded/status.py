"""What a server says of itself in a file, and what is believed of it: the file is its user's, and we may be root."""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass
from pathlib import Path

IPC_RMID = 0


@dataclass(frozen=True, slots=True)
class Status:
    """What the server says of itself in `postmaster.pid`: one fact a line, appended as they come true."""

    pid: int | None = None
    shared_memory: int = -1
    state: str = ""

    @classmethod
    def parse(cls, text: str) -> Status:
        """Read as many lines as there are yet."""
        pid, _data, _started, _port, _sockets, _address, memory, state = (text.splitlines() + [""] * 8)[:8]
        segment = memory.split()[1:2]
        return cls(int(pid) if pid else None, int(segment[0]) if segment else -1, state.strip())


def remove_shared_memory(segment: int, uid: int) -> None:
    """Remove a segment of System V shared memory, if that user made it: root might remove anybody's, and a file said which."""
    with contextlib.suppress(OSError):  # a kernel without any
        for line in Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if (int(fields[1]), int(fields[9])) == (segment, uid):
                ctypes.CDLL(None).shmctl(segment, IPC_RMID, None)
