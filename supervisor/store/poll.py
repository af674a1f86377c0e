"""What the answer to a fallback poll says: the rows of sql/queries/poll.sql as types."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from supervisor.model import Ack, Job
from supervisor.store.queue_rows import QueueFigures, foreign_job, lost


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
    old: bool = False
    """Whether retention has work in the database, where that was asked."""
    signs: dict[int, tuple[str, str | None]] = field(default_factory=dict)
    """Of each other supervisor when it looked last, and since when it is silent (None: it is not): see `Silences`."""
    clock: float | None = None
    """The server's time of day, in seconds since 1970."""
    figures: QueueFigures = field(default_factory=QueueFigures)


def answered(rows: Iterable[dict[str, Any]]) -> Polled:
    """Return the answer to a poll."""
    answer = Polled()
    for row in rows:
        if row["what"] in {"orphan", "unknown"}:
            _take_claim(answer, row)
        elif not _took_state(answer, row):
            answer.figures.take(row)
    return answer


def _take_claim(answer: Polled, row: dict[str, Any]) -> None:
    """Take a claim that nobody works on: of a supervisor that is gone, or one of ours that we do not know."""
    job = answer.jobs[str(row["id"])] = foreign_job(row)
    if row["what"] == "orphan":
        answer.lost.append(Ack(job.id, job.token, lost(row)))
    else:
        answer.unknown.append(Ack(job.id, job.token, None))


def _took_state(answer: Polled, row: dict[str, Any]) -> bool:
    """Take what an answer says of the queue and of other supervisors; False where the row is a figure."""
    match row["what"]:
        case "sign":
            answer.signs[row["owner"]] = row["kind"], row["user_id"]
        case "clock":
            answer.clock = row["seconds"]
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
        case "old":
            answer.old = True
        case _:
            return False
    return True
