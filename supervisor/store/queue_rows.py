"""The exchange's and the poll's rows as types, and acks as the exchange reads them: which column means what."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import orjson

from renderer.outcome import OFFENCES, UNCHARGED, Outcome
from supervisor.model import Ending, Job, Token


@dataclass(slots=True)
class QueueFigures:
    """What a poll tells of the queue, for metrics and alerts. Counts go up to a thousand (`COUNTED`), each costs little."""

    depth: dict[str, int] = field(default_factory=dict)
    """Kind → jobs that could run now."""
    oldest: dict[str, float] = field(default_factory=dict)
    """Kind → seconds that the one which has waited longest has waited; kinds with none are left out."""
    running: int = 0
    live: int = 0
    """All jobs that are not finished, as the database's statistics estimate."""
    dead_letters: int = 0
    horizon_age: int = 0
    """Transactions since the oldest snapshot that is held: what died since is not cleaned up."""
    horizon_seconds: float = 0.0

    @property
    def queued(self) -> int:
        """Jobs that could run now: counted, or estimated where there are more than that."""
        counted = sum(self.depth.values())
        return max(counted, self.live - self.running) if max(self.depth.values(), default=0) >= COUNTED else counted

    def take(self, row: dict[str, Any]) -> None:
        """Take one row of the poll."""
        match row["what"]:
            case "depth":
                self.depth[row["kind"]] = row["attempt"]
                if row["seconds"] is not None:
                    self.oldest[row["kind"]] = max(0.0, row["seconds"])
            case "running":
                self.running = row["attempt"]
            case "live":
                self.live = row["attempt"]
            case "dead_letters":
                self.dead_letters = row["attempt"]
            case "horizon":
                self.horizon_age, self.horizon_seconds = row["attempt"] or 0, row["seconds"] or 0.0


COUNTED = 1000
"""As far as a poll counts; the number stands in poll.sql too."""


def claimed_job(row: tuple[Any, ...], owner: int) -> Job:
    """Return a job that an exchange of ours claimed."""
    _, job_id, attempt, kind, spec, config, timeout, memory_mb, user_id, correlation_id, waited, _ = row
    return Job(
        job_id,
        Token(owner, attempt),
        kind,
        spec,
        config,
        timeout,
        memory_mb,
        user_id,
        correlation_id,
        max(0.0, waited),
    )


def lost(row: dict[str, Any]) -> Ending:
    """Return the ending of a job whose supervisor is gone."""
    now = time.monotonic()
    return Ending(
        Outcome.LOST, "its supervisor died", started=now - row["seconds"], finished=now, alone=bool(row["alone"])
    )


def foreign_job(row: dict[str, Any]) -> Job:
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


def ack_text(job_id: str, token: Token, ending: Ending | None) -> str:
    """Return an ack as the exchange reads it: JSON. What is null is left out; times are of our monotonic clock."""
    row: dict[str, Any] = {"id": job_id, "owner": token.owner, "attempt": token.attempt}
    if ending is None:
        return orjson.dumps(row | {"charge": False, "offence": False}).decode()
    outcome = ending.outcome
    row |= {
        "outcome": outcome,
        "charge": outcome not in UNCHARGED,
        "offence": ending.alone or outcome in OFFENCES,
        "progress": ending.progress,
        "started": round(ending.started, 6),
        "finished": round(ending.finished, 6),
        "peak_memory_bytes": ending.peak_memory_bytes,
        "cpu_seconds": ending.cpu_seconds,
        "timeout_seconds": ending.timeout_seconds,
        "memory_limit_bytes": ending.memory_limit_bytes,
    }
    if outcome is not Outcome.OK:
        row |= {"error": ending.error, "exit_signal": ending.exit_signal, "stderr_tail": ending.stderr_tail}
    if (artifact := ending.artifact) is not None:
        row |= {
            "output_url": artifact.url,
            "output_sha256": artifact.sha256,
            "output_bytes": artifact.size,
            "content_type": artifact.content_type,
        }
    return orjson.dumps(row).decode()
