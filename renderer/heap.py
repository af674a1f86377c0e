"""What the fork server does to its own memory before it forks: what a fork costs is, for the most part, its page tables.

A fork copies an entry for each page that is not a file's, and a child copies each of these pages that it writes to, be it a
reference count. So: no garbage, nothing for the collector to visit again, unused pages back to the system, and what is used as a
whole in huge pages, whose one entry stands for 512. A child that writes to one copies 4 KB of it, as before.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from renderer.syscalls import checked, libc

_HUGE = 2 * 1024 * 1024
_PAGE = 4096
_USED = 9 / 10
"""Of a huge page's small ones: those that were never used become memory that is."""
_COLLAPSE = 25  # MADV_COLLAPSE, asm-generic/mman-common.h


def settle() -> None:
    """Bring the memory of this process into the form that is cheapest to fork from."""
    gc.collect()
    if hasattr(libc, "malloc_trim"):  # glibc's
        libc.malloc_trim(ctypes.c_size_t(0))
    gc.freeze()
    for address in _used(_whole_pages()):
        # What lies in a file: EINVAL; so does all of it before Linux 6.1. Each is left as it is.
        with contextlib.suppress(OSError):
            checked(libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(_HUGE), _COLLAPSE), "madvise")


def _used(addresses: Iterable[int]) -> Iterator[int]:
    """Yield those of the addresses whose huge page would hold little that was never used (proc_pid_pagemap(5), bit 63)."""
    with contextlib.suppress(OSError), Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
        for address in addresses:
            entries = os.pread(pagemap.fileno(), _HUGE // _PAGE * 8, address // _PAGE * 8)
            if sum(byte >> 7 for byte in entries[7::8]) >= _USED * _HUGE // _PAGE:
                yield address


def _whole_pages() -> Iterator[int]:
    """Yield the address of each place in private writable memory that a huge page fits into (proc_pid_maps(5))."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        place, rights, _, _, inode, *_ = line.split(maxsplit=5)
        if rights == "rw-p" and inode == "0":
            start, end = (int(part, 16) for part in place.split("-"))
            yield from range(-(-start // _HUGE) * _HUGE, end - _HUGE + 1, _HUGE)
