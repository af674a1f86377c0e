"""What an exchange leaves out, and what its answer says: the rows of sql/queries/exchange.sql as types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from supervisor.model import Ack, Job
from supervisor.store.queue_rows import claimed_job


@dataclass(frozen=True, slots=True)
class Question:
    """What a claim asks beside its number."""

    cursor: str = ""
    """The tenant that was served last."""
    below: int | None = None
    """Claim only lower priorities than this."""
    arm: bool | None = None
    """Whether to be told of new work from now on; None: as it is."""
    holders: bool = True
    """Who is writing to the queue."""
    since: str | None = None
    """Claim only what was to run then or later; an answer's `mark`."""
    mark: bool = False
    """What that time is by now."""


class Verdict(NamedTuple):
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
    became_due: int = 0
    """Jobs that this exchange has queued, and the next one can claim."""
    busy: bool = False
    """Somebody else was counting the places of a limit."""
    blocked: int | None = None
    """The priority at which every tenant that has a job has all its places."""
    holders: frozenset[str] = frozenset()
    """Sessions that are writing to the queue, by virtual transaction, where that was asked for."""
    mark: str | None = None
    """Nothing that is queued was to run before this time, as the server writes it; where that was asked for and is known."""
    clock: float | None = None
    """The server's time of day when it took the statement, in seconds since 1970."""
    limited: bool | None = None
    """Whether a kind or a tenant is limited, where we believed otherwise. Then nothing was claimed; the store asks
    again, where something was wanted."""


def not_needed(  # noqa: PLR0913 - one for each part
    *,
    limits: bool,
    only: bool,
    acks: bool,
    claim: bool,
    progress: bool = False,
    ills: bool = False,
    holders: bool = False,
    since: bool = False,
    mark: bool = False,
) -> tuple[str, ...]:
    """Return the parts of an exchange that would have nothing to do; each argument says that its part has."""
    needed = {
        "free_for_all": not limits,
        "limits": limits,
        "acks": acks,
        "claim": claim,
        "progress": progress,
        "ills": ills,
        "only": only,
        "holders": holders,
        "since": since,
        "mark": mark,
    }
    return tuple(part for part, is_needed in needed.items() if not is_needed)


def answered(rows: Iterable[tuple[Any, ...]], acks: Sequence[Ack], owner: int) -> Exchanged:
    """Return the answer to an exchange that sent these acks, in that order, and claimed for that owner."""
    answer = Exchanged()
    for row in rows:
        match what := row[0]:
            case "claimed":
                answer.claimed.append(claimed_job(row, owner))
            case "cancel":
                answer.cancelled.append(row[1])
            case _:
                if not _took_aside(answer, what, row):
                    found = [acks[int(place) - 1] for place in row[4].split(",")]
                    answer.verdicts += [Verdict(ack.job_id, ack.token.attempt, what) for ack in found]
    return answer


def _took_aside(answer: Exchanged, what: str, row: tuple[Any, ...]) -> bool:
    """Take what an answer says beside what was claimed and what became of acks; False where the row is about acks."""
    match what:
        case "due":
            answer.due = row[10]
        case "clock":
            answer.clock = row[10]
        case "more":
            answer.more, answer.became_due = True, row[2]
        case "busy":
            answer.busy = True
        case "blocked":
            answer.blocked = row[2]
        case "mark":
            answer.mark = row[3]
        case "holder":
            answer.holders |= {row[3]}
        case "limited" | "unlimited":
            answer.limited = what == "limited"
        case _:
            return False
    return True
