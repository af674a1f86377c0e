"""Traces, by OpenTelemetry: a span for each attempt, within its client's trace.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set. The exporter's own thread sends; what it cannot, it drops.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Protocol

from renderer.outcome import Outcome
from supervisor import __version__
from supervisor.errors import ConfigurationError
from supervisor.model import Ending, Job

if TYPE_CHECKING:
    from opentelemetry.context import Context

_SETTING = "OTEL_EXPORTER_OTLP_ENDPOINT"
_STOP_MILLISECONDS = 3000


class Traces(Protocol):
    """Where attempts are told."""

    def attempt(self, job: Job, verdict: str, ending: Ending) -> None:
        """Tell an attempt that ended."""

    def close(self) -> None:
        """Send what is left, for a moment. Blocks."""


class NoTraces:
    """Nobody wants them."""

    def attempt(self, job: Job, verdict: str, ending: Ending) -> None:
        """Tell nobody."""

    def close(self) -> None:
        """Do nothing."""


def traces(name: str) -> Traces:
    """Return where to tell attempts, by the environment. Raises ConfigurationError where the extra is not installed."""
    if not os.environ.get(_SETTING):
        return NoTraces()
    try:
        return _OpenTelemetry(name)
    except ImportError:
        raise ConfigurationError(f"{_SETTING}: needs the extra: pip install 'jobsupervisor[otel]'") from None


class _OpenTelemetry:
    """Spans over OTLP, HTTP."""

    def __init__(self, name: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create({"service.name": "jobsupervisor", "service.instance.id": name})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._processor = BatchSpanProcessor(OTLPSpanExporter())
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("jobsupervisor", __version__)

    def attempt(self, job: Job, verdict: str, ending: Ending) -> None:
        """Tell an attempt that ended."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        offset = time.time() - time.monotonic()
        span = self._tracer.start_span(
            f"render {job.kind}",
            context=_parent(job.correlation_id),
            kind=SpanKind.CONSUMER,
            start_time=_nanoseconds(ending.started + offset),
            attributes={
                "messaging.system": "jobsupervisor",
                "messaging.operation.type": "process",
                "messaging.message.id": job.id,
                "jobsupervisor.kind": job.kind,
                "jobsupervisor.attempt": job.token.attempt,
                "jobsupervisor.outcome": ending.outcome.value,
                "jobsupervisor.verdict": verdict,
                "jobsupervisor.wait_seconds": job.waited,
                **({"enduser.id": job.user_id} if job.user_id else {}),
            },
        )
        if ending.outcome is not Outcome.OK:
            span.set_status(Status(StatusCode.ERROR, ending.outcome.value))
        span.end(end_time=_nanoseconds(ending.finished + offset))

    def close(self) -> None:
        """Send what is left, for a moment. Blocks."""
        self._processor.force_flush(_STOP_MILLISECONDS)
        self._provider.shutdown()


def _parent(correlation_id: str | None) -> Context | None:
    """Return the context that a traceparent names, None for any other text."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": correlation_id or ""}, Context())


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
