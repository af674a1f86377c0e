"""The courier: what a channel is owed, how often it is tried, and that nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from supervisor.alerts.courier import FACTOR, FIRST_PAUSE, LONGEST_PAUSE, TRIES, Courier, pause_for
from supervisor.alerts.message import Message
from supervisor.alerts.orders import Answer, Order, Post
from supervisor.alerts.rules import Change
from tests.alerts.samples import message, until_idle

BAD = Answer("answered 500", again=True)
REFUSED = Answer("answered 404")
GOOD = Answer()


class Plain:
    """A channel whose orders carry the message's text."""

    def __init__(self, name: str) -> None:
        self.name = name

    def order(self, message: Message) -> Order:
        """Return an order that a test can recognise."""
        return Post(self.name, {"alert": message.alert, "text": message.text})


class Line:
    """Carries out orders as a test wants it, and keeps them. `open` lets an order come to its end."""

    def __init__(self, *answers: Answer) -> None:
        self.orders: list[Post] = []
        self.pauses: list[float] = []
        self.under_way = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self._answers: Iterator[Answer] = iter([*answers, *[answers[-1]] * 100])

    async def send(self, order: Order) -> Answer:
        """Carry out an order."""
        assert isinstance(order, Post)
        self.orders.append(order)
        self.under_way.set()
        await self.open.wait()
        return next(self._answers)

    async def pause(self, _hurry: asyncio.Event, seconds: float) -> None:
        """Take note of a pause, and be back at once."""
        self.pauses.append(seconds)

    @property
    def texts(self) -> list[str]:
        """What was sent, in turn."""
        return [order.content["text"] for order in self.orders]


def test_tries_are_bounded() -> None:
    """A channel that is down is tried TRIES times, later and later, and the log says once that it was in vain."""

    async def tell() -> Line:
        line = Line(BAD)
        courier = Courier([Plain("down")], line.send, line.pause)
        courier.tell(message())
        await until_idle()
        assert courier.problems == {"down": "answered 500"}
        await courier.stop(1)
        return line

    with capture_logs() as logs:
        line = asyncio.run(tell())
    assert len(line.orders) == TRIES
    for number, pause in enumerate(line.pauses):
        assert 0.75 <= pause / (FIRST_PAUSE * FACTOR**number) <= 1.25
    assert [(entry["event"], entry["problem"], entry["tries"]) for entry in logs] == [
        ("alert.undelivered", "answered 500", TRIES)
    ]


def test_back_again() -> None:
    """A channel that is back within the tries gets the message once, and has no problem any more."""

    async def tell() -> tuple[Line, dict[str, str | None]]:
        line = Line(BAD, BAD, GOOD)
        courier = Courier([Plain("slow")], line.send, line.pause)
        courier.tell(message())
        await until_idle()
        return line, courier.problems

    line, problems = asyncio.run(tell())
    assert (len(line.orders), problems) == (3, {"slow": None})


def test_what_is_refused_is_not_repeated() -> None:
    """An answer that will be the same tomorrow ends the tries at once."""

    async def tell() -> Line:
        line = Line(REFUSED)
        courier = Courier([Plain("gone")], line.send, line.pause)
        courier.tell(message())
        await until_idle()
        return line

    with capture_logs() as logs:
        assert len(asyncio.run(tell()).orders) == 1
    assert [entry["event"] for entry in logs] == ["alert.undelivered"]


@pytest.mark.parametrize(("asked", "pause"), [(100.0, 100.0), (86400.0, LONGEST_PAUSE)])
def test_a_receiver_may_ask_for_time(asked: float, pause: float) -> None:
    """What Retry-After asks for is waited, up to a bound."""

    async def tell() -> list[float]:
        line = Line(Answer("answered 429", again=True, after=asked), GOOD)
        Courier([Plain("busy")], line.send, line.pause).tell(message())
        await until_idle()
        return line.pauses

    assert asyncio.run(tell()) == [pause]


def test_one_channel_does_not_wait_for_another() -> None:
    """While one channel hangs, the others are told everything."""

    async def tell() -> None:
        dead, well = Line(GOOD), Line(GOOD)
        dead.open.clear()
        all_told = asyncio.Event()

        async def send(order: Order) -> Answer:
            if order.url == "dead":
                return await dead.send(order)
            answer = await well.send(order)
            if len(well.texts) == 3:
                all_told.set()
            return answer

        courier = Courier([Plain("dead"), Plain("well")], send)
        for alert in ("a", "b", "c"):
            courier.tell(message(alert=alert, text=alert))
        await all_told.wait()
        assert (dead.texts, well.texts) == (["a"], ["a", "b", "c"])
        await courier.stop(0)

    asyncio.run(tell())


