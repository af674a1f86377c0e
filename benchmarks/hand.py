"""A supervisor's hand without the supervisor: registers itself and sends exchanges and polls, and renders nothing.

So that what a statement takes is measured, and not what the service does around it.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from typing import Self

from renderer.outcome import Outcome
from supervisor.low_mark import LowMark
from supervisor.model import Ack, Ending, Job
from supervisor.settings import load
from supervisor.store.exchange import Question
from supervisor.store.queue import QueueStore


class Hand:
    """One registered owner of claims. Every call returns the seconds that its statement took."""

    def __init__(self, url: str, name: str, kinds: list[str]) -> None:
        self._loop = asyncio.new_event_loop()
        self._store = QueueStore(load({**os.environ, "DATABASE_URL": url}), name)
        self._kinds = kinds
        self._held: list[Job] = []
        self._tenant = ""
        self._low_mark = LowMark()

    def __enter__(self) -> Self:
        self._loop.run_until_complete(self._store.connect())
        self._loop.run_until_complete(self._store.register({}))
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(Exception):
            self.exchange(0)
            self._loop.run_until_complete(self._store.unregister())
        self._loop.run_until_complete(self._store.close())
        self._loop.close()

    def exchange(self, want: int = 1) -> float:
        """Acknowledge what was claimed by the last call and claim as many as wanted."""
        acks = [Ack(job.id, job.token, Ending(Outcome.OK)) for job in self._held]
        since, mark = self._low_mark.ask()
        question = Question(self._tenant, since=since, mark=mark)
        started = time.perf_counter()
        answer = self._loop.run_until_complete(self._store.exchange(acks, {}, self._kinds, want, question))
        taken = time.perf_counter() - started
        if len(answer.claimed) == want:
            self._low_mark.learn(want, answer.mark)
        else:
            self._low_mark.forget()
        self._held = answer.claimed
        if self._held:
            self._tenant = self._held[-1].user_id or ""
        return taken

    @property
    def holds(self) -> int:
        """How many jobs the last exchange claimed."""
        return len(self._held)

    def poll(self) -> float:
        """Send the fallback poll."""
        started = time.perf_counter()
        self._loop.run_until_complete(self._store.poll(self._kinds, [(job.id, job.token) for job in self._held]))
        return time.perf_counter() - started
