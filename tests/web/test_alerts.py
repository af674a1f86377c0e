"""Alerts of a real service: raised by what happens, told to a receiver, seen in health and metrics, over when it is over."""

from __future__ import annotations

import json
from pathlib import Path

from tests.alerts.receiver import Receiver
from tests.database.support import event
from tests.web.support import metric, web_service


def test_a_long_queue_is_told_and_its_end_too(database: str, tmp_path: Path) -> None:
    """The queue's depth comes with the poll; health stays 200, since a long queue is no reason to restart."""
    receiver = Receiver()
    settings = {"RENDER_CONCURRENCY": 1, "RENDER_POLLING_INTERVAL": 0.5, "ALERT_QUEUE_DEPTH": 5}
    with (
        receiver.serving(),
        web_service(database, tmp_path, SLACK_WEBHOOK_URL=f"{receiver.url}/hook", **settings) as (
            service,
            queue,
            client,
        ),
    ):
        queue.running(queue.enqueue("gate", {"gate": str(tmp_path / "gate")}))
        jobs = [queue.enqueue("write", {"text": str(number)}) for number in range(30)]
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
