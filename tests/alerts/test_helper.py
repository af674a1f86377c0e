"""The helper process: every way in which a receiver can be dead, and that nothing of a secret leaves it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from supervisor.alerts.alerts import Alerts
from supervisor.alerts.channels import apprise_channels
from supervisor.alerts.helper import send
from supervisor.alerts.orders import Answer, Order, Post
from tests.alerts.receiver import GRACE, Receiver, answer
from tests.alerts.samples import APPRISE_PASSWORD, BUSY, ROUTING_KEY, WEBHOOK_PATH, Looks, message, patient, settings

SHORT = 0.5


def helpers() -> list[psutil.Process]:
    """Return the helper processes that run; the test's servers are children too."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.ZombieProcess, psutil.NoSuchProcess):  # another test's, that has just ended
            if "supervisor.alerts.errand" in " ".join(child.cmdline()):
                found.append(child)
    return found


def open_files(process: psutil.Process) -> set[str]:
    """Return what sort of thing each descriptor of a process is."""
    return {str(entry.readlink()).partition(":")[0] for entry in Path(f"/proc/{process.pid}/fd").iterdir()}


def post(url: str, seconds: float = GRACE) -> Answer:
    """Post something."""
    return asyncio.run(send(Post(url, {"text": "hello"}), seconds))


@pytest.mark.parametrize(
    ("status", "again"),
    [
        (200, None),
        (202, None),
        (301, False),
        (400, False),
        (404, False),
        (410, False),
        (429, True),
        (500, True),
        (503, True),
    ],
)
def test_answers(receiver: Receiver, status: int, again: bool | None) -> None:  # noqa: FBT001 - a column of the table
    """What is accepted is done; what speaks of the moment is tried again, what speaks of the request is not."""
    receiver.behave = answer(status, headers=b"Location: /elsewhere\r\n")
    expected = Answer() if again is None else Answer(f"answered {status}", again=again)
    assert post(receiver.url) == expected
    assert [request.path for request in receiver.requests] == ["/"]


@pytest.mark.parametrize(("header", "after"), [("7", 7.0), ("soon", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0)])
def test_retry_after(receiver: Receiver, header: str, after: float) -> None:
    """Seconds that a receiver asks for are passed on; anything else there is as if it had not asked."""
    receiver.behave = answer(429, headers=f"Retry-After: {header}\r\n".encode())
    assert post(receiver.url) == Answer("answered 429", again=True, after=after)


