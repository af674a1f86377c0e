"""Slack: an incoming webhook, which takes {"text": …}. So do those of Mattermost and Rocket.Chat."""

from __future__ import annotations

from supervisor.alerts.message import Message
from supervisor.alerts.orders import Post
from supervisor.alerts.rules import Change

_SIGNS = {Change.RAISED: ":rotating_light:", Change.STANDING: ":hourglass_flowing_sand:"}


class Slack:
    """A channel of Slack's. Whoever has the URL can post to it: it is a secret."""

    name = "slack"

    def __init__(self, webhook_url: str) -> None:
        self._url = webhook_url

    def order(self, message: Message) -> Post:
        """Return what is to be sent."""
        sign = _SIGNS.get(message.change, ":white_check_mark:")
        return Post(self._url, {"text": f"{sign} *{_escaped(message.headline)}*\n{_escaped(message.text)}"})


def _escaped(text: str) -> str:
    """Return text in which nothing is a link or calls everybody: <!channel>."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
