"""Log lines as systemd's journal takes them."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.journal import JournalLogger, datagram


def fields(data: bytes) -> dict[str, str]:
    """Read a datagram, as the journal would."""
    found = {}
    while data:
        name, _, rest = data.partition(b"\n")
        if b"=" in name:
            name, _, value = name.partition(b"=")
        else:
            (size,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
        found[name.decode()] = value.decode()
        data = rest
    return found


def test_values_are_fields() -> None:
    """Each value is a field in capitals, as text or JSON; what is None is none; the message is for people."""
    event = {
        "timestamp": "t",
        "level": "warning",
        "event": "job.retried",
        "job_id": "j-1",
        "attempt": 2,
        "user_id": None,
    }
    assert fields(datagram(event | {"error": 'out of "memory"', "layers": {"a": "b"}})) == {
        "MESSAGE": 'job.retried job_id=j-1 attempt=2 error="out of \\"memory\\"" layers="{\\"a\\":\\"b\\"}"',
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "jobsupervisor",
        "EVENT": "job.retried",
        "JOB_ID": "j-1",
        "ATTEMPT": "2",
        "ERROR": 'out of "memory"',
        "LAYERS": '{"a":"b"}',
    }


def test_lines_within_a_value_cannot_be_fields() -> None:
    """A value with line breaks, which a stranger may have written, is one value and makes no other field."""
    found = fields(
        datagram({"level": "error", "event": "x", "error": "one\nPRIORITY=0\n", "exception": "Traceback\n  y"})
    )
    assert found["ERROR"] == "one\nPRIORITY=0\n"
    assert found["PRIORITY"] == "3"
    assert found["MESSAGE"].endswith("\nTraceback\n  y")


def test_names_are_the_journals() -> None:
    """A name is made one that the journal takes, and not one that it, or we, give another meaning."""
    found = fields(datagram({"event": "x", "_pid": 1, "message": "m", "a-b": 2, "9x": 3, "ü": 4, "priority": 5}))
    assert (
        found | {"PID": "1", "FIELD_MESSAGE": "m", "A_B": "2", "X": "3", "FIELD": "4", "FIELD_PRIORITY": "5"} == found
    )
    assert found["PRIORITY"] == "6"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    """Provide a journal."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "journal"))
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        yield sock


def test_a_journal_that_takes_nothing_holds_nobody_up(journal: socket.socket, tmp_path: Path) -> None:
    """Lines that it has no room for are dropped; when there is room the next line says how many, once."""
    logger = JournalLogger(lambda _: None, str(tmp_path / "journal"))
    sent = 5000  # more than any queue of datagrams holds
    for number in range(sent):
        logger.msg({"event": "x", "number": number})
    received = []
    while True:
        try:
            received.append(fields(journal.recv(65536)))
        except BlockingIOError:
            break
    assert 0 < len(received) < sent
    logger.msg({"event": "y"})
    assert int(fields(journal.recv(65536))["LINES_LOST"]) == sent - len(received)
    logger.msg({"event": "z"})
    assert "LINES_LOST" not in fields(journal.recv(65536))
    logger.close()


def test_what_cannot_be_sent_goes_to_standard_error(tmp_path: Path) -> None:
    """Without a journal, and for a line that is too long for it, there is a line of JSON."""
    program = """if True:
        import sys, structlog
        from supervisor import journal, log
        journal._ADDRESS = sys.argv[1]
        log.configure("info", "journal")
        structlog.get_logger().info("x", n=1)
    """
    command = [sys.executable, "-c", program, str(tmp_path / "nobody")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(result.stderr).items() >= {"event": "x", "n": 1}.items()


PROGRAM = """
import os, sys
found = os.fstat(2)
if sys.argv[1] == "ours":
    os.environ["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino}"
import structlog
from supervisor import journal, log
journal._ADDRESS = sys.argv[2]
log.configure("info", "auto")
structlog.get_logger().info("thing.happened", job_id="j")
log.configure("error", "auto")
structlog.get_logger().info("thing.hidden")
"""


@pytest.mark.parametrize("stream", ["ours", "another"])
def test_it_is_chosen_where_standard_error_leads_there(journal: socket.socket, tmp_path: Path, stream: str) -> None:
    """`auto` sends fields when the service manager says that standard error is the journal's, and JSON elsewhere."""
    command = [sys.executable, "-c", PROGRAM, stream, str(tmp_path / "journal")]
    environment = {**os.environ, "JOURNAL_STREAM": "1:1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    if stream == "ours":
        assert result.stderr == ""
        assert fields(journal.recv(65536))["JOB_ID"] == "j"
        with pytest.raises(BlockingIOError):
            journal.recv(65536)
    else:
        assert json.loads(result.stderr)["job_id"] == "j"
