"""One attempt: limits, the output file, the child, the publication. Turns what was seen into an ending."""

from __future__ import annotations

import os
import time

import structlog

from renderer.outcome import Outcome
from supervisor.artifacts import ArtifactStore, BadOutput, OutputFile
from supervisor.child import Child, Limits
from supervisor.classify import Observation, classify, printable
from supervisor.model import MEGABYTE, Artifact, Ending, Job
from supervisor.pool import Pool
from supervisor.settings import Settings

log = structlog.get_logger()


class Runner:
    """Runs attempts on children that were taken from the pool, and gives the children back."""

    def __init__(self, settings: Settings, pool: Pool, artifacts: ArtifactStore) -> None:
        self._settings = settings
        self._pool = pool
        self._artifacts = artifacts

    def limits(self, job: Job) -> Limits:
        """Return the limits of a job's attempt: what it asks for, never above what the operator allows."""
        settings = self._settings
        timeout = min(job.timeout or settings.timeout, settings.timeout)
        memory = min(job.memory_mb or settings.memory_limit_mb, settings.memory_limit_mb)
        return Limits(
            timeout=timeout,
            # The wall clock is what ends a job; the kernel's count is there for a supervisor that was stopped.
            cpu=timeout * len(os.sched_getaffinity(0)) + 5,
            memory=memory * MEGABYTE,
            output=settings.output_limit_mb * MEGABYTE,
        )

    async def attempt(self, job: Job, child: Child) -> Ending:
        """Render and publish; never raises for what a job or the disk does.

        The child is back in the pool before the artifact is published: it need not wait for the disk.
        """
        started = time.monotonic()
        try:
            output = self._artifacts.open_output(wanted=self._pool.kinds[job.kind].writes_output)
        except OSError as error:
            self._pool.give_back(child, job.kind, Outcome.OK)
            return Ending(Outcome.INTERNAL, f"no file for the output: {error}", started=started)
        try:
            ending = await self._render(job, child, output, started)
        except Exception as error:
            # Charged to the job, or one that has us fail could do so for ever.
            log.exception("attempt.failed", job_id=job.id, attempt=job.token.attempt, correlation_id=job.correlation_id)
            reason = f"the supervisor failed on this attempt: {type(error).__name__}"
            child.kill(Outcome.RENDER_ERROR, reason)
            self._pool.give_back(child, job.kind, Outcome.RENDER_ERROR)
            ending = Ending(Outcome.RENDER_ERROR, reason, started=started, child_ended=True)
        finally:
            output.close()
        ending.finished = time.monotonic()
        return ending

    async def _render(self, job: Job, child: Child, output: OutputFile, started: float) -> Ending:
        limits = self.limits(job)
        seen = await child.render(job, limits, output.fd)
        outcome, message = classify(seen)
        if outcome is Outcome.INTERNAL and seen.reply is not None and not output.disk_is_full:
            # The one thing of ours that a child can find; a lie, or over by now. Uncharged, it could be told for ever.
            outcome = Outcome.RENDER_ERROR
        self._log_end(job, child, seen, outcome)
        self._pool.give_back(child, job.kind, outcome)
        ending = Ending(
            outcome,
            message,
            started=started,
            peak_memory_bytes=seen.peak_memory_bytes,
            cpu_seconds=seen.cpu_seconds,
            exit_signal=seen.status.signal if seen.status else None,
            # Of a job that went well nobody reads it.
            stderr_tail=printable(seen.stderr_tail) or None if outcome is not Outcome.OK else None,
            child_ended=seen.reply is None,
            timeout_seconds=limits.timeout,
            memory_limit_bytes=limits.memory,
        )
        if outcome is Outcome.OK and self._pool.kinds[job.kind].writes_output and seen.reply is not None:
            await self._publish(job, output, seen.reply["content_type"], ending)
        return ending

    async def _publish(self, job: Job, output: OutputFile, content_type: str, ending: Ending) -> None:
        try:
            ending.artifact = await self._artifacts.publish(output, job.id, job.token.attempt, content_type)
        except BadOutput as error:
            ending.outcome, ending.error = Outcome.BAD_OUTPUT, str(error)
        except OSError as error:
            ending.outcome, ending.error = Outcome.INTERNAL, f"the artifact could not be stored: {error}"

    def withdraw(self, job: Job, artifact: Artifact) -> None:
        """Remove an artifact whose attempt does not count; it was never visible."""
        try:
            self._artifacts.withdraw(artifact, job.id, job.token.attempt)
        except OSError as error:
            log.warning("artifact.not_withdrawn", url=artifact.url, problem=str(error))

    def _log_end(self, job: Job, child: Child, seen: Observation, outcome: Outcome) -> None:
        if seen.reply is None:
            log.warning(
                "child.ended",
                child=child.number,
                job_id=job.id,
                attempt=job.token.attempt,
                correlation_id=job.correlation_id,
                outcome=outcome.value,
                killed=seen.kill is not None,
                exit_signal=seen.status.signal if seen.status else None,
                exit_code=seen.status.code if seen.status else None,
            )
