"""Takes messages to the channels, in the background: whoever has one to tell never waits.

Each channel has a desk, and a desk owes its channel the latest word on each alert. A newer word replaces an older one that
is still owed: what a channel that is down can pile up is one message for each alert there is, and once it is back it is
told how things are, not how they were in turn. One message is under way at a time, in a helper process with a time limit
(helper.py). A try that fails is repeated, later and later, TRIES times in all; then the message is given up and the log
says so. A request that the receiver refuses for what it is (a webhook that was revoked) is not repeated. One channel does
not wait for another, and a desk that owes nothing has no task. Where a channel is taken out of the settings its desk pays what it
owes, and then is gone; one that is put back in the meantime has its desk again, so that one channel is never told by two.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from supervisor.alerts.channels import Channel
from supervisor.alerts.helper import send as by_helper
from supervisor.alerts.message import Message
from supervisor.alerts.orders import Answer, Order

log = structlog.get_logger()

Send = Callable[[Order], Awaitable[Answer]]
Pause = Callable[[asyncio.Event, float], Awaitable[None]]

TRIES = 5
FIRST_PAUSE, FACTOR = 2.0, 4.0
"""Seconds before the second try, and how much longer each further wait is: about three minutes in all."""

LONGEST_PAUSE = 300.0
"""What a receiver may ask for, with Retry-After."""


async def pause_for(hurry: asyncio.Event, seconds: float) -> None:
    """Wait, or until there is hurry."""
    try:
        async with asyncio.timeout(seconds):
            await hurry.wait()
    except TimeoutError:
        pass


class Desk:
    """What is owed to one channel. `problem`: what the last try met; None when it went well."""

    def __init__(self, channel: Channel, send: Send, pause: Pause) -> None:
        self.channel = channel
        self.problem: str | None = None
        self.task: asyncio.Task[None] | None = None
        self.hurry = asyncio.Event()
        self._send = send
        self._pause = pause
        self._owed: dict[str, Message] = {}

    @property
    def is_at_work(self) -> bool:
        """Whether something is owed."""
        return self.task is not None and not self.task.done()

    def owe(self, message: Message) -> None:
        """Take a message; it replaces an older one about the same alert."""
        self._owed.pop(message.alert, None)
        self._owed[message.alert] = message
        if not self.is_at_work:
            self.task = asyncio.create_task(self._work(), name=f"alerts: {self.channel.name}")

    def give_up(self) -> None:
        """Say what will not be delivered any more."""
        for message in self._owed.values():
            self._say_undelivered(message, "the supervisor ended", tries=0)
        self._owed.clear()

    async def _work(self) -> None:
        while self._owed:
            await self._deliver(next(iter(self._owed.values())))

    async def _deliver(self, message: Message) -> None:
        for tries in range(1, TRIES + 1):
            answer = await self._send(self.channel.order(message))
            self.problem = answer.problem
            if answer.problem is None:
                log.debug("alert.delivered", channel=self.channel.name, alert=message.alert, tries=tries)
                break
            # Those in a hurry had this as their last try.
            if not answer.again or tries == TRIES or self.hurry.is_set():
                self._say_undelivered(message, answer.problem, tries)
                break
            await self._pause(self.hurry, _seconds(tries, answer))
            if self._owed.get(message.alert) is not message:
                return  # there is news of this alert; its turn comes
        if self._owed.get(message.alert) is message:
            del self._owed[message.alert]

    def _say_undelivered(self, message: Message, problem: str, tries: int) -> None:
        log.error(
            "alert.undelivered",
            channel=self.channel.name,
            alert=message.alert,
            change=message.change.value,
            problem=problem,
            tries=tries,
        )


def _seconds(tries: int, answer: Answer) -> float:
    pause = FIRST_PAUSE * FACTOR ** (tries - 1) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
    return max(pause, min(answer.after, LONGEST_PAUSE))


class Courier:
    """Takes messages to all channels. Used from one event loop."""

    def __init__(self, channels: Iterable[Channel], send: Send = by_helper, pause: Pause = pause_for) -> None:
        self._send = send
        self._pause = pause
        self._desks = [Desk(channel, send, pause) for channel in channels]
        self._leaving: list[Desk] = []
        self._stopped = False

    @property
    def problems(self) -> dict[str, str | None]:
        """The last problem of each channel; None for one that works, or was never used."""
        return {desk.channel.name: desk.problem for desk in self._desks}

    def tell(self, message: Message) -> None:
        """Have everybody told. Returns at once; after a stop, nobody is told any more."""
        for desk in [] if self._stopped else self._desks:
            desk.owe(message)

    def serve(self, channels: Iterable[Channel], *, greeting: Sequence[Message], farewell: Sequence[Message]) -> None:
        """Serve these channels from now on: those that are new are told the greeting, those that are gone the farewell."""
        if self._stopped:
            return
        here, left, now = self._desks, [desk for desk in self._leaving if desk.is_at_work], []
        for channel in channels:
            if (known := _take(here, channel)) is not None:
                now.append(known)
                continue
            desk = _take(left, channel) or Desk(channel, self._send, self._pause)
            now.append(desk)
            _owe(desk, greeting)
        for desk in here:
            _owe(desk, farewell)
        self._desks, self._leaving = now, [*left, *here]

    async def stop(self, seconds: float) -> None:
        """Give what is owed one more try, for so many seconds at most; then leave no task and no process."""
        self._stopped = True
        desks = [*self._desks, *self._leaving]
        for desk in desks:
            desk.hurry.set()
        tasks = [desk.task for desk in desks if desk.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for desk in desks:
            desk.give_up()


def _take(desks: list[Desk], channel: Channel) -> Desk | None:
    """Take the desk of a channel out of a list, where there is one."""
    for desk in desks:
        if desk.channel == channel:
            desks.remove(desk)
            desk.channel = channel  # its name may be another: that of an Apprise URL has its place in the list
            return desk
    return None


def _owe(desk: Desk, messages: Iterable[Message]) -> None:
    for message in messages:
        desk.owe(message)
