"""What becomes of acks that the database refuses together: the one at fault is found, and the others are settled.

An exchange carries the acks of many jobs in one statement, so one value that the database cannot take undoes all of them. A
value that comes from a child is bounded when it arrives (supervisor/usage.py, supervisor/classify.py), so this is the
second line: a bound that was forgotten, a trigger or a constraint that an operator added, a damaged row. Were such an ack sent
again as it is, no job would ever be acknowledged here, nor by whoever takes the jobs over.

The acks are sent again in halves until one is alone. That one's attempt ends as `internal`, with the server's words and
without the values of the attempt: the fault is ours, and nobody is charged. Where the database refuses even that, the ack
is `stuck`: it stays owed, and is sent again later and apart from the others, so that nobody waits for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from renderer.outcome import Outcome
from supervisor.model import Ack, Ending
from supervisor.store.connection import DataRefused
from supervisor.store.exchange import Exchanged
from supervisor.store.queue_rows import ack_text

log = structlog.get_logger()

Send = Callable[[Sequence[Ack]], Awaitable[Exchanged]]


@dataclass(slots=True)
class Isolated:
    """What became of the acks: the answers in one, the acks that were replaced, and those that the database never takes."""

    answer: Exchanged = field(default_factory=Exchanged)
    replaced: list[Ack] = field(default_factory=list)
    stuck: list[Ack] = field(default_factory=list)


async def isolate(send: Send, acks: Sequence[Ack], error: DataRefused) -> Isolated:
    """Settle acks that were refused together, each for itself where need be. Raises DatabaseUnreachable.

    `send` sends an exchange of nothing but acks. It is called about twice for each halving, and once more for each ack that
    is at fault.
    """
    found = Isolated()
    await _settle(send, acks, error, found)
    return found


async def _settle(send: Send, acks: Sequence[Ack], error: DataRefused, found: Isolated) -> None:
    if len(acks) == 1:
        await _settle_one(send, acks[0], error, found)
        return
    middle = len(acks) // 2
    for half in (acks[:middle], acks[middle:]):
        try:
            _add(found, await send(half))
        except DataRefused as refused:
            await _settle(send, half, refused, found)


async def _settle_one(send: Send, ack: Ack, error: DataRefused, found: Isolated) -> None:
    log.error("ack.refused", job_id=ack.job_id, attempt=ack.token.attempt, problem=error.cause)
    replaced = _as_internal(ack, error)
    if replaced is not None:
        with contextlib.suppress(DataRefused):
            _add(found, await send([replaced]))
            found.replaced.append(replaced)
            return
    found.stuck.append(ack)


def _add(found: Isolated, answer: Exchanged) -> None:
    found.answer.verdicts += answer.verdicts
    found.answer.cancelled += answer.cancelled


def _as_internal(ack: Ack, error: DataRefused) -> Ack | None:
    """Return an ack in place of one that was refused; None where the attempt never began, and there is nothing to leave out."""
    if ack.ending is None:
        return None
    told = Ending(
        Outcome.INTERNAL,
        f"the database refused what was to be kept of this attempt: {error.cause}",
        started=ack.ending.started,
        finished=ack.ending.finished,
        child_ended=ack.ending.child_ended,
    )
    # The artifact is not told of, and is kept in mind: it is withdrawn when the verdict comes.
    kept = dataclasses.replace(told, artifact=ack.ending.artifact)
    return Ack(ack.job_id, ack.token, kept, ack_text(ack.job_id, ack.token, told))
