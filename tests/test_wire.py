"""The format of the pipes: what one end sends the other reads, however it is cut; what breaks the format is refused."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderer import wire
from renderer.wire import FrameReader, WireError

MESSAGES = st.dictionaries(
    st.text(max_size=8),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=40) | st.lists(st.text(max_size=5)),
    max_size=5,
)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Provide the two ends of a stream socket, as a child and its supervisor have them."""
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def frame(body: bytes, length: int | None = None) -> bytes:
    """Return a frame of any bytes, with a header that may lie."""
    return wire.HEADER.pack(len(body) if length is None else length) + body


def test_the_format_itself() -> None:
    """A frame is four bytes of length, most significant first, and JSON: what another program would have to write."""
    assert wire.encode({"a": 1}) == b'\x00\x00\x00\x07{"a":1}'


@given(MESSAGES)
def test_a_message_survives_the_way(message: dict[str, object]) -> None:
    """What is encoded is decoded to the same, whatever characters it holds."""
    encoded = wire.encode(message)
    assert wire.decode(encoded[wire.HEADER.size :]) == message


def test_a_frame_cut_at_every_byte() -> None:
    """A reader that gets a frame in any two pieces yields it once, with the second piece, and is then between frames."""
    message = {"type": "done", "text": "Grüße 🎬"}
    encoded = wire.encode(message)
    for cut in range(1, len(encoded)):
        reader = FrameReader(1000)
        assert list(reader.feed(encoded[:cut])) == []
        assert reader.partial
        assert list(reader.feed(encoded[cut:])) == [message]
        assert not reader.partial


@given(st.lists(MESSAGES, max_size=6), st.data())
def test_any_chunks_yield_the_same_messages(messages: list[dict[str, object]], data: st.DataObject) -> None:
    """However a stream is cut into chunks, empty ones among them, the same messages come out in the same order."""
    stream = b"".join(wire.encode(message) for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader = FrameReader(100_000)
    read = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        read += list(reader.feed(stream[start:end]))
    assert read == messages
    assert not reader.partial


@given(st.binary(max_size=200))
def test_garbage_is_a_wire_error_or_nothing(garbage: bytes) -> None:
    """Bytes of a stranger never raise anything but WireError, and only objects come out."""
    reader = FrameReader(50)
    with contextlib.suppress(WireError):
        assert all(type(message) is dict for message in reader.feed(garbage))


def test_a_long_frame_is_refused_at_its_header() -> None:
    """The length alone is enough to refuse a frame: not a byte of its body has to arrive. The limit itself is allowed."""
    body = b'{"a":"%s"}' % (b"x" * 92)
    assert len(list(FrameReader(len(body)).feed(frame(body)))) == 1
    with pytest.raises(WireError, match=f"at most {len(body)} bytes, got {len(body) + 1}"):
        list(FrameReader(len(body)).feed(frame(b"", length=len(body) + 1)))
    with pytest.raises(WireError, match="got 4294967295"):
        list(FrameReader(1000).feed(b"\xff\xff\xff\xff"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "must be JSON"),
        (b"{", "must be JSON"),
        (b'{"a": "\xff"}', "must be JSON"),
        (b"[" * 5000, "must be JSON"),
        (b"[]", "must be a JSON object, got list"),
        (b"null", "must be a JSON object, got NoneType"),
        (b"7", "must be a JSON object, got int"),
    ],
)
def test_what_is_no_object_is_refused(ends: tuple[socket.socket, socket.socket], body: bytes, reason: str) -> None:
    """Both readers refuse a body that is no JSON object, and say what it was."""
    with pytest.raises(WireError, match=reason):
        list(FrameReader(10_000).feed(frame(body)))
    ends[0].sendall(frame(body))
    with pytest.raises(WireError, match=reason):
        wire.receive(ends[1], 10_000)


