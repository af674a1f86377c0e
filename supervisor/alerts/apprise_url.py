"""Anything else: a URL of Apprise's, which knows mail, Telegram, Teams, ntfy and a hundred more."""

from __future__ import annotations

from supervisor.alerts.message import Message
from supervisor.alerts.orders import Check, Notify


class AppriseUrl:
    """One URL. Each is a channel of its own, so that one that is dead is tried again without the others."""

    def __init__(self, url: str, number: int) -> None:
        # The rest of the URL may be a password.
        self.name = f"apprise-{number}-{url.partition('://')[0].lower()}"
        self._url = url

    def order(self, message: Message) -> Notify:
        """Return what is to be sent."""
        kind = "success" if message.is_over else "failure" if message.severity == "critical" else "warning"
        return Notify(self._url, message.headline, message.text, kind)

    def check(self) -> Check:
        """Return the question whether Apprise knows such a URL."""
        return Check(self._url)
