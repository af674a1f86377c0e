"""Counts what a connection says and is answered: the protocol of PostgreSQL, version 3, both directions.

Messages are told apart by their type and passed over by their length; only the statements' texts and the state of the
transaction are read. https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
_HEADER = 5
_LONGEST_TEXT = 200
FRONTEND = {
    b"Q": "query", b"P": "parse", b"B": "bind", b"E": "execute", b"S": "sync", b"D": "describe", b"C": "close",
    b"F": "call", b"H": "flush", b"X": "terminate", b"p": "password", b"d": "copy_data", b"c": "copy_done",
    b"f": "copy_fail",
}  # fmt: skip
"""What the types of a client's messages are called in the counts."""


@dataclass(slots=True)
class Counts:
    """What was counted, on one connection or on many.

    `statements` are those that the server completed, BEGIN, COMMIT and pings among them; a query of several statements
    is several. `transactions` are the times that it came to rest outside of one. `messages` are the client's, by name.
    """

    connections: int = 0
    statements: int = 0
    transactions: int = 0
    errors: int = 0
    notifications: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Add what another counted."""
        for name in ("connections", "statements", "transactions", "errors", "notifications"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.messages.update(other.messages)
        self.texts.update(other.texts)


class Frontend:
    """What a client sends. The first message has no type; a request for encryption may come before it."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._rest = b""
        self.started = False
        self.parameters: dict[str, str] = {}

    def feed(self, data: bytes) -> None:
        """Take the next bytes, wherever they were cut."""
        self._rest += data
        if not self.started and not self._start():
            return
        self._rest = _each(self._rest, self._message)

    def _start(self) -> bool:
        if len(self._rest) < 8:  # noqa: PLR2004 - length and code
            return False
        length, code = struct.unpack("!II", self._rest[:8])
        if len(self._rest) < length:
            return False
        body, self._rest = self._rest[8:length], self._rest[length:]
        if code in {SSL_REQUEST, GSS_REQUEST}:
            return self._start()
        self.started = True
        if code != CANCEL_REQUEST:
            self._counts.connections += 1
            words = body.rstrip(b"\0").decode(errors="replace").split("\0")
            self.parameters = dict(zip(words[::2], words[1::2], strict=False))
        return True

    def _message(self, kind: bytes, body: bytes) -> None:
        self._counts.messages[FRONTEND.get(kind, f"type {kind!r}")] += 1
        if kind == b"Q":
            self._counts.texts[_text(body)] += 1
        elif kind == b"P":
            _, _, rest = body.partition(b"\0")
            self._counts.texts[f"parse: {_text(rest)}"] += 1


class Backend:
    """What the server answers: completed statements, the state of the transaction, notifications."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._rest = b""
        self._pending = False
        """Something was done since the connection last rested outside of a transaction."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes, wherever they were cut."""
        self._rest = _each(self._rest + data, self._message)

    def _message(self, kind: bytes, body: bytes) -> None:
        counts = self._counts
        if kind in {b"C", b"I"}:  # CommandComplete; EmptyQueryResponse, which is how some drivers ping
            counts.statements += 1
            self._pending = True
        elif kind == b"E":
            counts.errors += 1
            self._pending = True
        elif kind == b"A":
            counts.notifications += 1
        elif kind == b"Z" and self._pending and body == b"I":
            counts.transactions += 1
            self._pending = False


def _each(data: bytes, take: Callable[[bytes, bytes], None]) -> bytes:
    """Take each whole message; return what is left of one that is not."""
    position = 0
    while len(data) - position >= _HEADER:
        (length,) = struct.unpack_from("!I", data, position + 1)
        end = position + 1 + length
        if len(data) < end:
            break
        take(data[position : position + 1], data[position + _HEADER : end])
        position = end
    return data[position:]


def _text(body: bytes) -> str:
    """Return the beginning of a statement, on one line."""
    text = body.partition(b"\0")[0].decode(errors="replace")
    words = " ".join(line for line in text.splitlines() if not line.startswith("--")).split()
    return " ".join(words)[:_LONGEST_TEXT]
