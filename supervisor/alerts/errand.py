"""The helper process: carries out one order (standard input), answers (standard output), ends.

It is a process and no thread of the supervisor because only a process can be ended: a name server that does not answer, a
receiver that sends a byte every nine seconds and a plug-in of Apprise's that waits are all beyond a library's time-outs.
The kernel's alarm ends it at its time, even when the supervisor is gone. It also keeps the HTTP library and Apprise, 35 MB
and a second of imports, out of the supervisor, and with them whatever they would log: a URL is a secret here, and urllib3
for one logs it when a receiver sends a header it cannot read. Standard error is closed for the same reason.

The order comes by a pipe: a command line and an environment can be read by others.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import orjson
import requests

from supervisor.alerts.orders import Answer, Check, Notify, Order, Post, decode

if TYPE_CHECKING:
    from apprise import Apprise

_LATER = {408, 425, 429}
"""Statuses of the 400s that speak of the moment, not of the request."""


def main() -> None:
    """Do what standard input says."""
    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a plug-in of Apprise's prints is no answer
    order, seconds = decode(sys.stdin.buffer.read())
    if not isinstance(order, Post):
        # Before the clock runs: to import every plug-in takes a slow machine seconds.
        import apprise  # noqa: F401
    signal.setitimer(signal.ITIMER_REAL, seconds)
    answer = carry_out(order, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    with answers:
        answers.write(orjson.dumps(answer))


def carry_out(order: Order, seconds: float) -> Answer:
    """Do what the order says. Never raises for what a receiver or a setting does."""
    match order:
        case Post():
            return _post(order, seconds)
        case Notify():
            return _notify(order)
        case Check():
            return Answer(None if _service(order.url) else "is no URL that Apprise knows")


def _post(order: Post, seconds: float) -> Answer:
    try:
        # requests: Apprise brings it, and it knows what an operator's network needs (proxies and certificates from the
        # environment). No redirects: whoever is at the other end must not pass the message and the key in it on.
        with requests.post(
            order.url, json=order.content, timeout=seconds, allow_redirects=False, stream=True
        ) as response:
            return _judge(response)
    except requests.Timeout:
        return Answer(f"no answer within {seconds:g} s", again=True)
    except requests.exceptions.SSLError:
        return Answer("no TLS connection that can be trusted", again=True)
    except requests.ConnectionError as error:
        return Answer(_why(error), again=True)
    except (requests.RequestException, ValueError, OSError) as error:
        return Answer(f"could not be sent ({type(error).__name__})")


def _judge(response: requests.Response) -> Answer:
    status = response.status_code
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP
        return Answer()
    again = status >= 500 or status in _LATER  # noqa: PLR2004 - HTTP
    wait = response.headers.get("Retry-After", "")
    return Answer(f"answered {status}", again=again, after=float(wait) if wait.isascii() and wait.isdigit() else 0.0)


def _why(error: BaseException) -> str:
    """Say why there is no connection. The library's own text has the URL in it; the kernel's error is below it."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ConnectionRefusedError):
            return "connection refused"
        if isinstance(found, socket.gaierror):
            return "host name not found"
        found = found.__cause__ or found.__context__
    return "no connection"


def _notify(order: Notify) -> Answer:
    from apprise import NotifyType

    service = _service(order.url)
    if service is None:
        return Answer("is no URL that Apprise knows")
    told = service.notify(title=order.title, body=order.body, notify_type=NotifyType(order.kind))
    # Apprise says no more than that, and its log may name the receiver.
    return Answer() if told else Answer("not delivered, says Apprise", again=True)


def _service(url: str) -> Apprise | None:
    from apprise import Apprise, AppriseAsset

    manager = Apprise(asset=AppriseAsset(app_id="jobsupervisor"))
    return manager if manager.add([url]) else None


if __name__ == "__main__":
    main()
