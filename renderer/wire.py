"""The format of the pipes: a frame is a length (4 bytes, big-endian) and so many bytes of JSON.

The same frames run between the supervisor and its fork server and between the supervisor and each child, over stream
sockets. Descriptors travel beside the first byte of a frame (SCM_RIGHTS, unix(7)).

Neither end trusts the other's length: each reads frames up to its own limit, and a longer one is an error before a byte
of it is stored.
"""

from __future__ import annotations

import array
import collections
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import orjson

HEADER = struct.Struct(">I")
MAX_JOB_FRAME = 128 * 1024 * 1024
"""A job: the largest spec that the queue takes, as JSON text, with room."""
MAX_REPLY_FRAME = 256 * 1024
"""What a child may say at once. Its artifact does not come this way."""
MAX_BOOT_FRAME = 16 * 1024 * 1024
"""The fork server's report, with the JSON Schema of each kind."""
MAX_DESCRIPTORS = 16
"""That go beside one piece of a stream, which may hold many frames."""
SHORT_OF_MEMORY = frozenset({errno.ENOBUFS, errno.ENOMEM})
"""Errors of a send or a receive that say nothing of who is at the other end, and pass."""

_ROOM_FOR_DESCRIPTORS = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
_CHUNK = 256 * 1024


class WireError(Exception):
    """The other end broke the format: a frame too long, bytes that are no JSON object, an end in mid-frame."""


def encode(message: dict[str, Any]) -> bytes:
    """Return the frame of a message."""
    body = orjson.dumps(message)
    return HEADER.pack(len(body)) + body


def decode(body: bytes | bytearray | memoryview) -> dict[str, Any]:
    """Return the message of a frame's body. Raises WireError unless it is a JSON object."""
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WireError(f"a frame must be JSON: {error}") from None
    if not isinstance(message, dict):
        raise WireError(f"a frame must be a JSON object, got {type(message).__name__}")
    return message


def encode_job(head: dict[str, Any], spec: str, config: str) -> bytes:
    """Return the frame of a job: three lines, head, spec and config.

    The spec stays the text that the database gave: it is parsed once, in the child, and one that cannot be parsed there
    (nested too deep) spoils neither the frame nor the supervisor. JSON text has no line break outside of its layout,
    and the database writes none.
    """
    body = b"\n".join((orjson.dumps(head), spec.encode(), config.encode()))
    return HEADER.pack(len(body)) + body


def decode_job(body: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """Return head, spec and config of a job's frame, the latter two as JSON text. Raises WireError."""
    parts = body.split(b"\n")
    if len(parts) != 3:  # noqa: PLR2004 - as `encode_job` joins them
        raise WireError(f"a job must be 3 lines, got {len(parts)}")
    return decode(parts[0]), parts[1], parts[2]


def send(sock: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one frame on a blocking socket, with descriptors beside its first byte."""
    frame = memoryview(encode(message))
    if rest := frame[send_start(sock, frame, descriptors) :]:
        # Not for no bytes: a send of none still fails where the other end has read all and closed.
        sock.sendall(rest)


def send_start(sock: socket.socket, frame: memoryview, descriptors: Sequence[int]) -> int:
    """Send the start of a frame, with descriptors beside its first byte; return how many bytes went."""
    return socket.send_fds(sock, [frame], list(descriptors)) if descriptors else sock.send(frame)


def receive(sock: socket.socket, limit: int) -> tuple[dict[str, Any], list[int]] | None:
    """Read one message from a blocking socket; None when the other end closed it between frames.

    Raises WireError. The descriptors belong to the caller.
    """
    header, descriptors, _ = _receive_some(sock, HEADER.size)
    if not header:
        return None
    header += _receive_exactly(sock, HEADER.size - len(header))
    (length,) = HEADER.unpack(header)
    if length > limit:
        raise WireError(f"a frame must be at most {limit} bytes, got {length}")
    return decode(_receive_exactly(sock, length)), descriptors


def _receive_some(sock: socket.socket, most: int) -> tuple[bytes, list[int], bool]:
    """Read up to so many bytes, and the descriptors that came beside them; say whether some of these were lost."""
    data, ancillary, flags, _ = sock.recvmsg(most, _ROOM_FOR_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    lost = bool(flags & socket.MSG_CTRUNC)
    if not ancillary:
        return data, [], lost
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    return data, descriptors.tolist(), lost


def _receive_exactly(sock: socket.socket, count: int) -> bytes:
    """Read so many bytes. Raises WireError when the other end closes before."""
    buffer = bytearray(count)
    view = memoryview(buffer)
    done = 0
    while done < count:
        got = sock.recv_into(view[done:])
        if not got:
            raise WireError(f"a frame ended after {done} of {count} bytes")
        done += got
    return bytes(buffer)


def _cut(buffer: bytearray, limit: int) -> bytes | None:
    """Take the body of the first frame out of what was read; None while it is not whole. Raises WireError."""
    if len(buffer) < HEADER.size:
        return None
    (length,) = HEADER.unpack_from(buffer)
    if length > limit:
        raise WireError(f"a frame must be at most {limit} bytes, got {length}")
    end = HEADER.size + length
    if len(buffer) < end:
        return None
    with memoryview(buffer) as view:
        body = bytes(view[HEADER.size : end])
    del buffer[:end]
    return body


class DescriptorLost(Exception):  # noqa: N818 - reads as the state it is
    """A job came without its descriptor: this process had no number left to give it (MSG_CTRUNC, recvmsg(2))."""

    def __init__(self, head: dict[str, Any]) -> None:
        super().__init__("a job came without its descriptor: this process may have no more of them")
        self.head = head


class JobReader:
    """Reads jobs from a blocking socket, as many in one call as have come. `on_wait` is called before it waits for more."""

    def __init__(self, sock: socket.socket, on_wait: Callable[[], None] = lambda: None) -> None:
        self._sock = sock
        self._on_wait = on_wait
        self._buffer = bytearray()
        self._descriptors: collections.deque[int] = collections.deque()
        self._lost = False

    def next(self) -> tuple[dict[str, Any], bytes, bytes, int | None] | None:
        """Return head, spec, config and descriptor of the next job; None when the other end closed the socket.

        The descriptor belongs to the caller; there is none for a job that writes nothing. Raises WireError, and DescriptorLost
        for a job whose descriptor did not come: those that come after it are not to be told apart, and lost as well.
        """
        while (body := _cut(self._buffer, MAX_JOB_FRAME)) is None:
            self._on_wait()
            data, descriptors, lost = _receive_some(self._sock, _CHUNK)
            if self._lost:
                # These belong to later jobs than the one whose own was lost, which must not write to another's file.
                close_all(descriptors)
            else:
                self._descriptors.extend(descriptors)
            self._lost = self._lost or lost
            if not data:
                if self._buffer:
                    raise WireError(f"the stream ended {len(self._buffer)} bytes into a frame")
                return None
            self._buffer += data
        head, spec, config = decode_job(body)
        if not head["writes"]:
            return head, spec, config, None
        if not self._descriptors:
            raise DescriptorLost(head)
        return head, spec, config, self._descriptors.popleft()


class FrameReader:
    """Cuts a stream into frames, for an end that must not block. Feed it what was read, iterate what is complete."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Yield the messages that are complete with these bytes. Raises WireError."""
        self._buffer += data
        while (body := _cut(self._buffer, self._limit)) is not None:
            yield decode(body)

    @property
    def partial(self) -> bool:
        """Whether the stream stands in the middle of a frame."""
        return bool(self._buffer)


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors that were received and are not wanted."""
    for descriptor in descriptors:
        os.close(descriptor)