def test_messages_before_a_broken_frame_count() -> None:
    """A message that was whole is handed out although garbage follows it in the same bytes."""
    stream = FrameReader(100).feed(wire.encode({"type": "done"}) + b"\xff\xff\xff\xff")
    assert next(stream) == {"type": "done"}
    with pytest.raises(WireError):
        next(stream)


def test_a_blocking_end_reads_what_was_sent(ends: tuple[socket.socket, socket.socket]) -> None:
    """Messages arrive in order, one at a time, and the end of the stream between two of them is None."""
    wire.send(ends[0], {"number": 1})
    wire.send(ends[0], {"number": 2})
    ends[0].close()
    assert wire.receive(ends[1], 100) == ({"number": 1}, [])
    assert wire.receive(ends[1], 100) == ({"number": 2}, [])
    assert wire.receive(ends[1], 100) is None


def test_a_frame_larger_than_the_socket_holds(ends: tuple[socket.socket, socket.socket]) -> None:
    """A frame of megabytes passes a socket that takes it in many pieces, and its descriptor comes once."""
    message = {"spec": "x" * 5_000_000}
    reader, writer = os.pipe()
    sender = threading.Thread(target=wire.send, args=(ends[0], message, [writer]))
    sender.start()
    try:
        received = wire.receive(ends[1], wire.MAX_JOB_FRAME)
        assert received is not None
        assert received[0] == message
        assert len(received[1]) == 1
        wire.close_all(received[1])
    finally:
        ends[1].close()  # what is left unread must not keep the sender
        sender.join()
        wire.close_all([reader, writer])


def test_the_other_end_may_close_once_it_has_read() -> None:
    """What is sent is sent: whoever reads it and goes at once makes it no error, though the sender is not back yet."""
    for _ in range(300):
        left, right = socket.socketpair()

        def read_and_go(end: socket.socket = right) -> None:
            with end:
                wire.receive(end, 1000)

        reader = threading.Thread(target=read_and_go)
        with left:
            reader.start()
            wire.send(left, {"a": 1})
            reader.join()


def test_descriptors_arrive_with_their_frame(ends: tuple[socket.socket, socket.socket]) -> None:
    """Of two frames under way, each brings its own descriptors: the same open files, close-on-exec."""
    first, second = os.pipe(), os.pipe()
    wire.send(ends[0], {"number": 1}, [first[1]])
    wire.send(ends[0], {"number": 2})
    wire.send(ends[0], {"number": 3}, [second[1], first[0]])
    got = [received for _ in range(3) if (received := wire.receive(ends[1], 100)) is not None]
    assert [len(descriptors) for _, descriptors in got] == [1, 0, 2]
    os.write(got[0][1][0], b"through the first")
    os.write(got[2][1][0], b"through the second")
    assert os.read(first[0], 100) == b"through the first"
    assert os.read(second[0], 100) == b"through the second"
    assert os.path.sameopenfile(got[2][1][1], first[0])
    for _, descriptors in got:
        assert not any(os.get_inheritable(descriptor) for descriptor in descriptors)
        wire.close_all(descriptors)
    wire.close_all([*first, *second])


def test_every_end_in_mid_frame_is_noticed() -> None:
    """A stream that ends after any byte of a frame but the last is an error, in the header as in the body."""
    encoded = wire.encode({"type": "done"})
    for cut in range(1, len(encoded)):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(encoded[:cut])
            theirs.close()
            with pytest.raises(WireError, match="a frame ended after"):
                wire.receive(ours, 100)


def test_a_blocking_end_refuses_a_long_frame(ends: tuple[socket.socket, socket.socket]) -> None:
    """The length is checked before the body is waited for: nothing follows here, and nothing blocks."""
    ends[0].sendall(wire.HEADER.pack(2**32 - 1))
    with pytest.raises(WireError, match="at most 100 bytes, got 4294967295"):
        wire.receive(ends[1], 100)


