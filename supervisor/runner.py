"""What an attempt needs around its child: limits, the output file, the publication. Turns what was seen into an ending."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable

import structlog

from renderer.outcome import Outcome
from supervisor.artifacts import SMALL, ArtifactStore, BadOutput, OutputFile, StillAtWork
from supervisor.attempt import Attempt, Limits
from supervisor.child import Child
from supervisor.classify import Observation, classify, printable
from supervisor.model import MEGABYTE, Artifact, Ending, Job
from supervisor.pool import Pool
from supervisor.settings import Settings

log = structlog.get_logger()

MOST_OUTPUTS = 8
"""Empty files that are kept for a child's next attempts."""
_MOST_BELIEVED = 2
"""Attempts at a job of which a used child may say that it was not the job's fault."""


@functools.lru_cache(maxsize=64)
def _limits(timeout: float, memory_mb: int, output_mb: int) -> Limits:
    return Limits(
        timeout=timeout,
        # The wall clock is what ends a job; the kernel's count is there for a supervisor that was stopped.
        cpu=timeout * len(os.sched_getaffinity(0)) + 5,
        memory=memory_mb * MEGABYTE,
        output=output_mb * MEGABYTE,
    )


Told = Callable[[Attempt, Ending | None], None]
"""Who is told how an attempt ended; None when it never began, and goes back."""


class Runner:
    """Runs attempts on children that were taken from the pool, and gives the children back."""

    def __init__(self, settings: Settings, pool: Pool, artifacts: ArtifactStore) -> None:
        self._settings = settings
        self._pool = pool
        self._artifacts = artifacts
        self._loop = asyncio.get_running_loop()
        self._publishing: set[asyncio.Task[None]] = set()
        self._given_up = False

    def limits(self, job: Job) -> Limits:
        """Return the limits of a job's attempt: what it asks for, never above what the operator allows."""
        settings = self._settings
        return _limits(
            min(job.timeout or settings.timeout, settings.timeout),
            min(job.memory_mb or settings.memory_limit_mb, settings.memory_limit_mb),
            settings.output_limit_mb,
        )

    def start(self, job: Job, child: Child, told: Told) -> Attempt:
        """Give a job to a child; `told` hears of its end, later. Never raises for what a job or the disk does."""
        output = None
        try:
            if self._pool.kinds[job.kind].writes_output:
                output = self._artifacts.open_output(child.outputs[-1] if child.outputs else None)
                # Only now: where the store takes nothing, the file stays the child's.
                del child.outputs[-1:]
        except OSError as error:
            attempt = Attempt(job, self.limits(job), None, _unheard)
            self._pool.give_back(child, job.kind, Outcome.OK)
            ending = Ending(Outcome.INTERNAL, f"no file for the output: {error}")
            self._loop.call_soon(told, attempt, ending)
            return attempt

        def over(attempt: Attempt, seen: Observation | None) -> None:
            self._over(attempt, child, output, seen, told)

        attempt = Attempt(job, self.limits(job), output.fd if output else None, over)
        child.give(attempt)
        return attempt

    async def attempt(self, job: Job, child: Child) -> Ending | None:
        """Render and publish one job and wait for its end; None when it never began."""
        over: asyncio.Future[Ending | None] = self._loop.create_future()

        def told(_: Attempt, ending: Ending | None) -> None:
            if not over.done():
                over.set_result(ending)

        self.start(job, child, told)
        child.flush()
        return await over

    def _over(
        self, attempt: Attempt, child: Child, output: OutputFile | None, seen: Observation | None, told: Told
    ) -> None:
        """Take it that the child is done with an attempt.

        The child is back in the pool before the artifact is published: it need not wait for the disk.
        """
        job = attempt.job
        ending = None
        try:
            if seen is None:
                # It never began: the child is gone, or was not reached and is as well as before.
                self._pool.give_back(child, job.kind, Outcome.OK if child.alive else Outcome.INTERNAL)
            else:
                ending = self._ending(attempt, child, output, seen)
                self._pool.give_back(child, job.kind, ending.outcome)
        except Exception as error:
            # Charged to the job, or one that has us fail could do so for ever.
            log.exception("attempt.failed", job_id=job.id, attempt=job.token.attempt, correlation_id=job.correlation_id)
            reason = f"the supervisor failed on this attempt: {type(error).__name__}"
            child.kill(Outcome.RENDER_ERROR, reason)
            self._pool.give_back(child, job.kind, Outcome.RENDER_ERROR)
            ending = Ending(Outcome.RENDER_ERROR, reason, started=attempt.since or time.monotonic(), child_ended=True)
        if output is None or ending is None or ending.outcome is not Outcome.OK or attempt.withdrawn:
            if output is not None:
                _keep(output, child)
            told(attempt, ending)
            return
        assert seen is not None and seen.reply is not None  # noqa: S101, PT018 - or it had not gone well
        publishing = self._loop.create_task(
            self._publish(attempt, child, output, str(seen.reply["content_type"]), ending, told),
            name=f"publish {job.id}",
        )
        self._publishing.add(publishing)
        publishing.add_done_callback(self._publishing.discard)

    def _ending(self, attempt: Attempt, child: Child, output: OutputFile | None, seen: Observation) -> Ending:
        # What a child can find of ours is a full disk, or that its jobs before left it no descriptors. The latter it may say
        # twice of a job: it could be a lie.
        lost = child.jobs_done > 1 and attempt.job.token.attempt <= _MOST_BELIEVED
        ours = (output is not None and output.disk_is_full) or lost
        ending = ending_of(attempt, seen, perhaps_ours=ours)
        self._log_end(attempt.job, child, seen, ending.outcome)
        return ending

    async def _publish(
        self, attempt: Attempt, child: Child, output: OutputFile, content_type: str, ending: Ending, told: Told
    ) -> None:
        job, keeps = attempt.job, True
        try:
            ending.artifact = await self._artifacts.publish(output, job.id, job.token.attempt, content_type)
        except BadOutput as error:
            ending.outcome, ending.error = Outcome.BAD_OUTPUT, str(error)
        except StillAtWork as error:
            # Whoever reads the output gives it up.
            keeps = False
            ending.outcome, ending.error = Outcome.INTERNAL, f"the artifact could not be stored: {error}"
        except OSError as error:
            ending.outcome, ending.error = Outcome.INTERNAL, f"the artifact could not be stored: {error}"
        except asyncio.CancelledError:
            if not self._given_up:
                raise
            ending.outcome, ending.error = Outcome.INTERNAL, "the supervisor was stopped before the artifact was stored"
            # Left open: a thread that hangs may still read from it, and must not read from another file of its number.
            keeps = False
        except Exception as error:
            # As in `_over`.
            log.exception("attempt.failed", job_id=job.id, attempt=job.token.attempt, correlation_id=job.correlation_id)
            ending.outcome = Outcome.RENDER_ERROR
            ending.error = f"the supervisor failed on this attempt: {type(error).__name__}"
        finally:
            if keeps:
                _keep(output, child)
        ending.finished = time.monotonic()
        told(attempt, ending)

    async def published(self) -> None:
        """Wait until nothing is being published."""
        while self._publishing:
            await asyncio.gather(*self._publishing, return_exceptions=True)

    def unpublished(self) -> list[str]:
        """Say what `published` waits for."""
        return [f"the artifact store ({task.get_name()})" for task in self._publishing]

    def give_up(self) -> None:
        """Wait no longer for artifacts on their way: their attempts are ours to answer for, and go back uncharged."""
        self._given_up = True
        for task in self._publishing:
            task.cancel()

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


