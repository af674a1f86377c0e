# ruff: noqa: ARG001 - every function of a plug-in takes the same arguments
"""The pipes to the supervisor: floods, lies, halves, and silence."""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import time

from renderer import Output
from tests.hostile.plugins import Json, own_job, say, send

JOB_SOCKET = 3


def render(spec: Json, config: Json, out: Output) -> None:
    """Do what `do` names."""
    globals()[spec["do"]](spec, out)


def flood_log(spec: Json, out: Output) -> None:
    """Write 64 MB to standard output and error, then the artifact."""
    for _ in range(64):
        os.write(1, b"\0\xff\x1b[2J" * (1 << 16))
        os.write(2, b"e" * (1 << 19))
    out.content_type = "text/plain"
    out.write(b"dry again")


def flood_log_and_die(spec: Json, out: Output) -> None:
    """Write what no terminal takes, without an end of line, and die."""
    os.write(2, b"\0\xff\x1b[2J\x80" * (1 << 16))
    os._exit(1)


def flood_progress(spec: Json, out: Output) -> None:
    """Tell of progress, true in form, as fast as it goes."""
    frame = json.dumps(own_job() | {"type": "progress", "progress": 0.5}).encode()
    frames = (struct.pack(">I", len(frame)) + frame) * 500
    for _ in range(100):
        left = frames
        while left:
            left = left[os.write(JOB_SOCKET, left) :]
    out.content_type = "text/plain"
    out.write(b"told")


def raw(spec: Json, out: Output) -> None:
    """Write the bytes `hex`, and wait."""
    os.write(JOB_SOCKET, bytes.fromhex(spec["hex"]))
    time.sleep(1e6)


def frame(spec: Json, out: Output) -> None:
    """Send a frame of the text `body`, and wait."""
    send(spec["body"].encode())
    time.sleep(1e6)


def nested(spec: Json, out: Output) -> None:
    """Send a frame that is nested too deep for whoever reads it."""
    send(b'{"type":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    time.sleep(1e6)


def nested_within(spec: Json, out: Output) -> None:
    """Answer with a field that nobody can print, and wait."""
    told = own_job() | {"type": "done", "outcome": "render_error", spec["name"]: "?"}
    send(json.dumps(told).encode().replace(b'"?"', b"[" * 1015 + b"]" * 1015))
    time.sleep(1e6)


def message(spec: Json, out: Output) -> None:
    """Send a message about its own job: `message`; then wait."""
    out.write(b"forged")
    out.flush()
    say(**spec["message"])
    time.sleep(1e6)


def boast(spec: Json, out: Output) -> None:
    """Answer, with claims about what it used."""
    out.write(b"boasted")
    out.flush()
    claims = {"cpu_seconds": 9e8, "peak_memory_bytes": 1 << 49}
    say(type="done", outcome="ok", content_type="text/plain", **claims)
    time.sleep(1e6)


def tiny(spec: Json, out: Output) -> None:
    """Tell of progress in range that no `real` can hold."""
    for fraction in (1e-50, 5e-324):
        say(type="progress", progress=fraction)
    out.content_type = "text/plain"
    out.write(b"tiny")


def numbers(spec: Json, out: Output) -> None:
    """Answer with numbers that are true, tiny, or of a wrong type; then wait."""
    out.write(b"numbers")
    out.flush()
    claims = {"cpu_seconds": 5e-324, "peak_memory_bytes": True, "exit_signal": 1e300, "progress": -1}
    say(type="done", outcome="ok", content_type="text/plain", **claims)
    time.sleep(1e6)


def not_a_number(spec: Json, out: Output) -> None:
    """Tell of progress that is no number."""
    out.progress(math.nan)
    send(json.dumps(own_job()).encode()[:-1] + b', "type": "progress", "progress": 1e999}')
    time.sleep(1e6)


def half_and_die(spec: Json, out: Output) -> None:
    """Send half of an answer, and end."""
    send(b'{"type": "done"', length=200)
    os._exit(0)


def half_and_wait(spec: Json, out: Output) -> None:
    """Send half of an answer, and wait."""
    send(b'{"type": "done"', length=200)
    time.sleep(1e6)


def drip(spec: Json, out: Output) -> None:
    """Send a frame byte by byte that never ends."""
    os.write(JOB_SOCKET, struct.pack(">I", 200_000))
    while True:
        os.write(JOB_SOCKET, b" ")
        time.sleep(0.01)


def close_all(spec: Json, out: Output) -> None:
    """Close everything and run on."""
    os.closerange(0, 64)
    time.sleep(1e6)


def hang_up(spec: Json, out: Output) -> None:
    """Close one direction of the job socket and run on."""
    with socket.socket(fileno=os.dup(JOB_SOCKET)) as sock:
        sock.shutdown(socket.SHUT_WR)
    time.sleep(1e6)


def pass_descriptors(spec: Json, out: Output) -> None:
    """Send the supervisor descriptors that it did not ask for, beside good frames."""
    body = json.dumps(own_job() | {"type": "progress", "progress": 0.5}).encode()
    with socket.socket(fileno=os.dup(JOB_SOCKET)) as sock:
        for _ in range(20):
            socket.send_fds(sock, [struct.pack(">I", len(body)) + body], [0, 1, 2, JOB_SOCKET, out.fileno()])
    out.write(b"passed")


def out_of_band(spec: Json, out: Output) -> None:
    """Send bytes beside the stream, which a reader is woken for and does not get; then wait."""
    with socket.socket(fileno=os.dup(JOB_SOCKET)) as sock:
        sock.send(b"!", socket.MSG_OOB)
    time.sleep(1e6)


def content_type(spec: Json, out: Output) -> None:
    """Write, with the content type `text`, `times` over."""
    out.write(b"x")
    out.content_type = spec["text"] * spec.get("times", 1)
