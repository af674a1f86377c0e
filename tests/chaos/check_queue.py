"""What the database must say at the end, compared with what the clients were told."""

from __future__ import annotations

import collections
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from renderer.outcome import Outcome
from tests.chaos import rules
from tests.chaos.admin import Admin
from tests.chaos.fleet import OFFENCE_LIMIT
from tests.chaos.ledger import Ledger
from tests.chaos.orders import Order

_JOBS = "select * from render_jobs"
_ATTEMPTS = "select job_id, attempt, finished_at, outcome, exit_signal from render_attempts order by job_id, attempt"
_REDRIVEN = "select id, departed_at from jobsupervisor.departed_letter where how = 'redriven' order by departed_at"
_KEYS = "select key, job_id from jobsupervisor.idempotency"

_ANYBODY = {Outcome.LOST, Outcome.INTERNAL, Outcome.CANCELLED}
"""What may happen to any attempt while a monkey is about; the rest must be the job's own way to end, or be counted."""


@dataclass(slots=True)
class Found:
    """All that the database has, and what is wrong with it."""

    jobs: list[dict[str, Any]] = field(default_factory=list)
    attempts: dict[str, list[rules.Attempt]] = field(default_factory=lambda: collections.defaultdict(list))
    redriven: dict[str, list[Any]] = field(default_factory=lambda: collections.defaultdict(list))
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    honest_failed: int = 0
    killed: int = 0
    """Attempts that ended by SIGKILL."""
    overslept: int = 0
    """Attempts that ran out of time, of jobs that do not on their own account."""

    @property
    def by_status(self) -> collections.Counter[str]:
        """How many jobs have each status."""
        return collections.Counter(row["status"] for row in self.jobs)


def look(admin: Admin, ledger: Ledger) -> Found:
    """Read everything and compare it."""
    found = Found(jobs=admin.rows(_JOBS))
    for row in admin.rows(_ATTEMPTS):
        found.attempts[str(row["job_id"])].append(
            rules.Attempt(
                row["attempt"], Outcome(row["outcome"] or Outcome.INTERNAL), row["finished_at"], row["exit_signal"]
            )
        )
    for row in admin.rows(_REDRIVEN):
        found.redriven[str(row["id"])].append(row["departed_at"])
    _compare_identities(found, ledger, admin)
    for row in found.jobs:
        order = ledger.orders.get(row["correlation_id"])
        if order is None:
            found.problems.append(f"job {row['id']} is nobody's order: {row['correlation_id']}")
        else:
            found.problems += [f"{_name(row)}: {what}" for what in _wrong(found, row, order)]
    return found


def _name(row: dict[str, Any]) -> str:
    return f"{row['kind']} {row['correlation_id']}, job {row['id']}"


def _compare_identities(found: Found, ledger: Ledger, admin: Admin) -> None:
    """Find what is lost and what is there twice."""
    by_label: dict[str, list[str]] = collections.defaultdict(list)
    for row in found.jobs:
        by_label[row["correlation_id"]].append(str(row["id"]))
    for label, order in ledger.orders.items():
        ids = by_label.get(label, [])
        if order.job is not None and order.job not in ids:
            found.lost.append(f"{order.kind} {label}, job {order.job}")
        if len(ids) > 1:
            found.duplicated.append(f"{order.kind} {label}: {', '.join(ids)}")
        if label in ledger.withdrawn and ids:
            found.problems.append(f"{label}: its transaction was rolled back, and it is job {ids}")
    keys = {row["key"]: str(row["job_id"]) for row in admin.rows(_KEYS)}
    for label, order in ledger.orders.items():
        if order.keyed and order.job is not None and keys.get(f"key-{label}") != order.job:
            found.problems.append(f"{label}: its key names {keys.get(f'key-{label}')}, the client was told {order.job}")
    known = {str(row["id"]) for row in found.jobs}
    found.problems += [f"attempts of a job that is not there: {job}" for job in found.attempts if job not in known]


def _wrong(found: Found, row: dict[str, Any], order: Order) -> Iterator[str]:
    """Yield what is wrong with one job."""
    job, status = str(row["id"]), row["status"]
    attempts, redriven = found.attempts[job], found.redriven[job]
    if status not in {"completed", "failed", "cancelled"}:
        yield f"it has no final status: {status}"
        return
    yield from rules.broken(status, attempts, redriven, rules.Limits(row["max_attempts"], OFFENCE_LIMIT))
    yield from _wrong_charge(row, rules.lives(attempts, redriven)[-1])
    if order.told_cancelled and status != "cancelled":
        yield f"cancel_render answered true, and it is {status}"
    if status == "cancelled" and not order.maybe_cancelled:
        yield "it is cancelled, and nobody asked for that"
    if status == "completed" and order.ends is not Outcome.OK:
        yield "it is completed, and cannot have been"
    if status == "failed" and order.ends is Outcome.OK:
        found.honest_failed += 1
    for attempt in attempts:
        if not _explained(found, attempt, order):
            yield f"attempt {attempt.number} ended as {attempt.outcome} (signal {attempt.exit_signal})"


def _wrong_charge(row: dict[str, Any], life: list[rules.Attempt]) -> Iterator[str]:
    """Yield what is wrong with the number of attempts that a job is charged."""
    if row["attempts"] != rules.charged(life):
        yield f"it is charged {row['attempts']} attempts of {[attempt.outcome.value for attempt in life]}"
    if row["attempts"] > row["max_attempts"]:
        yield f"it is charged {row['attempts']} attempts of {row['max_attempts']} allowed"


def _explained(found: Found, attempt: rules.Attempt, order: Order) -> bool:
    """Whether the job itself or the monkey ended an attempt like this; what only the monkey can do is counted."""
    if (attempt.outcome, attempt.exit_signal) == (Outcome.CRASH, signal.SIGKILL):
        found.killed += 1
        return True
    if attempt.outcome is Outcome.TIMEOUT and order.kind == "late":
        return True
    if attempt.outcome is Outcome.TIMEOUT and order.ends is not Outcome.TIMEOUT:
        found.overslept += 1
        return True
    return attempt.outcome in {order.ends, *_ANYBODY}
