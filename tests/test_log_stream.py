"""What takes the log's lines: it never waits, never fails, never cuts a line, and leaves shared flags alone."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor import log_stream
from supervisor.log_stream import MOST_KEPT, LogStream
from tests.commands import environment
from tests.prepared import COMMAND

LINE = b"x" * 200 + b"\n"


@pytest.fixture(params=["opened again", "asked before each piece"])
def pipe(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Provide a pipe, once where it cannot be opened again."""
    if request.param != "opened again":
        monkeypatch.setattr(log_stream, "opened_again", lambda _: None)
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def told(count: int) -> bytes:
    """Return the line that says how many are missing."""
    return b"missing %d\n" % count


def read(reader: int) -> bytes:
    """Return what is in a pipe now."""
    os.set_blocking(reader, False)
    found = b""
    try:
        while data := os.read(reader, 1 << 16):
            found += data
    except BlockingIOError:
        pass
    return found


def test_lines_are_whole_kept_dropped_and_counted(pipe: tuple[int, int]) -> None:
    """A full pipe: no call waits; what was kept comes first, then how many are missing, then what follows."""
    reader, writer = pipe
    stream = LogStream(writer, told)
    before = LogStream.dropped
    sent = 2 * (MOST_KEPT // len(LINE))
    for _ in range(sent):
        stream.write(LINE)
    dropped = LogStream.dropped - before
    assert dropped > 0
    found = b""
    for number in range(100):
        found += read(reader)
        stream.write(b"after %d\n" % number)
    found += read(reader)
    lines = found.splitlines(keepends=True)
    assert lines.count(LINE) + sum(line.startswith(b"after") for line in lines) + dropped_in(lines) == sent + 100
    assert {line for line in lines if not line.startswith((b"after", b"missing"))} == {LINE}
    assert lines[-1] == b"after 99\n"
    assert not fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK
    stream.close()


def dropped_in(lines: list[bytes]) -> int:
    """Return how many lines are told to be missing."""
    return sum(int(line.split()[1]) for line in lines if line.startswith(b"missing"))


def test_a_line_longer_than_a_pipe_comes_whole(pipe: tuple[int, int]) -> None:
    """It is finished before the next one."""
    reader, writer = pipe
    stream = LogStream(writer, told)
    long = b"y" * 150_000 + b"\n"
    stream.write(long)
    stream.write(LINE)
    found = b""
    while not found.endswith(b"z\n"):
        found += read(reader)
        stream.write(b"z\n")
    assert found.startswith(long + LINE + b"z\n")
    stream.close()


def test_the_loop_writes_what_is_kept(pipe: tuple[int, int]) -> None:
    """As soon as there is room, with no further line."""
    reader, writer = pipe

    async def run() -> bytes:
        stream = LogStream(writer, told)
        stream.drain_on(asyncio.get_running_loop())
        for _ in range(1000):
            stream.write(LINE)
        found = b""
        async with asyncio.timeout(60):
            while found.count(LINE) < 1000:
                await asyncio.sleep(0)
                found += read(reader)
        stream.close()
        return found

    assert asyncio.run(run()) == LINE * 1000


def test_a_reader_that_is_gone_is_no_error() -> None:
    """Nor is a descriptor that is not open."""
    reader, writer = os.pipe()
    stream = LogStream(writer, told)
    os.close(reader)
    stream.write(LINE)
    stream.close()
    os.close(writer)
    closed = LogStream(writer, told)
    closed.write(LINE)
    closed.close()


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["migrate", "--sql"]], ids=" ".join)
def test_a_command_whose_reader_is_gone_ends_quietly(tmp_path: Path, arguments: list[str]) -> None:
    """As behind `| head`: nothing on standard error, no traceback of the interpreter's end."""
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [COMMAND, *arguments], env=environment(tmp_path), stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")


def test_a_command_whose_output_has_no_room_says_so(tmp_path: Path) -> None:
    """On a disk that is full: one line, exit 1."""
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [COMMAND, "migrate", "--sql"],
            env=environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr == b"the output could not be written: No space left on device\n"


@pytest.mark.parametrize("closed", ["2>&-", "1>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(tmp_path: Path, closed: str) -> None:
    """No file that is opened later gets their number, and nothing fails for it."""
    program = f'"{COMMAND}" run {closed}'
    result = subprocess.run(
        ["/bin/sh", "-c", program], env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
