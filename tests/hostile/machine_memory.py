"""How much memory the kernel uses for itself, watched while hostile jobs run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Self

_COUNTED = ("SUnreclaim:", "KernelStack:", "PageTables:")


class KernelMemory:
    """A context manager: `first` is what there was, `most` the most that was seen, in bytes."""

    def __enter__(self) -> Self:
        self.first = self.most = _now()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, _now())


def _now() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_COUNTED))
