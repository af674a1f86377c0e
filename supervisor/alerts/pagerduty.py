"""PagerDuty, Events API v2: an alert triggers an event, its end resolves the same one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from supervisor.alerts.message import Message
from supervisor.alerts.orders import Post

_KEY_LENGTH, _SUMMARY_LENGTH = 255, 1024  # the API refuses what is longer


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """A service of PagerDuty's. Whoever has the routing key can call somebody out: it is a secret."""

    routing_key: str = field(repr=False)
    events_url: str
    name: str = field(default="pagerduty", init=False)

    def order(self, message: Message) -> Post:
        """Return what is to be sent."""
        event: dict[str, Any] = {"routing_key": self.routing_key, "dedup_key": _dedup_key(message)}
        if message.is_over:
            return Post(self.events_url, {**event, "event_action": "resolve"})
        payload = {
            "summary": f"{message.headline}: {message.text}"[:_SUMMARY_LENGTH],
            "source": message.supervisor,
            "severity": message.severity,
            "timestamp": message.at.isoformat(),
            "component": "jobsupervisor",
            "class": message.alert,
            "custom_details": {"text": message.text, "since": message.since.isoformat()},
        }
        return Post(
            self.events_url, {**event, "event_action": "trigger", "client": "jobsupervisor", "payload": payload}
        )


def _dedup_key(message: Message) -> str:
    """Return one key for one alert of one supervisor: what is triggered again is the same alert, and can be resolved."""
    key = f"jobsupervisor/{message.supervisor}/{message.alert}"
    if len(key) <= _KEY_LENGTH:
        return key
    # Cut off, the keys of two alerts would be one.
    return f"jobsupervisor/{hashlib.sha256(key.encode()).hexdigest()}"
