"""Starts the helper process for one order, and sees to it that it ends.

What it costs the supervisor's loop is the start of a process, a few milliseconds, and nothing while the receiver takes its
time. asyncio's executor, in which artifacts are published, is not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process

import orjson

from supervisor.alerts.orders import Answer, Order, encode

SECONDS = 10.0
"""How long one try may take, from when the helper is ready to send."""

_START_SECONDS = 60.0
"""How long the helper may take to start: an interpreter and its imports, on a machine that has no processor to spare."""

# What an operator's network may need, and no more: neither DATABASE_URL nor a key.
_ENVIRONMENT = {
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
}

# With -P nothing of the working directory is importable there, unless this process can import it. Its own entries go first.
_BOOTSTRAP = """
import json, os, sys
os.nice(10)  # alerts come when the machine is busy with jobs: they go first
sys.path += [entry for entry in json.loads(sys.argv[1]) if entry not in sys.path]
from supervisor.alerts.errand import main
main()
"""


async def send(order: Order, seconds: float = SECONDS) -> Answer:
    """Have an order carried out. Leaves no process behind, when it is cancelled either."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _BOOTSTRAP, json.dumps([entry for entry in sys.path if entry])),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT},
            # Ctrl-C is the supervisor's to act on: it may have an alert to end.
            start_new_session=True,
        )
    except OSError as error:
        return Answer(f"no process for it: {error.strerror}", again=True)
    try:
        async with asyncio.timeout(_START_SECONDS + seconds):
            said, _ = await process.communicate(encode(order, seconds))
    except TimeoutError:
        return Answer("the helper process did not end", again=True)
    finally:
        await _end(process)
    return _answer(process, said, seconds)


async def _end(process: Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _answer(process: Process, said: bytes, seconds: float) -> Answer:
    if process.returncode == 0:
        with contextlib.suppress(ValueError, TypeError):
            return Answer(**orjson.loads(said))
    if process.returncode == -signal.SIGALRM:
        return Answer(f"no answer within {seconds:g} s", again=True)
    return Answer(f"the helper process ended with {process.returncode}", again=True)
