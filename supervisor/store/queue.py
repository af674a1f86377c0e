"""The work connection: one statement at a time, each a named query. Knows the SQL's columns, and no policy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg
from psycopg.rows import dict_row

from renderer.outcome import OFFENCES, UNCHARGED, Outcome
from supervisor.errors import DatabaseUnreachable
from supervisor.forkserver import KindInfo
from supervisor.model import Ack, Ending, Job, Token
from supervisor.settings import Settings
from supervisor.store.connection import connect_async, meaning
from supervisor.store.statements import query


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the database made of an ack: completed, failed, cancelled, queued, given_back, lease_lost or locked."""

    job_id: str
    attempt: int
    verdict: str


@dataclass(slots=True)
class Exchanged:
    """The answer to an exchange. `due` is in seconds from now."""

    claimed: list[Job] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    due: float | None = None
    more: bool = False
    """Something is left to claim, or was a moment ago."""
    busy: bool = False
    """Somebody else was counting the places of a limit."""
    blocked: int | None = None
    """The priority at which every tenant that has a job has all its places."""
    holders: frozenset[str] = frozenset()
    """Sessions that are writing to the queue, by virtual transaction."""


@dataclass(slots=True)
class Polled:
    """The answer to a fallback poll. `due` and `look_again` are in seconds from now."""

    lost: list[Ack] = field(default_factory=list)
    unknown: list[Ack] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    """The jobs of those acks, by id, without spec and config: what log lines tell of them."""
    work: bool = False
    registered: bool = True
    due: float | None = None
    look_again: float | None = None
    holders: frozenset[str] = frozenset()


