"""What the figures were measured on: without it a figure of another day cannot be compared."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from supervisor.embedded import find_binaries


def description() -> dict[str, Any]:
    """Return the machine, the versions, and how busy it is: figures of a machine that others use are not valid."""
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": len(os.sched_getaffinity(0)),
        "cpu_model": _cpu_model(),
        "memory_mb": psutil.virtual_memory().total // 1024**2,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgresql": _postgresql(),
        "load_before": load(),
        "commit": _commit(),
    }


def load() -> list[float]:
    """Return how many processes wanted a processor, over the last 1, 5 and 15 minutes."""
    return [round(average, 2) for average in os.getloadavg()]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _postgresql() -> str:
    said = subprocess.run([find_binaries() / "postgres", "--version"], capture_output=True, text=True, check=False)
    return said.stdout.strip()


def _commit() -> str:
    """Return the commit of this checkout, with a plus where it was changed since; nothing outside of one."""
    here = Path(__file__).parent
    git = ["git", "-C", str(here)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
