"""Readings, settings and messages to test with."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from supervisor.alerts.alerts import Alerts
from supervisor.alerts.helper import send
from supervisor.alerts.message import Message
from supervisor.alerts.orders import Answer, Order
from supervisor.alerts.readings import Readings
from supervisor.alerts.rules import Change
from supervisor.settings import Settings, load
from tests.alerts.receiver import GRACE

CALM = Readings(
    error_rate=0.0, response_seconds=1.0, memory_mb=50.0, queue_depth=0, active_jobs=0, database_problem=None
)
HOLD = 10.0
"""The default of ALERT_HOLD_SECONDS."""
BUSY = replace(CALM, queue_depth=143)

WEBHOOK_PATH = "/services/T000SECRET/B000SECRET/xxxSECRET"
ROUTING_KEY = "SECRET0SECRET0SECRET0SECRET0SECR"
APPRISE_PASSWORD = "appriseSECRET"  # noqa: S105 - made up


def settings(**values: Any) -> Settings:
    """Return settings with every channel off, except what is given."""
    none = {"SLACK_WEBHOOK_URL": None, "PAGERDUTY_ROUTING_KEY": None, "ALERT_URLS": ()}
    return load({"RENDER_SUPERVISOR_NAME": "here", **none, **values})


def message(change: Change = Change.RAISED, **values: Any) -> Message:
    """Return a message."""
    known: dict[str, Any] = {
        "alert": "queue_depth",
        "severity": "warning",
        "supervisor": "here",
        "title": "Queue depth",
        "text": "143 jobs are due and wait; the threshold is 100",
        "since": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "at": datetime(2026, 1, 2, 3, 5, 5, tzinfo=UTC),
    }
    return Message(change=change, **{**known, **values})


async def patient(order: Order) -> Answer:
    """Have an order carried out, with more time than a busy machine takes."""
    return await send(order, GRACE)


async def until_idle() -> None:
    """Wait until nobody is owed anything: all tasks but the test's own have ended."""
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


class Looks:
    """Shows readings to alerts, for long enough that they count."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self._times: Iterator[float] = itertools.count(1000.0, HOLD)

    def at(self, readings: Readings, times: int = 2) -> None:
        """Look so many times, with the time between two looks that makes a change."""
        for _ in range(times):
            self._alerts.look(readings, next(self._times))