class QueueStore:
    """The queue, from the side of one supervisor. Every method raises DatabaseUnreachable when the link is gone."""

    def __init__(self, settings: Settings, name: str, only: str | None = None) -> None:
        self._settings = settings
        self._only = only
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self.name = name
        self.owner = 0

    async def connect(self) -> None:
        """Open the work connection."""
        await self.close()
        self._connection = await connect_async(self._settings.require_database(), f"jobsupervisor {self.name} work")

    async def close(self) -> None:
        """Close the work connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def _run(self, statement: str, /, **parameters: Any) -> list[dict[str, Any]]:
        if self._connection is None:
            raise DatabaseUnreachable("the work connection is closed")
        try:
            async with self._connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(query(statement), parameters)
                return await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise meaning(error, self._connection) from error

    @contextlib.contextmanager
    def watched(self, on_word: Callable[[], None]) -> Iterator[None]:
        """Call `on_word` once when the server says something while this block waits: that the session is at its end.

        Without it an idle supervisor would notice a connection that broke at its next poll. No statement may be under way.
        """
        if self._connection is None or self._connection.closed:
            yield
            return
        loop, descriptor = asyncio.get_running_loop(), self._connection.fileno()

        def heard() -> None:
            loop.remove_reader(descriptor)
            on_word()

        loop.add_reader(descriptor, heard)
        try:
            yield
        finally:
            loop.remove_reader(descriptor)

    @property
    def _lease(self) -> float | None:
        """Seconds that a supervisor without a LISTEN session is believed to live after its last poll."""
        if self._settings.enable_events:
            return None
        return 2 * self._settings.polling_interval + self._settings.rescue_grace_seconds

    async def register(self, kinds: Mapping[str, KindInfo]) -> None:
        """Make this supervisor and its kinds known; sets `owner`, or keeps the one that it had."""
        listed = [{"name": kind.name, "spec_schema": kind.spec_schema} for kind in kinds.values()]
        await self._run("register_kinds", kinds=_json(listed))
        rows = await self._run(
            "register_supervisor",
            owner=self.owner or None,
            name=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            concurrency=self._settings.concurrency,
            max_attempts=self._settings.max_attempts,
            lease=self._lease,
        )
        self.owner = rows[0]["id"]

    async def unregister(self) -> None:
        """Take this supervisor out of the list, unless it leaves jobs to be rescued."""
        await self._run("unregister_supervisor", owner=self.owner)

    async def name_is_leased(self, name: str) -> bool:
        """Whether a supervisor of that name lives, as far as its lease tells."""
        rows = await self._run("name_leased", name=name)
        return bool(rows[0]["exists"])

    async def exchange(
        self,
        acks: Sequence[Ack],
        progress: Mapping[tuple[str, Token], float],
        kinds: Sequence[str],
        want: int,
        *,
        cursor: str = "",
        below: int | None = None,
        arm: bool | None = None,
    ) -> Exchanged:
        """Acknowledge and claim, in one statement. Nothing is claimed while we are not registered.

        `cursor` is the tenant that was served last; `below` restricts the claim to lower priorities; `arm` says whether
        to be told of new work.
        """
        # Kept: the owner may change while the statement is under way, and the claims carry the one that was sent.
        owner = self.owner
        rows = await self._run(
            "exchange",
            owner=owner,
            acks=_json([_ack_row(ack) for ack in acks]),
            progress=_json(
                [
                    {"id": job_id, "attempt": token.attempt, "progress": fraction}
                    for (job_id, token), fraction in progress.items()
                    if token.owner == owner
                ]
            ),
            kinds=list(kinds),
            want=want if owner else 0,
            cursor=cursor,
            below=below,
            arm=arm,
            only=self._only,
            offence_limit=self._settings.offence_limit,
            max_attempts=self._settings.max_attempts,
            retry_delay=self._settings.retry_delay_seconds,
        )
        answer = Exchanged()
        for row in rows:
            match row["what"]:
                case "claimed":
                    answer.claimed.append(_job(row, owner))
                case "cancel":
                    answer.cancelled.append(str(row["id"]))
                case "due":
                    answer.due = row["seconds"]
                case "more":
                    answer.more = True
                case "busy":
                    answer.busy = True
                case "blocked":
                    answer.blocked = row["attempt"]
                case "holder":
                    answer.holders |= {row["kind"]}
                case verdict:
                    answer.verdicts.append(Verdict(str(row["id"]), row["attempt"], verdict))
        return answer

    async def poll(self, kinds: Sequence[str], known: Iterable[tuple[str, Token]] = ()) -> Polled:
        """Say that we live, hear who does not, and whether there is work; `known` are all claims that we have."""
        rows = await self._run(
            "poll",
            owner=self.owner,
            name=self.name,
            lease=self._lease,
            grace=self._settings.rescue_grace_seconds,
            interval=self._settings.polling_interval,
            kinds=list(kinds),
            only=self._only,
            known=_json(
                [{"id": job_id, "attempt": token.attempt} for job_id, token in known if token.owner == self.owner]
            ),
        )
        answer = Polled()
        for row in rows:
            match row["what"]:
                case "orphan":
                    job = answer.jobs[str(row["id"])] = _foreign(row)
                    answer.lost.append(Ack(job.id, job.token, _lost(row)))
                case "unknown":
                    job = answer.jobs[str(row["id"])] = _foreign(row)
                    answer.unknown.append(Ack(job.id, job.token, None))
                case "work":
                    answer.work = True
                case "due":
                    answer.due = row["seconds"]
                case "holder":
                    answer.holders |= {row["kind"]}
                case "look_again":
                    answer.look_again = row["seconds"]
                case "unregistered":
                    answer.registered = False
        return answer


def _job(row: dict[str, Any], owner: int) -> Job:
    return Job(
        id=str(row["id"]),
        token=Token(owner, row["attempt"]),
        kind=row["kind"],
        spec=row["spec"],
        config=row["config"],
        timeout=row["timeout"],
        memory_mb=row["memory_mb"],
        user_id=row["user_id"],
        correlation_id=row["correlation_id"],
    )


def _lost(row: dict[str, Any]) -> Ending:
    """Return the ending of a job whose supervisor is gone."""
    now = time.monotonic()
    return Ending(
        Outcome.LOST, "its supervisor died", started=now - row["seconds"], finished=now, alone=bool(row["alone"])
    )


def _foreign(row: dict[str, Any]) -> Job:
    """Return a job that did not come to us through an exchange, under the token that it has."""
    return Job(
        id=str(row["id"]),
        token=Token(row["owner"], row["attempt"]),
        kind=row["kind"],
        spec="",
        config="",
        timeout=None,
        memory_mb=None,
        user_id=row["user_id"],
        correlation_id=row["correlation_id"],
    )


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _ack_row(ack: Ack) -> dict[str, Any]:
    """Return an ack as the exchange reads it; ages instead of times, since clocks differ."""
    row: dict[str, Any] = {"id": ack.job_id, "owner": ack.token.owner, "attempt": ack.token.attempt}
    ending = ack.ending
    if ending is None:
        return row | {"charge": False, "offence": False}
    now = time.monotonic()
    row |= {
        "outcome": ending.outcome,
        "charge": ending.outcome not in UNCHARGED,
        "offence": ending.outcome in OFFENCES or ending.alone,
        "error": ending.error,
        "progress": ending.progress,
        "started_ago": now - ending.started,
        "finished_ago": now - ending.finished,
        "peak_memory_bytes": ending.peak_memory_bytes,
        "cpu_seconds": ending.cpu_seconds,
        "exit_signal": ending.exit_signal,
        "stderr_tail": ending.stderr_tail,
        "timeout_seconds": ending.timeout_seconds,
        "memory_limit_bytes": ending.memory_limit_bytes,
    }
    if ending.artifact is not None:
        row |= {
            "output_url": ending.artifact.url,
            "output_sha256": ending.artifact.sha256,
            "output_bytes": ending.artifact.size,
            "content_type": ending.artifact.content_type,
        }
    return row
