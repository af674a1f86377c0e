"""The alerts of a supervisor: each of its readings, in words, to every channel."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from supervisor.alerts.alerts import Alerts
from supervisor.alerts.message import Message
from supervisor.alerts.orders import Answer, Order, Post
from supervisor.alerts.readings import Readings
from supervisor.alerts.rules import Change
from tests.alerts.samples import BUSY, CALM, Looks, settings, until_idle


class Notebook:
    """A channel that keeps what it is told; what it orders always works."""

    name = "notebook"

    def __init__(self) -> None:
        self.told: list[Message] = []

    def order(self, message: Message) -> Order:
        """Keep the message."""
        self.told.append(message)
        return Post("http://nowhere", {})

    async def send(self, _order: Order) -> Answer:
        """Say that all went well."""
        return Answer()


async def follow(*seen: Readings, stop: bool = True) -> tuple[Notebook, Alerts]:
    """Show readings, each for long enough, and let everything be told; a stop ends what stands."""
    notebook = Notebook()
    alerts = Alerts(settings(), "here", to=[notebook], send=notebook.send)
    looks = Looks(alerts)
    for readings in seen:
        looks.at(readings)
        await until_idle()
    if stop:
        await alerts.stop()
    return notebook, alerts


OVER = {
    "error_rate": (
        replace(CALM, error_rate=0.125),
        "12.5 % of the attempts of the last five minutes ended badly; the threshold is 10 %",
    ),
    "response_time": (
        replace(CALM, response_seconds=41.26),
        "from due to done, 95 of 100 jobs of the last five minutes took up to 41.3 s; the threshold is 30 s",
    ),
    "memory": (
        replace(CALM, memory_mb=600.0, memory_of="child 7"),
        "child 7 has 600 MB resident; the threshold is 512 MB",
    ),
    "queue_depth": (BUSY, "143 jobs are due and wait; the threshold is 100"),
    "active_jobs": (replace(CALM, active_jobs=101), "101 jobs are being rendered; the threshold is 100"),
    "database": (replace(CALM, database_problem="no route\nto host"), "no route to host"),
}


@pytest.mark.parametrize("name", OVER)
def test_each_alert(name: str) -> None:
    """What is over its threshold is the one alert raised, says its value and threshold, and ends with how long it stood."""
    readings, text = OVER[name]
    notebook, alerts = asyncio.run(follow(CALM, readings, CALM))
    assert [(message.alert, message.change) for message in notebook.told] == [
        (name, Change.RAISED),
        (name, Change.ENDED),
    ]
    raised, ended = notebook.told
    assert raised.text == text
    assert ended.text.endswith("; it stood for 20 s")
    assert raised.since == ended.since
    assert alerts.active == []
    assert set(alerts.names) == set(OVER)


@pytest.mark.parametrize(
    "readings",
    [
        Readings(None, None, None, None, 0, None),
        Readings(0.10, 30.0, 512.0, 100, 100, None),
    ],
)
def test_no_alert(readings: Readings) -> None:
    """A value that is not known is no alert, nor is one that is exactly at its threshold."""
    notebook, _ = asyncio.run(follow(readings, readings))
    assert notebook.told == []


def test_thresholds_are_settings() -> None:
    """Each threshold is the one that the operator set."""
    names = {
        "ALERT_ERROR_RATE": 1.0,
        "ALERT_RESPONSE_SECONDS": 100,
        "ALERT_MEMORY_MB": 1000,
        "ALERT_QUEUE_DEPTH": 1000,
        "ALERT_ACTIVE_JOBS_THRESHOLD": 1000,
    }
    alerts = Alerts(settings(**names), "here", to=[])
    looks = Looks(alerts)
    for name in OVER.keys() - {"database"}:
        looks.at(OVER[name][0])
    assert alerts.active == []


def test_what_stands_is_known() -> None:
    """Health and metrics see the alerts that stand, with the last value that was over and not that of a quiet moment."""
    worse = replace(BUSY, queue_depth=250)
    _, alerts = asyncio.run(follow(BUSY, worse, replace(BUSY, queue_depth=95), stop=False))
    (active,) = alerts.active
    assert (active.name, active.title, active.severity) == ("queue_depth", "Queue depth", "warning")
    assert active.text == "250 jobs are due and wait; the threshold is 100"


def test_told_once() -> None:
    """An alert that stands is told of once, however often it is looked at; the log has one line for each change too."""
    with capture_logs() as logs:
        notebook, _ = asyncio.run(follow(*[BUSY] * 50, CALM))
    assert [message.change for message in notebook.told] == [Change.RAISED, Change.ENDED]
    assert [line["event"] for line in logs if line["log_level"] != "debug"] == ["alert.raised", "alert.ended"]


def test_a_stop_ends_what_stands() -> None:
    """Nobody would end it later: a stop tells the end of every alert, once."""

    async def stop_twice() -> Notebook:
        notebook, alerts = await follow(BUSY)
        await alerts.stop()
        Looks(alerts).at(BUSY)  # a look that comes too late tells nobody
        return notebook

    notebook = asyncio.run(stop_twice())
    raised, ended = notebook.told
    assert (raised.change, ended.is_over) == (Change.RAISED, True)
    assert ended.text == "the supervisor is stopping; the last was: 143 jobs are due and wait; the threshold is 100"


def test_another_name() -> None:
    """A supervisor that gets another name ends its alerts under the name by which they were raised."""

    async def rename() -> Notebook:
        notebook, alerts = await follow(BUSY, stop=False)
        alerts.supervisor_name = "here#2"
        await alerts.stop()
        return notebook

    assert [message.supervisor for message in asyncio.run(rename()).told] == ["here", "here"]


def test_without_channels() -> None:
    """With no channel set, alerts are in the log and in `active`, and nothing is started."""

    async def look() -> list[str]:
        alerts = Alerts(settings(), "here")
        Looks(alerts).at(BUSY)
        assert len(asyncio.all_tasks()) == 1
        await alerts.stop()
        return [active.name for active in alerts.active]

    with capture_logs() as logs:
        assert asyncio.run(look()) == []
    assert [(line["event"], line["alert"]) for line in logs] == [
        ("alert.raised", "queue_depth"),
        ("alert.ended", "queue_depth"),
    ]
