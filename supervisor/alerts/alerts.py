"""The alerts of one supervisor: looks at readings, knows what stands, has it told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from supervisor.alerts.catalogue import Severity, catalogue
from supervisor.alerts.channels import Channel, channels
from supervisor.alerts.courier import Courier, Pause, Send, pause_for
from supervisor.alerts.helper import send as by_helper
from supervisor.alerts.message import Message
from supervisor.alerts.readings import Readings
from supervisor.alerts.rules import Change, Watch
from supervisor.settings import Settings

log = structlog.get_logger()

STOP_SECONDS = 5.0
"""How long a stop waits for channels to be told."""


@dataclass(slots=True)
class ActiveAlert:
    """An alert that stands, for health and metrics. `text` is of the last look that had a value."""

    name: str
    title: str
    severity: Severity
    text: str
    since: datetime
    supervisor: str
    """Its name when the alert was raised: an alert ends under the name under which it began."""


class Alerts:
    """Watches one supervisor. Made and used inside its event loop.

    `supervisor_name` may be set anew when the supervisor gets another name. Without channels alerts go to the log.
    """

    def __init__(
        self,
        settings: Settings,
        supervisor_name: str,
        *,
        to: Iterable[Channel] | None = None,
        send: Send = by_helper,
        pause: Pause = pause_for,
    ) -> None:
        self.supervisor_name = supervisor_name
        self._watched = [(rule, Watch(rule.threshold, settings.alert_hold_seconds)) for rule in catalogue(settings)]
        self._active: dict[str, ActiveAlert] = {}
        self._courier = Courier(channels(settings) if to is None else to, send, pause)

    @property
    def names(self) -> list[str]:
        """Every alert there is, standing or not: a metric needs its zeros."""
        return [rule.name for rule, _ in self._watched]

    @property
    def unsettled(self) -> bool:
        """Whether another look, soon, may change something."""
        return any(watch.unsettled for _, watch in self._watched)

    @property
    def active(self) -> list[ActiveAlert]:
        """The alerts that stand, oldest first."""
        return list(self._active.values())

    @property
    def channel_problems(self) -> dict[str, str | None]:
        """Each channel, and what kept it from being told the last time, if anything did."""
        return self._courier.problems

    def look(self, readings: Readings, now: float) -> None:
        """Take readings; `now` is a clock that never goes back. Sends nothing itself and does not wait."""
        for rule, watch in self._watched:
            value, raised_at = rule.value(readings), watch.raised_at
            change = watch.look(value, now)
            text = "" if value is None else rule.say(readings)
            if change is Change.RAISED:
                self._active[rule.name] = ActiveAlert(
                    rule.name, rule.title, rule.severity, text, datetime.now(UTC), self.supervisor_name
                )
            active = self._active.get(rule.name)
            if active is None:
                continue
            # While it is over, the last word is that of the look that was over: the database's problem, not its absence.
            if value is not None and value > rule.threshold:
                active.text = text
            if change is not None:
                self._tell(active, change, _wording(change, text, now - (raised_at or now)))

    def _tell(self, active: ActiveAlert, change: Change, text: str) -> None:
        if change in {Change.ENDED, Change.NO_LONGER_KNOWN}:
            del self._active[active.name]
            log.info("alert.ended", alert=active.name, text=text)
        else:
            event = "alert.raised" if change is Change.RAISED else "alert.standing"
            log.warning(event, alert=active.name, text=text)
        self._courier.tell(_message(active, change, text))

    def settings_changed(self, settings: Settings) -> None:
        """Go by other thresholds, and tell other channels, from now on.

        What stands, stands on: a channel that is new is told of it, and to one that is gone it is over, since nobody would
        end it there.
        """
        watches = [watch for _, watch in self._watched]
        self._watched = list(zip(catalogue(settings), watches, strict=True))
        for rule, watch in self._watched:
            watch.judge_by(rule.threshold, settings.alert_hold_seconds)
        self._courier.serve(
            channels(settings),
            greeting=[_message(active, Change.STANDING, active.text) for active in self.active],
            farewell=[
                _message(active, Change.NO_LONGER_KNOWN, f"this channel is told no more; the last was: {active.text}")
                for active in self.active
            ],
        )

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End what stands, and everything that was started here, within these seconds and a moment.

        Nobody would end those alerts later: the next start knows nothing of them, and an incident would stay open for ever.
        What is still over is raised again by then.
        """
        for active in self.active:
            self._tell(active, Change.NO_LONGER_KNOWN, f"the supervisor is stopping; the last was: {active.text}")
        await self._courier.stop(seconds)


def _message(active: ActiveAlert, change: Change, text: str) -> Message:
    return Message(
        alert=active.name,
        change=change,
        severity=active.severity,
        supervisor=active.supervisor,
        title=active.title,
        text=text,
        since=active.since,
        at=datetime.now(UTC),
    )


def _wording(change: Change, text: str, stood: float) -> str:
    match change:
        case Change.RAISED:
            return text
        case Change.STANDING:
            return f"{text}; for {_duration(stood)} now"
        case Change.ENDED:
            return f"{text}; it stood for {_duration(stood)}"
        case Change.NO_LONGER_KNOWN:
            return f"there has been nothing to measure for a while; it stood for {_duration(stood)}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
