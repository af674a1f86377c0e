"""The queue's statements, from the side of one supervisor: what each is told, and what it answers. No policy."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import orjson

from supervisor.clocks import DatabaseClock, Silences
from supervisor.forkserver import KindInfo
from supervisor.model import Ack, Token
from supervisor.settings import Settings
from supervisor.store import exchange
from supervisor.store.exchange import Exchanged, Question, not_needed
from supervisor.store.poll import Polled, answered
from supervisor.store.queue_rows import ack_text
from supervisor.store.work_connection import WorkConnection

_EVERYTHING = Question()


class QueueStore:
    """The queue, from the side of one supervisor. Every method raises DatabaseUnreachable when the link is gone."""

    def __init__(self, settings: Settings, name: str, only: str | None = None) -> None:
        self._settings = settings
        self._only = only
        self._connection = WorkConnection()
        self.limited = False
        """Whether we believe that a kind or a tenant is limited."""
        self.clock = DatabaseClock()
        self.silences = Silences()
        self.name = name
        self.owner = 0

    async def connect(self) -> None:
        """Open the work connection, and have the server plan what the first jobs need: it takes longer than they do."""
        await self._connection.connect(self._settings.require_database(), f"jobsupervisor {self.name} work")
        # While we saw nothing, others may have lived: they get the whole grace period from the next poll on.
        self.silences.forget()
        if self._connection.prepares:
            for acks, claim in ((False, True), (True, False), (True, True)):
                without = self._without(acks=acks, claim=claim)
                await self._connection.tuples("exchange", without, **self._told(0, (), {}))

    async def close(self) -> None:
        """Close the work connection."""
        await self._connection.close()

    def watched(self, on_word: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `on_word` once when the server says something unasked while this block waits: see `WorkConnection`."""
        return self._connection.watched(on_word)

    @property
    def _lease(self) -> float | None:
        """Seconds that a supervisor without a LISTEN session is believed to live after its last poll."""
        if self._settings.enable_events:
            return None
        return 2 * self._settings.polling_interval + self._settings.rescue_grace_seconds

    async def register(self, kinds: Mapping[str, KindInfo]) -> None:
        """Make this supervisor and its kinds known; sets `owner`, or keeps the one that it had."""
        listed = [{"name": kind.name, "spec_schema": kind.spec_schema} for kind in kinds.values()]
        await self._connection.run("register_kinds", kinds=_json(listed))
        rows = await self._connection.run(
            "register_supervisor",
            owner=self.owner or None,
            name=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            concurrency=self._settings.concurrency,
            lease=self._lease,
            tells=self._only is None,
            **self._limits(),
        )
        self.owner = rows[0]["id"]

    async def retell(self) -> None:
        """Tell what changed in the settings that `register` told."""
        await self._connection.run(
            "tell_settings", owner=self.owner, concurrency=self._settings.concurrency, **self._limits()
        )

    def _limits(self) -> dict[str, int | None]:
        """Return what enqueue_render goes by. What the operator gives every job, none is refused."""
        settings = self._settings
        return {
            "max_attempts": settings.max_attempts,
            "attempts_limit": max(settings.attempts_limit, settings.max_attempts),
            "max_priority": settings.max_priority,
        }

    async def abort(self) -> None:
        """Hang up on a server that does not answer; what waits for it gets DatabaseUnreachable."""
        await self._connection.abort()

    async def unregister(self) -> None:
        """Take this supervisor out of the list, unless it leaves jobs to be rescued."""
        await self._connection.run("unregister_supervisor", owner=self.owner)

    async def name_is_leased(self, name: str) -> bool:
        """Whether a supervisor of that name lives, as far as its lease tells."""
        rows = await self._connection.run("name_leased", name=name)
        return bool(rows[0]["exists"])

    async def exchange(
        self,
        acks: Sequence[Ack],
        progress: Mapping[tuple[str, Token], float],
        kinds: Sequence[str],
        want: int,
        question: Question = _EVERYTHING,
    ) -> Exchanged:
        """Acknowledge and claim, in one statement. Nothing is claimed while we are not registered."""
        answer = await self._exchange(acks, progress, kinds, want, question)
        if answer.limited is not None:
            learned = answer.limited and not self.limited
            self.limited = answer.limited
            if learned and want and not self._only:
                # Somebody has set a limit since. The acks are done; what is claimed is claimed within it.
                verdicts = answer.verdicts
                answer = await self._exchange((), {}, kinds, want, question)
                answer.verdicts = verdicts
        return answer

    async def _exchange(
        self,
        acks: Sequence[Ack],
        progress: Mapping[tuple[str, Token], float],
        kinds: Sequence[str],
        want: int,
        question: Question,
    ) -> Exchanged:
        # Kept: the owner may change while the statement is under way, and the claims carry the one that was sent.
        owner = self.owner
        want = want if owner else 0
        without = self._without(
            acks=bool(acks or progress),
            claim=want > 0,
            progress=bool(progress),
            ills=any(ack.ill for ack in acks),
            holders=question.holders,
            since=question.since is not None,
            mark=question.mark,
        )
        told = self._told(owner, acks, progress) | {
            "kinds": list(kinds),
            "want": want,
            "cursor": question.cursor,
            "below": question.below,
            "arm": question.arm,
            "since": question.since,
        }
        asked = time.monotonic()
        rows = await self._connection.tuples("exchange", without, **told)
        answer = exchange.answered(rows, acks, owner)
        self._learn_clock(answer.clock, asked)
        return answer

    def _learn_clock(self, told: float | None, asked: float) -> None:
        if told is not None:
            self.clock.learn(told, asked, time.monotonic())

    def _told(self, owner: int, acks: Sequence[Ack], progress: Mapping[tuple[str, Token], float]) -> dict[str, Any]:
        """Return the parameters of an exchange that claims nothing."""
        return {
            "owner": owner,
            "acks": f"[{','.join([ack.text or ack_text(ack.job_id, ack.token, ack.ending) for ack in acks])}]",
            "clock": time.monotonic(),
            "epoch": self.clock.epoch,
            "progress": _json(
                [
                    {"id": job_id, "attempt": token.attempt, "progress": fraction}
                    for (job_id, token), fraction in progress.items()
                    if token.owner == owner
                ]
            ),
            "kinds": [],
            "want": 0,
            "cursor": "",
            "below": None,
            "arm": None,
            "since": None,
            "only": self._only,
            "offence_limit": self._settings.offence_limit,
            "max_attempts": self._settings.max_attempts,
            "retry_delay": self._settings.retry_delay_seconds,
        }

    def _without(self, **needed: bool) -> tuple[str, ...]:
        return not_needed(limits=self.limited, only=self._only is not None, **needed)

    async def poll(self, kinds: Sequence[str], known: Iterable[tuple[str, Token]] = (), *, old: bool = False) -> Polled:
        """Say that we live, hear who does not, and whether there is work; `known` are all claims that we have.

        `old` asks whether retention has work, too.
        """
        asked = time.monotonic()
        rows = await self._connection.run(
            "poll",
            () if old else ("old",),
            owner=self.owner,
            name=self.name,
            lease=self._lease,
            grace=self._settings.rescue_grace_seconds,
            interval=self._settings.polling_interval,
            kinds=list(kinds),
            only=self._only,
            retention_days=self._settings.retention_days,
            observed=_json(self.silences.observed()),
            known=_json(
                [{"id": job_id, "attempt": token.attempt} for job_id, token in known if token.owner == self.owner]
            ),
        )
        answer = answered(rows)
        self._learn_clock(answer.clock, asked)
        self.silences.learn(answer.signs)
        return answer


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
