"""Asking for memory before native code does that cannot say it got none.

resvg aborts the process; skia leaves out the layer that it has no memory for, and the picture is silently wrong.
"""

from __future__ import annotations

import mmap


def require(size: int) -> None:
    """Raise MemoryError unless `size` bytes can be had now. They are given back at once, untouched, in microseconds."""
    try:
        # Private, because only that counts toward RLIMIT_DATA; mapped, because a freed block of the heap would be
        # cleared the next time.
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError as error:
        raise MemoryError(f"no memory for {size:,} bytes of pixels") from error
