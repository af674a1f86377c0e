"""Frames that the kernel does not take: they say nothing of the child that they were for."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from renderer import wire
from renderer.outcome import Outcome
from renderer.sandbox import SandboxMode
from supervisor.attempt import Limits
from supervisor.child import Child
from supervisor.classify import Observation, classify
from supervisor.model import Job, Token
from tests.pools import LIMITS, OneChild, attempt, with_pool


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


class Refusing:
    """`wire.send_start` of a kernel that takes no descriptors for a while."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self._send = wire.send_start

    def __call__(self, sock: socket.socket, frame: memoryview, descriptors: Sequence[int]) -> int:
        """Refuse so many times, then send."""
        if self.refusals and descriptors:
            self.refusals -= 1
            raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))
        return self._send(sock, frame, descriptors)


def test_the_time_of_a_job_waits_with_its_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused for longer than the job may take: the job is done all the same, in its own time."""
    monkeypatch.setattr(wire, "send_start", Refusing(8))

    async def work(pool: OneChild) -> None:
        child, seen = await tried(pool, dataclasses.replace(LIMITS, timeout=0.4))
        assert seen is not None
        assert classify(seen)[0] is Outcome.OK, seen
        pool.give_back(child, "svg", Outcome.OK)

    with_pool(SandboxMode.BEST_EFFORT, work)


def test_the_time_of_a_job_that_is_held_ahead_waits_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its frame is refused while the child is at another job, and that one ends: no clock runs of what the child does not have."""
    refusing = Refusing(0)
    monkeypatch.setattr(wire, "send_start", refusing)

    async def work(pool: OneChild) -> None:
        child = await pool.taken("svg", "a")
        first = asyncio.ensure_future(tried(pool, LIMITS, child))
        await asyncio.sleep(0)
        refusing.refusals = 8
        _, seen = await tried(pool, dataclasses.replace(LIMITS, timeout=0.4), child)
        await first
        assert seen is not None
        assert classify(seen)[0] is Outcome.OK, seen
        pool.give_back(child, "svg", Outcome.OK)

    with_pool(SandboxMode.BEST_EFFORT, work)


def test_a_child_that_was_not_reached_is_as_well_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt never began, so nobody is charged, and the same child does the job once it can be sent."""

    async def work(pool: OneChild) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(wire, "send_start", Refusing(10_000))
            child, seen = await tried(pool, LIMITS)
        assert seen is None
        assert child.alive
        assert child.held == 0
        pool.give_back(child, "svg", Outcome.OK)
        again, seen = await tried(pool, LIMITS)
        assert again is child
        assert seen is not None
        assert classify(seen)[0] is Outcome.OK, seen
        pool.give_back(child, "svg", Outcome.OK)

    with_pool(SandboxMode.BEST_EFFORT, work)


def test_a_child_that_ends_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its job was not sent yet, so its end is not the job's."""
    monkeypatch.setattr(wire, "send_start", Refusing(10_000))

    async def work(pool: OneChild) -> None:
        child = await pool.taken("svg", "a")
        trial = asyncio.ensure_future(tried(pool, LIMITS, child))
        await asyncio.sleep(0)
        os.kill(child.process.pid, signal.SIGSEGV)
        _, seen = await trial
        assert seen is None
        pool.give_back(child, "svg", Outcome.INTERNAL)

    with_pool(SandboxMode.BEST_EFFORT, work)


async def tried(pool: OneChild, limits: Limits, child: Child | None = None) -> tuple[Child, Observation | None]:
    """Have a child try a small drawing."""
    child = child or await pool.taken("svg", "a")
    spec = json.dumps({"svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'})
    with tempfile.TemporaryFile() as output:
        job = Job("j1", Token(1, 1), "svg", spec, "{}", None, None, "a", None)
        return child, await attempt(child, job, output.fileno(), limits)
