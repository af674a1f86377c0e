"""Alerts of a real service: raised by what happens, told to a receiver, seen in health and metrics, over when it is over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.alerts.receiver import Receiver
from tests.database.support import event
from tests.service.support import Queue, Service, reload
from tests.web.support import metric, web_service

SOON: dict[str, object] = {"RENDER_CONCURRENCY": 1, "RENDER_POLLING_INTERVAL": 0.5, "ALERT_HOLD_SECONDS": 0.2}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Provide a receiver that serves."""
    with Receiver().serving() as receiver:
        yield receiver


@contextmanager
def long_queue(
    database: str, directory: Path, **settings: object
) -> Iterator[tuple[Service, Queue, httpx.Client, list[str]]]:
    """Run a service whose one child waits for the file `gate`, while thirty jobs wait for the child."""
    with web_service(database, directory, **SOON, **settings) as (service, queue, client):
        queue.running(queue.enqueue("gate", {"gate": str(directory / "gate")}))
        yield (
            service,
            queue,
            client,
            [queue.enqueue("write", {"text": str(number)}) for number in range(30)],
        )


def test_a_long_queue_is_told_and_its_end_too(database: str, tmp_path: Path, receiver: Receiver) -> None:
    """The queue's depth comes with the poll; health stays 200, since a long queue is no reason to restart."""
    settings = {"ALERT_QUEUE_DEPTH": 5, "SLACK_WEBHOOK_URL": f"{receiver.url}/hook"}
    with long_queue(database, tmp_path, **settings) as (service, queue, client, jobs):
        event(service, "alert.raised", alert="queue_depth")
        told = client.get("/api/health")
        assert told.status_code == 200
        assert told.json()["components"]["alerts"]["status"] == "degraded"
        assert metric(client, "alert_standing", alert="queue_depth") == 1
        (tmp_path / "gate").touch()
        for job in jobs:
            queue.final(job)
        event(service, "alert.ended", alert="queue_depth")
        assert metric(client, "alert_standing", alert="queue_depth") == 0
        receiver.wait_for(2)
    assert ["are due and wait" in json.dumps(request.content) for request in receiver.requests[:2]] == [True, True]


def test_a_reload_changes_thresholds_and_channels(database: str, tmp_path: Path, receiver: Receiver) -> None:
    """A threshold that is lowered raises an alert; a channel in place of another is told of it, and the other that it is over."""
    file = tmp_path / "environment"
    file.write_text("ALERT_QUEUE_DEPTH=1000\n")
    with long_queue(database, tmp_path, RENDER_ENVIRONMENT_FILE=file) as (service, _, client, _):
        first, second = (f"SLACK_WEBHOOK_URL={receiver.url}/{name}\n" for name in ("first", "second"))
        file.write_text(f"ALERT_QUEUE_DEPTH=5\n{first}")
        assert reload(service, "settings.reloaded")["changed"] == ["ALERT_QUEUE_DEPTH", "SLACK_WEBHOOK_URL"]
        event(service, "alert.raised", alert="queue_depth")
        receiver.wait_for(1)
        file.write_text(f"ALERT_QUEUE_DEPTH=5\n{second}HTTP_PORT=1\n")
        assert reload(service, "settings.reloaded")["changed"] == ["SLACK_WEBHOOK_URL"]
        assert service.events("settings.need_restart")[-1]["settings"] == ["HTTP_PORT"]
        receiver.wait_for(3)
        assert metric(client, "alert_standing", alert="queue_depth") == 1
        file.write_text(f"ALERT_QUEUE_DEPTH=1000\n{second}")
        reload(service, "settings.reloaded")
        event(service, "alert.ended", alert="queue_depth")
        receiver.wait_for(4)
        (tmp_path / "gate").touch()
    told = [(request.path, request.content["text"]) for request in receiver.requests]
    told[1:3] = sorted(told[1:3])  # two channels, neither of which waits for the other
    assert [path for path, _ in told] == ["/first", "/first", "/second", "/second"]
    for (_, text), word in zip(told, ("alert: Queue", "over: Queue", "still: Queue", "over: Queue"), strict=True):
        assert word in text
    assert receiver.url not in service.log.read_text()
