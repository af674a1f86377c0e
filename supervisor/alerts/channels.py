"""Who is told: the channels that the settings name."""

from __future__ import annotations

from typing import Protocol

from supervisor.alerts.apprise_url import AppriseUrl
from supervisor.alerts.message import Message
from supervisor.alerts.orders import Order
from supervisor.alerts.pagerduty import PagerDuty
from supervisor.alerts.slack import Slack
from supervisor.settings import Settings


class Channel(Protocol):
    """One receiver. Its name stands in log lines: no secret is part of it."""

    @property
    def name(self) -> str:
        """What it goes by."""

    def order(self, message: Message) -> Order:
        """Return what the helper process is to do."""


def channels(settings: Settings) -> list[Channel]:
    """Return every channel that is set."""
    found: list[Channel] = []
    if settings.slack_webhook_url is not None:
        found.append(Slack(settings.slack_webhook_url.get_secret_value()))
    if settings.pagerduty_routing_key is not None:
        found.append(PagerDuty(settings.pagerduty_routing_key.get_secret_value(), settings.pagerduty_events_url))
    return [*found, *apprise_channels(settings)]


def apprise_channels(settings: Settings) -> list[AppriseUrl]:
    """Return a channel for each of Apprise's URLs."""
    return [AppriseUrl(url.get_secret_value(), number) for number, url in enumerate(settings.alert_urls, 1)]
