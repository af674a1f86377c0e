"""Anything else: a URL of Apprise's, which knows mail, Telegram, Teams, ntfy and a hundred more."""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor.alerts.message import Message
from supervisor.alerts.orders import Check, Notify


@dataclass(frozen=True, slots=True)
class AppriseUrl:
    """One URL. Each is a channel of its own, so that one that is dead is tried again without the others.

    It is the same channel wherever its URL stands in the list.
    """

    url: str = field(repr=False)
    number: int = field(compare=False)

    @property
    def name(self) -> str:
        """What it goes by: the rest of the URL may be a password."""
        return f"apprise-{self.number}-{self.url.partition('://')[0].lower()}"

    def order(self, message: Message) -> Notify:
        """Return what is to be sent."""
        kind = "success" if message.is_over else "failure" if message.severity == "critical" else "warning"
        return Notify(self.url, message.headline, message.text, kind)

    def check(self) -> Check:
        """Return the question whether Apprise knows such a URL."""
        return Check(self.url)
