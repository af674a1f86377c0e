"""Slack: an incoming webhook, which takes {"text": …}. So do those of Mattermost and Rocket.Chat."""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor.alerts.message import Message
from supervisor.alerts.orders import Post
from supervisor.alerts.rules import Change

_SIGNS = {Change.RAISED: ":rotating_light:", Change.STANDING: ":hourglass_flowing_sand:"}


@dataclass(frozen=True, slots=True)
class Slack:
    """A channel of Slack's. Whoever has the URL can post to it: it is a secret."""

    webhook_url: str = field(repr=False)
    name: str = field(default="slack", init=False)

    def order(self, message: Message) -> Post:
        """Return what is to be sent."""
        sign = _SIGNS.get(message.change, ":white_check_mark:")
        return Post(self.webhook_url, {"text": f"{sign} *{_escaped(message.headline)}*\n{_escaped(message.text)}"})


def _escaped(text: str) -> str:
    """Return text in which nothing is a link or calls everybody: <!channel>."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
