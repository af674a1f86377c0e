"""The exchange's and the poll's rows as types, and acks as the exchange reads them: which column means what."""

from __future__ import annotations

import time
from typing import Any

from renderer.outcome import OFFENCES, UNCHARGED, Outcome
from supervisor.model import Ack, Ending, Job, Token


def claimed_job(row: dict[str, Any], owner: int) -> Job:
    """Return a job that an exchange of ours claimed."""
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


def ack_row(ack: Ack) -> dict[str, Any]:
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