def test_a_channel_is_owed_the_latest_word_only() -> None:
    """While a channel hangs, what piles up is one message for each alert; then the latest of each is told."""

    async def tell() -> list[str]:
        line = Line(GOOD)
        line.open.clear()
        courier = Courier([Plain("dead")], line.send)
        courier.tell(message(text="first"))
        await line.under_way.wait()
        for number in range(1000):
            courier.tell(message(text=f"raised {number}"))
            courier.tell(message(alert="memory", text=f"memory {number}"))
            courier.tell(message(Change.ENDED, text=f"ended {number}"))
        line.open.set()
        await until_idle()
        return line.texts

    assert asyncio.run(tell()) == ["first", "memory 999", "ended 999"]


def test_news_during_a_pause() -> None:
    """A message that waits for its next try gives way to newer word of its alert, which has all its tries."""

    async def tell() -> list[str]:
        line = Line(BAD, GOOD)
        courier = Courier([Plain("slow")], line.send, lambda _hurry, _seconds: news())

        async def news() -> None:
            courier.tell(message(Change.ENDED, text="ended"))

        courier.tell(message(text="raised"))
        await until_idle()
        return line.texts

    assert asyncio.run(tell()) == ["raised", "ended"]


def test_a_stop_hurries() -> None:
    """A stop cuts a pause short for one more try, and does not begin another one."""

    async def tell() -> list[str]:
        line = Line(BAD)
        paused = asyncio.Event()

        async def pause(hurry: asyncio.Event, _seconds: float) -> None:
            paused.set()
            await pause_for(hurry, 3600)

        courier = Courier([Plain("down")], line.send, pause)
        courier.tell(message(text="once"))
        await paused.wait()
        await courier.stop(3600)
        courier.tell(message(text="too late"))
        assert len(asyncio.all_tasks()) == 1
        return line.texts

    with capture_logs() as logs:
        assert asyncio.run(tell()) == ["once", "once"]
    assert [(entry["event"], entry["tries"]) for entry in logs] == [("alert.undelivered", 2)]


def test_a_stop_does_not_wait_for_ever() -> None:
    """What hangs when the time of a stop is over is cancelled, and the log says what was not delivered."""

    async def tell() -> None:
        line = Line(GOOD)
        line.open.clear()
        courier = Courier([Plain("dead")], line.send)
        courier.tell(message())
        await line.under_way.wait()
        await courier.stop(0)
        assert len(asyncio.all_tasks()) == 1

    with capture_logs() as logs:
        asyncio.run(tell())
    assert [(entry["event"], entry["problem"]) for entry in logs] == [("alert.undelivered", "the supervisor ended")]


def test_a_pause_ends() -> None:
    """A pause ends by itself when nobody hurries it."""

    async def pause() -> bool:
        hurry = asyncio.Event()
        await pause_for(hurry, 0.001)
        return hurry.is_set()

    assert not asyncio.run(pause())


def test_other_channels() -> None:
    """One that is new is told the greeting, one that is gone the farewell, and one that stays neither."""

    async def change() -> tuple[Line, Courier]:
        line, stays = Line(GOOD), Plain("stays")
        courier = Courier([Plain("goes"), stays], line.send, line.pause)
        courier.serve(
            [stays, Plain("comes")], greeting=[message(text="it stands")], farewell=[message(text="no more from here")]
        )
        await until_idle()
        courier.tell(message(text="news"))
        await until_idle()
        await courier.stop(1)
        return line, courier

    line, courier = asyncio.run(change())
    assert sorted((order.url, order.content["text"]) for order in line.orders) == [
        ("comes", "it stands"),
        ("comes", "news"),
        ("goes", "no more from here"),
        ("stays", "news"),
    ]
    assert list(courier.problems) == ["stays", "comes"]


def test_a_channel_that_is_put_back_has_its_desk_again() -> None:
    """Its farewell, where that is still owed, gives way to the greeting: what is told last is what holds."""

    async def take_out_and_put_back() -> Line:
        line, channel = Line(GOOD), Plain("back")
        line.open.clear()
        courier = Courier([channel], line.send, line.pause)
        courier.tell(message(text="first"))
        await line.under_way.wait()
        for channels in ([], [channel]):
            courier.serve(channels, greeting=[message(text="it stands")], farewell=[message(text="no more from here")])
        line.open.set()
        await until_idle()
        await courier.stop(1)
        return line

    assert asyncio.run(take_out_and_put_back()).texts == ["first", "it stands"]


def test_a_channel_that_is_gone_is_left_nothing_behind() -> None:
    """A stop waits for its farewell too, and then gives it up."""

    async def stop() -> None:
        line = Line(GOOD)
        line.open.clear()
        courier = Courier([Plain("gone")], line.send, line.pause)
        courier.serve([], greeting=[], farewell=[message()])
        await line.under_way.wait()
        await courier.stop(0)
        assert len(asyncio.all_tasks()) == 1

    with capture_logs() as logs:
        asyncio.run(stop())
    assert [entry["event"] for entry in logs] == ["alert.undelivered"]