def test_a_job_is_three_lines(ends: tuple[socket.socket, socket.socket]) -> None:
    """Head, spec and config arrive as they were given, the texts byte for byte, a spec that is no JSON among them."""
    spec, config = '{"text": "a\\nb — ü", "n": 1.0}', "{}"
    head = {"id": "j1", "attempt": 2, "writes": False}
    ends[0].sendall(wire.encode_job(head, spec, config))
    assert wire.JobReader(ends[1]).next() == (head, spec.encode(), b"{}", None)
    deep = "[" * 5000
    assert wire.decode_job(wire.encode_job({}, deep, config)[wire.HEADER.size :])[1] == deep.encode()


def test_jobs_that_come_together_are_read_apart(ends: tuple[socket.socket, socket.socket]) -> None:
    """Several in one piece and one in several: each with its own descriptor, or none."""
    frames = [wire.encode_job({"id": number, "writes": number != 2}, "{}", "{}") for number in (1, 2, 3)]
    pipes = [os.pipe() for _ in range(2)]
    wire.send_start(ends[0], memoryview(b"".join(frames))[:-5], [writer for _, writer in pipes])
    jobs = wire.JobReader(ends[1])
    first, second = jobs.next(), jobs.next()
    ends[0].sendall(frames[-1][-5:])
    third = jobs.next()
    assert first is not None
    assert second is not None
    assert third is not None
    assert [job[0]["id"] for job in (first, second, third)] == [1, 2, 3]
    assert second[3] is None
    for job, (reader, writer) in zip((first, third), pipes, strict=True):
        assert job[3] is not None
        assert os.path.sameopenfile(job[3], writer)
        wire.close_all([job[3], reader, writer])
    ends[0].close()
    assert jobs.next() is None


def test_a_stream_of_jobs_that_ends_in_mid_frame(ends: tuple[socket.socket, socket.socket]) -> None:
    """It is an error, not the end of the work; and so is a frame that says it is longer than any job."""
    ends[0].sendall(wire.encode_job({"writes": False}, "{}", "{}")[:-1])
    ends[0].close()
    with pytest.raises(WireError, match="into a frame"):
        wire.JobReader(ends[1]).next()
    near, far = socket.socketpair()
    with near, far:
        near.sendall(wire.HEADER.pack(2**32 - 1))
        with pytest.raises(WireError, match="at most"):
            wire.JobReader(far).next()


@pytest.mark.parametrize("body", [b"", b"{}\n{}", b"{}\n{}\n{}\n{}", b"[]\n{}\n{}", b"{\n{}\n{}"])
def test_a_job_that_is_not_three_lines_is_refused(body: bytes) -> None:
    """Fewer lines, more, or a head that is no object: a WireError."""
    with pytest.raises(WireError):
        wire.decode_job(body)


def test_a_job_whose_descriptor_is_lost_gets_no_other() -> None:
    """Two pieces of jobs, and room for one descriptor of the first: the second job must not write where the third is to."""
    near, far = socket.socketpair()
    head = {"id": "j", "writes": True}
    frames = [wire.encode_job(head | {"id": name}, "{}", "{}") for name in ("a", "b", "c")]
    first = frames[0] + frames[1]
    with near, far, tempfile.TemporaryFile() as file:
        # Cut within the second frame, so that the rest comes in one with the next piece's descriptor.
        socket.send_fds(near, [first[:-5]], [file.fileno()] * 2)
        near.send(first[-5:])
        socket.send_fds(near, [frames[2]], [file.fileno()])
        reader = wire.JobReader(far)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = {int(path.name) for path in Path("/proc/self/fd").iterdir()}
        # The look itself took the lowest number, which is free again: the only one.
        free = min(set(range(len(taken) + 1)) - taken)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            received = reader.next()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert received is not None
        assert received[0]["id"] == "a"
        assert received[3] is not None
        os.close(received[3])
        with pytest.raises(wire.DescriptorLost) as lost:
            reader.next()
        assert lost.value.head["id"] == "b"