def ending_of(attempt: Attempt, seen: Observation, *, perhaps_ours: bool) -> Ending:
    """Return how an attempt ended, from what was seen of it; `perhaps_ours` says whether a child may find a fault of ours in it.

    What a child said in it is bounded: the database takes every value of it (tests/queue/test_what_a_child_may_say.py).
    """
    outcome, message = classify(seen)
    if outcome is Outcome.INTERNAL and seen.reply is not None and not perhaps_ours:
        # A lie, or over by now: uncharged, it could be told for ever.
        outcome = Outcome.RENDER_ERROR
    return Ending(
        outcome,
        message,
        started=attempt.since or time.monotonic(),
        peak_memory_bytes=seen.peak_memory_bytes,
        cpu_seconds=seen.cpu_seconds,
        exit_signal=seen.status.signal if seen.status else None,
        # Of a job that went well nobody reads it.
        stderr_tail=printable(seen.stderr_tail) or None if outcome is not Outcome.OK else None,
        child_ended=seen.reply is None,
        timeout_seconds=attempt.limits.timeout,
        memory_limit_bytes=attempt.limits.memory,
    )


def _keep(output: OutputFile, child: Child) -> None:
    """Have the child write its next artifact to the same file, which nobody else ever gets.

    Not for the sake of two system calls: ext4 passes over every file that was deleted within the last minutes when it
    makes a new one, which took a third of the supervisor's time (docs/adr/0013-output-files-again.md).
    """
    if output.size > SMALL:
        # To free its blocks takes as long as there are many, and the loop must not wait for that.
        with contextlib.suppress(RuntimeError):  # no room for a thread: then the loop waits
            threading.Thread(target=output.close, name="freeing an output", daemon=True).start()
            return
    if child.alive and len(child.outputs) < MOST_OUTPUTS:
        with contextlib.suppress(OSError):
            output.empty()
            child.outputs.append(output)
            return
    output.close()


def _unheard(_attempt: Attempt, _seen: Observation | None) -> None:
    """Be told of the end of an attempt that no child was given."""