def test_nobody_there() -> None:
    """A port where nobody listens, and a name that nobody has, are told apart, and tried again."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert post(f"http://127.0.0.1:{unused.getsockname()[1]}/") == Answer("connection refused", again=True)


def test_a_url_that_is_none() -> None:
    """What cannot be posted to is told as such, and not tried again."""
    assert post("http://[/") == Answer("could not be sent (InvalidURL)")


@pytest.mark.parametrize("way", ["hang", "drip"])
def test_no_end(receiver: Receiver, way: str) -> None:
    """A receiver that says nothing, or a byte now and then for ever, has its time and not more."""
    receiver.behave = getattr(receiver, way)
    assert post(receiver.url, SHORT) == Answer(f"no answer within {SHORT} s", again=True)


def test_apprise_has_no_end_either(receiver: Receiver) -> None:
    """The same time holds for what Apprise calls, whose own time-outs are longer."""
    receiver.behave = receiver.hang
    (channel,) = apprise_channels(settings(ALERT_URLS=f"json://{receiver.address}?rto=3600"))
    assert asyncio.run(send(channel.order(message()), SHORT)) == Answer(f"no answer within {SHORT} s", again=True)


def test_a_helper_that_dies(receiver: Receiver) -> None:
    """A helper that somebody kills is told as such, and its order tried again."""
    receiver.behave = receiver.hang

    async def kill() -> Answer:
        sending = asyncio.create_task(patient(Post(receiver.url, {})))
        await asyncio.to_thread(receiver.wait_for, 1)
        (helper,) = helpers()
        helper.kill()
        return await sending

    assert asyncio.run(kill()) == Answer("the helper process ended with -9", again=True)


def test_nobody_waits(receiver: Receiver) -> None:
    """While a receiver hangs, looks return and the loop turns; a stop leaves no task and no process."""
    receiver.behave = receiver.hang

    async def look() -> None:
        alerts = Alerts(settings(SLACK_WEBHOOK_URL=receiver.url), "here", send=patient)
        looks = Looks(alerts)
        looks.at(BUSY)
        await asyncio.to_thread(receiver.wait_for, 1)
        (helper,) = helpers()
        looks.at(BUSY, times=1000)
        await asyncio.sleep(0)
        # All that went by while the first request was still under way.
        assert helper.is_running()
        assert alerts.channel_problems == {"slack": None}
        await alerts.stop(0)
        assert helpers() == []
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(look())
    assert len(receiver.requests) == 1


def test_what_others_can_read_of_it(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the helper's command line nor its environment has a secret, and no descriptor of the supervisor's is open."""
    receiver.behave = receiver.hang
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:databaseSECRET@h/d")
    monkeypatch.setenv("SLACK_WEBHOOK_URL", receiver.url + WEBHOOK_PATH)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")

    async def look() -> tuple[str, dict[str, str], set[str]]:
        sending = asyncio.create_task(patient(Post(receiver.url + WEBHOOK_PATH, {})))
        await asyncio.to_thread(receiver.wait_for, 1)
        (helper,) = helpers()
        seen = " ".join(helper.cmdline()), helper.environ(), open_files(helper)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return seen

    command, environment, targets = asyncio.run(look())
    assert "SECRET" not in command + str(environment)
    assert environment["HTTPS_PROXY"] == "http://proxy:3128"
    assert targets <= {"pipe", "socket", "/dev/null"}


def test_orders_print_no_secret() -> None:
    """What prints an order, in a traceback or a debugger's line, prints no address and no key."""
    orders: list[Order] = [Post("http://h/SECRET", {"routing_key": "SECRET"})]
    orders += [channel.check() for channel in apprise_channels(settings(ALERT_URLS="json://u:SECRET@h"))]
    assert "SECRET" not in repr(orders)


PROGRAM = """
import asyncio, json, sys
from supervisor import log
from supervisor.alerts.alerts import Alerts
from supervisor.settings import load
from tests.alerts.samples import BUSY, Looks

async def pause(hurry, seconds):
    pass

async def main():
    alerts = Alerts(load(json.loads(sys.argv[1])), "here", pause=pause)
    Looks(alerts).at(BUSY)
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    await alerts.stop()
    print(sorted(alerts.channel_problems.items()))

log.configure("debug", "json")
asyncio.run(main(), debug=True)
"""


@pytest.mark.parametrize("header", [b"", b"no header at all\r\n"])
def test_secrets_never_reach_the_log(receiver: Receiver, header: bytes) -> None:
    """Whatever goes wrong, at the lowest level of the log and with asyncio's debugging on, no secret is printed.

    A header that cannot be read is what urllib3 warns of with the URL.
    """
    receiver.behave = answer(500, 500, 500, 400, headers=header)
    values: dict[str, Any] = {
        "SLACK_WEBHOOK_URL": receiver.url + WEBHOOK_PATH,
        "PAGERDUTY_ROUTING_KEY": ROUTING_KEY,
        "PAGERDUTY_EVENTS_URL": f"{receiver.url}/v2/enqueue",
        "ALERT_URLS": f"json://user:{APPRISE_PASSWORD}@{receiver.address}/pathSECRET nosuchthing://SECRET",
    }
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(values)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)},
    )
    assert "alert.undelivered" in result.stderr
    assert "SECRET" not in result.stdout + result.stderr
