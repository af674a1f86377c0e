"""Publishes so many megabytes and reads them back; prints by how many bytes its peak of resident memory grew."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import sys
from pathlib import Path

from supervisor.artifacts import artifact_store
from supervisor.settings import load

_MEGABYTE = 1024 * 1024


def peak() -> int:
    """Return the largest resident memory so far, in bytes."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


async def main(url: str, megabytes: int) -> int:
    """Do it; return the growth."""
    store = artifact_store(load({"RENDER_ARTIFACTS_URL": url}))
    store.prepare()
    before = peak()
    output = store.open_output()
    for number in range(megabytes):
        os.write(output.fd, bytes([number % 256]) * _MEGABYTE)
    artifact = await store.publish(output, "0190a1b2-0000-7000-8000-0000000000cd", 1, "application/octet-stream")
    output.close()
    assert artifact.size == megabytes * _MEGABYTE
    digest = hashlib.sha256()
    for number in range(megabytes):
        digest.update(await store.read(artifact.url, number * _MEGABYTE, (number + 1) * _MEGABYTE))
    assert digest.hexdigest() == artifact.sha256
    await store.close()
    return peak() - before


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], int(sys.argv[2]))))  # noqa: T201 - the result
