"""What Slack, PagerDuty and Apprise are sent arrives in the form that they take."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from supervisor.alerts.alerts import Alerts
from supervisor.alerts.channels import channels
from supervisor.alerts.helper import send
from supervisor.alerts.orders import Answer
from supervisor.alerts.pagerduty import PagerDuty
from supervisor.alerts.rules import Change
from supervisor.alerts.slack import Slack
from tests.alerts.receiver import GRACE, Receiver, answer
from tests.alerts.samples import (
    APPRISE_PASSWORD,
    BUSY,
    CALM,
    ROUTING_KEY,
    WEBHOOK_PATH,
    Looks,
    message,
    patient,
    settings,
)


def all_channels(receiver: Receiver) -> dict[str, Any]:
    """Return settings with a channel of each sort, all of them the receiver."""
    return {
        "SLACK_WEBHOOK_URL": receiver.url + WEBHOOK_PATH,
        "PAGERDUTY_ROUTING_KEY": ROUTING_KEY,
        "PAGERDUTY_EVENTS_URL": f"{receiver.url}/v2/enqueue",
        "ALERT_URLS": f"json://user:{APPRISE_PASSWORD}@{receiver.address}/one, json://{receiver.address}/two",
    }


def test_everybody_is_told(receiver: Receiver) -> None:
    """An alert and its end reach every channel that is set, in order; afterwards no process is left."""

    async def follow() -> dict[str, str | None]:
        alerts = Alerts(settings(**all_channels(receiver)), "here", send=patient)
        looks = Looks(alerts)
        looks.at(BUSY)
        await asyncio.to_thread(receiver.wait_for, 4)
        looks.at(CALM)
        await alerts.stop(GRACE)
        return alerts.channel_problems

    problems = asyncio.run(follow())
    assert problems == dict.fromkeys(["slack", "pagerduty", "apprise-1-json", "apprise-2-json"])
    paths = [request.path for request in receiver.requests]
    assert sorted(paths) == sorted([WEBHOOK_PATH, "/v2/enqueue", "/one", "/two"] * 2)
    events = [request.content for request in receiver.requests if request.path == "/v2/enqueue"]
    assert [event["event_action"] for event in events] == ["trigger", "resolve"]
    assert len({event["dedup_key"] for event in events}) == 1
    notifications = [request.content for request in receiver.requests if request.path == "/one"]
    assert [notification["type"] for notification in notifications] == ["warning", "success"]


def deliver(receiver: Receiver, number: int, told: Any, **values: Any) -> Any:
    """Send a message through one of the receiver's channels; return what arrived."""
    channel = channels(settings(**{**all_channels(receiver), **values}))[number]
    assert asyncio.run(send(channel.order(told))) == Answer()
    (request,) = receiver.requests
    assert request.headers["Content-Type"] == "application/json"
    return request.content


def test_slack(receiver: Receiver) -> None:
    """Slack's webhook takes {"text": …}; nothing in it becomes a link or calls a channel."""
    told = deliver(receiver, 0, message(text="<!channel> a & b"))
    assert told == {
        "text": ":rotating_light: *jobsupervisor here: alert: Queue depth*\n&lt;!channel&gt; a &amp; b",
    }


def test_slack_tells_states_apart() -> None:
    """A reminder and an end are seen as such at a glance."""
    texts = {change: Slack("http://h/").order(message(change)).content["text"].split(":")[1:5] for change in Change}
    assert texts[Change.STANDING] == [
        "hourglass_flowing_sand",
        " *jobsupervisor here",
        " still",
        " Queue depth*\n143 jobs are due and wait; the threshold is 100",
    ]
    assert texts[Change.ENDED][:3] == ["white_check_mark", " *jobsupervisor here", " over"]
    assert texts[Change.ENDED] == texts[Change.NO_LONGER_KNOWN]


def test_pagerduty_trigger(receiver: Receiver) -> None:
    """PagerDuty gets an event of its API, version 2, with all that it requires."""
    event = deliver(receiver, 1, message())
    assert event == {
        "routing_key": ROUTING_KEY,
        "dedup_key": "jobsupervisor/here/queue_depth",
        "event_action": "trigger",
        "client": "jobsupervisor",
        "payload": {
            "summary": ("jobsupervisor here: alert: Queue depth: 143 jobs are due and wait; the threshold is 100"),
            "source": "here",
            "severity": "warning",
            "timestamp": "2026-01-02T03:05:05+00:00",
            "component": "jobsupervisor",
            "class": "queue_depth",
            "custom_details": {
                "text": "143 jobs are due and wait; the threshold is 100",
                "since": "2026-01-02T03:04:05+00:00",
            },
        },
    }
    assert datetime.fromisoformat(event["payload"]["timestamp"]).utcoffset() is not None


@pytest.mark.parametrize("change", [Change.ENDED, Change.NO_LONGER_KNOWN])
def test_pagerduty_resolve(receiver: Receiver, change: Change) -> None:
    """An end, whatever its reason, resolves the event of the same key."""
    event = deliver(receiver, 1, message(change))
    assert event == {
        "routing_key": ROUTING_KEY,
        "dedup_key": "jobsupervisor/here/queue_depth",
        "event_action": "resolve",
    }


def test_pagerduty_lengths() -> None:
    """Neither a long name nor a long text goes beyond what the API takes, and two alerts never share a key."""
    pagerduty = PagerDuty(ROUTING_KEY, "http://h/")
    events = [
        pagerduty.order(message(supervisor="s" * 400, alert=alert, text="t" * 5000)).content for alert in ("a", "b")
    ]
    assert all(len(event["dedup_key"]) <= 255 and len(event["payload"]["summary"]) <= 1024 for event in events)
    assert len({event["dedup_key"] for event in events}) == 2


def test_apprise(receiver: Receiver) -> None:
    """What a json:// URL of Apprise's stands for gets title, message and type."""
    told = deliver(receiver, 2, message(severity="critical"))
    assert told["title"] == "jobsupervisor here: alert: Queue depth"
    assert told["message"] == "143 jobs are due and wait; the threshold is 100"
    assert told["type"] == "failure"
    assert receiver.requests[0].headers["Authorization"].startswith("Basic ")


def test_apprise_says_no(receiver: Receiver) -> None:
    """A receiver that Apprise could not deliver to is one to try again; a URL that it does not know is not."""
    receiver.behave = answer(500)
    channel, unknown = channels(settings(ALERT_URLS=f"json://{receiver.address}, nosuchthing://x"))
    assert asyncio.run(send(channel.order(message()))) == Answer("not delivered, says Apprise", again=True)
    assert asyncio.run(send(unknown.order(message()))) == Answer("is no URL that Apprise knows")


def test_which_channels_are_the_same() -> None:
    """By where they lead, whatever the place in the list; and no secret is in what a debugger or a traceback shows of one."""
    first, second = channels(settings(ALERT_URLS="json://one/SECRET tgram://two/SECRET"))
    moved, other = channels(settings(ALERT_URLS="tgram://two/SECRET json://other/SECRET"))
    assert (second == moved, first == other) == (True, False)
    assert (second.name, moved.name) == ("apprise-2-tgram", "apprise-1-tgram")
    every = settings(
        SLACK_WEBHOOK_URL=f"https://hooks.slack.com{WEBHOOK_PATH}",
        PAGERDUTY_ROUTING_KEY=ROUTING_KEY,
        ALERT_URLS="json://one/SECRET",
    )
    assert channels(every) == channels(every)
    assert "SECRET" not in repr(channels(every))
