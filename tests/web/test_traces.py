"""Traces: each attempt is a span, within its client's trace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.service.support import service_and_queue

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes spans over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = ExportTraceServiceRequest()
                request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
                for resource in request.resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans += scope.spans
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self) -> Iterator[Collector]:
        """Serve for the time of a fixture."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield self
        self._server.shutdown()
        thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Run a collector."""
    yield from Collector().serve()


def test_an_attempt_is_a_span_of_its_clients_trace(database: str, tmp_path: Path, collector: Collector) -> None:
    """What is left is sent when the service stops; a correlation id that is no traceparent begins a trace."""
    with service_and_queue(database, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as (service, queue):
        theirs = queue.enqueue("noop", {}, correlation_id=f"00-{TRACE}-{PARENT}-01", user_id="u1")
        failing = queue.enqueue("sleep", {}, timeout="0.1 s", correlation_id="request-7")
        queue.final(theirs)
        queue.final(failing)
        assert service.stop() == 0
    by_job = {attribute(span, "messaging.message.id"): span for span in collector.spans}
    span = by_job[theirs]
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("render noop", TRACE, PARENT)
    assert attribute(span, "jobsupervisor.outcome") == "ok"
    assert attribute(span, "enduser.id") == "u1"
    tries = [span for span in collector.spans if attribute(span, "messaging.message.id") == failing]
    assert len(tries) == 2
    for span in tries:
        assert span.status.code == Status.STATUS_CODE_ERROR
        assert span.end_time_unix_nano - span.start_time_unix_nano >= 0.1e9
        assert span.parent_span_id == b""


def test_a_collector_that_is_away_delays_nothing(database: str, tmp_path: Path) -> None:
    """Jobs complete, and the service stops."""
    with service_and_queue(database, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as (service, queue):
        assert queue.final(queue.enqueue("noop", {}))["status"] == "completed"
        assert service.stop() == 0


def attribute(span: Span, name: str) -> str:
    """Return a span's attribute."""
    return next(str(pair.value.string_value) for pair in span.attributes if pair.key == name)
