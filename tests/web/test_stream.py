"""The stream of the dashboard: made once for all, while somebody looks; nobody is shown old news, nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from starlette.responses import StreamingResponse

from supervisor.errors import DatabaseUnreachable
from supervisor.monitor.figures import Figures
from supervisor.web.pages import stream as module
from supervisor.web.pages.lists import FRESH_SECONDS, SharedLists
from supervisor.web.pages.stream import MOST_VIEWERS, Stream


class Parts:
    """Parts that a test sets; counts how often they are asked for."""

    def __init__(self) -> None:
        self.now = {"a": "<p>1</p>", "b": "<p>1</p>"}
        self.asked = 0

    async def __call__(self) -> dict[str, str]:
        """Return them."""
        self.asked += 1
        if "fail" in self.now:
            raise ZeroDivisionError
        return dict(self.now)


class Viewer:
    """One who looks."""

    def __init__(self, stream: Stream) -> None:
        answer = stream.answer()
        assert isinstance(answer, StreamingResponse)
        self.events: Any = answer.body_iterator

    async def next(self) -> str:
        """Return the next event."""
        async with asyncio.timeout(60):
            return str(await anext(self.events))

    async def several(self, count: int) -> list[str]:
        """Return the next events."""
        return [await self.next() for _ in range(count)]


@asynccontextmanager
async def viewer(stream: Stream) -> AsyncIterator[Viewer]:
    """Look for a while; the first line, which is no event, is taken."""
    looking = Viewer(stream)
    async with aclosing(looking.events):
        assert await looking.next() == "retry: 2000\n\n"
        yield looking


def event(name: str, text: str) -> str:
    """Return an event as it goes over the wire."""
    return f"event: {name}\ndata: <p>{text}</p>\n\n"


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run one test's loop; no task may be left in it."""

    async def and_look() -> None:
        await work
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            _, left = await asyncio.wait(left, timeout=60)
        assert not left

    asyncio.run(and_look())


def test_only_what_changed_is_sent() -> None:
    """All parts to who comes, then those that differ."""

    async def look() -> None:
        parts = Parts()
        stream = Stream(parts)
        async with viewer(stream) as one:
            assert await one.several(2) == [event("a", "1"), event("b", "1")]
            parts.now["b"] = "<p>2</p>"
            stream.hurry()
            assert await one.next() == event("b", "2")

    run(look())


def test_many_cost_what_one_does() -> None:
    """The parts are rendered once for all viewers."""

    async def look() -> None:
        parts = Parts()
        stream = Stream(parts)
        async with viewer(stream) as one, viewer(stream) as two, viewer(stream) as three:
            for each in (one, two, three):
                assert len(await each.several(2)) == 2
            assert parts.asked == 1

    run(look())


def test_nobody_looks_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the last viewer leaves, the task ends; who comes later is not shown what was then."""
    monkeypatch.setattr(module, "TICK_SECONDS", 3600)

    async def look() -> None:
        parts = Parts()
        stream = Stream(parts)
        async with viewer(stream) as one:
            await one.several(2)
        (task,) = asyncio.all_tasks() - {asyncio.current_task()}
        await task
        parts.now = {"a": "<p>3</p>"}
        async with viewer(stream) as one:
            assert await one.next() == event("a", "3")
        assert parts.asked == 2

    run(look())


def test_a_slow_one_gets_what_is_now() -> None:
    """Of ten changes while it did not read, it is sent the last."""

    async def look() -> None:
        parts = Parts()
        stream = Stream(parts)
        async with viewer(stream) as slow, viewer(stream) as quick:
            await slow.several(2)
            await quick.several(2)
            for number in range(10, 20):
                parts.now["a"] = f"<p>{number}</p>"
                stream.hurry()
                assert await quick.next() == event("a", str(number))
            assert await slow.next() == event("a", "19")

    run(look())


def test_the_end_of_the_service_ends_the_streams() -> None:
    """Also that of one who waits; none is begun after it."""

    async def look() -> None:
        stream = Stream(Parts())
        async with viewer(stream) as one:
            await one.several(2)
            waiting = asyncio.ensure_future(anext(one.events))
            await asyncio.sleep(0)
            await stream.close()
            with pytest.raises(StopAsyncIteration):
                await waiting
        assert stream.answer().status_code == 503

    run(look())


def test_a_fault_of_ours_ends_the_streams() -> None:
    """Rather than to look alive for ever; who connects again is served."""

    async def look() -> None:
        parts = Parts()
        stream = Stream(parts)
        async with viewer(stream) as one:
            await one.several(2)
            parts.now["fail"] = ""
            stream.hurry()
            with pytest.raises(StopAsyncIteration):
                await one.next()
        del parts.now["fail"]
        async with viewer(stream) as one:
            assert len(await one.several(2)) == 2

    run(look())


def test_there_is_room_for_others() -> None:
    """Dashboards do not take all that the server answers at once."""

    async def look() -> None:
        stream = Stream(Parts())
        looking = [Viewer(stream) for _ in range(MOST_VIEWERS)]
        for one in looking:
            await one.next()
        answer = stream.answer()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        for one in looking:
            await one.events.aclose()
        async with viewer(stream) as one:
            assert len(await one.several(2)) == 2

    run(look())


class FakeDesk:
    """A desk whose database may be away; notes what is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away = False

    async def ask(self, call: Any) -> Any:
        """Answer with one row that names the question."""
        if self.away:
            raise DatabaseUnreachable("away")
        self.asked.append(call.name)
        return [{"of": call.name, "number": len(self.asked)}]


def shared(monkeypatch: pytest.MonkeyPatch) -> tuple[FakeDesk, Figures, SharedLists, list[float]]:
    """Return a desk, figures and lists whose clock is the last value."""
    clock = [1000.0]
    monkeypatch.setattr("supervisor.web.pages.lists.time.monotonic", lambda: clock[0])
    desk, figures = FakeDesk(), Figures()
    return desk, figures, SharedLists(desk, figures), clock  # type: ignore[arg-type]


def test_the_lists_are_read_when_something_happened_and_not_at_once_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a stream: after a job ended or a poll, and never twice within the seconds; for a page: when they are old."""
    desk, figures, lists, clock = shared(monkeypatch)

    async def look() -> None:
        reads = []
        for seconds, ended, unless_same in (
            (0, 0, True),  # the first
            (FRESH_SECONDS, 0, True),  # nothing happened
            (1, 5, True),  # 5 jobs ended
            (1, 1, True),  # another, too early
            (FRESH_SECONDS - 1, 0, True),  # its turn
            (FRESH_SECONDS, 0, False),  # a page that is loaded
            (1, 0, False),  # and one more
        ):
            clock[0] += seconds
            figures.settled_claims += ended
            before = len(desk.asked)
            await lists.get(unless_same=unless_same)
            reads.append(len(desk.asked) - before)
        assert reads == [2, 0, 2, 0, 2, 2, 0]
        lists.outdate()
        await asyncio.gather(*(lists.get(unless_same=True) for _ in range(10)))
        assert len(desk.asked) == 10

    run(look())


def test_lists_that_cannot_be_read_are_the_old_ones_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dashboard is of most use when the database is away."""
    desk, figures, lists, clock = shared(monkeypatch)

    async def look() -> None:
        assert (await lists.get(unless_same=True)).problem is None
        desk.away = True
        clock[0] += FRESH_SECONDS
        figures.settled_claims += 1
        found = await lists.get(unless_same=True)
        assert (found.problem, found.results) == ("away", [{"of": "results", "number": 1}])

    run(look())
