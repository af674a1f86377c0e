"""What a client learns of a job: its row, or why it has no result."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

import orjson

from supervisor.errors import ExpectedError

Status = Literal["queued", "processing", "completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job's row of render_jobs. `failed` means: in the dead letters, `failure` is its cause and `error` its message."""

    id: UUID
    kind: str
    user_id: str | None
    status: Status
    progress: float
    attempts: int
    max_attempts: int
    priority: int
    output_url: str | None
    output_sha256: str | None
    output_bytes: int | None
    content_type: str | None
    failure: str | None
    error: str | None
    correlation_id: str | None
    created_at: datetime
    run_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it, unless somebody redrives it."""
        return self.status in {"completed", "failed", "cancelled"}


class RenderFailed(ExpectedError):  # noqa: N818 - reads as what happened
    """The job is in the dead letters; `status` is its row."""

    def __init__(self, status: JobStatus) -> None:
        self.status = status
        self.failure = cast("str", status.failure)
        self.error = status.error or ""
        self.attempts = status.attempts
        super().__init__(
            f"job {status.id} must complete, it failed after {self.attempts} of {status.max_attempts} attempts: "
            f"{self.failure}: {self.error}; redrive it once its cause is gone"
        )


class RenderCancelled(ExpectedError):  # noqa: N818 - reads as what happened
    """The job was cancelled; `status` is its row."""

    def __init__(self, status: JobStatus) -> None:
        self.status = status
        super().__init__(f"job {status.id} must complete, it was cancelled; enqueue it again")


class RenderTimeout(ExpectedError, TimeoutError):  # noqa: N818 - reads as what happened
    """The job has not ended in the time that a wait was given. It goes on: wait again, or cancel it."""

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__(f"job {job_id} must end within the time that was given; it goes on: wait again, or cancel it")


class UnknownJob(ExpectedError):  # noqa: N818 - reads as what happened
    """There is no such job, so nothing can be waited for."""

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__(
            f"there must be a job {job_id}: it was never enqueued, its transaction is not committed yet (commit before "
            "you wait), or it was purged"
        )


_NAMES = tuple(field.name for field in fields(JobStatus))


def job_status(row: dict[str, Any]) -> JobStatus:
    """Return a row of render_jobs."""
    values = {name: row[name] for name in _NAMES}
    # The caller's connection may load UUIDs as text.
    return JobStatus(**values | {"id": UUID(str(row["id"]))})


def completed(status: JobStatus) -> JobStatus:
    """Return a final status if the job completed. Raises RenderFailed or RenderCancelled."""
    if status.status == "failed":
        raise RenderFailed(status)
    if status.status == "cancelled":
        raise RenderCancelled(status)
    return status


def ended_job(payload: str) -> UUID | None:
    """Return whose final status a payload of render_events tells; None for what is not ours: anybody may NOTIFY."""
    try:
        return UUID(orjson.loads(payload)["id"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
