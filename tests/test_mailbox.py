"""Frames that the kernel does not take: they say nothing of the child that they were for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def crowded(how: str) -> Any:
    """Return what a process of a crowded user reports (tests/crowded_user.py)."""
    command = [sys.executable, "-m", "tests.crowded_user", how]
    return json.loads(subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True).stdout)


def test_frames_are_sent_when_there_is_room_again() -> None:
    """ETOOMANYREFS was taken for a dead child, and its job ran into its deadline: now the clock waits, and the job arrives."""
    assert crowded("relieved") == {"heard": ["held up 2", "under way 2"], "came": [["j1", True], ["j2", True]]}


def test_jobs_go_back_when_there_is_none() -> None:
    """Nothing of them was sent: after a second they are handed back, to be charged to nobody."""
    assert crowded("stuck") == {"heard": ["held up 2", "not sent 2"], "came": []}
