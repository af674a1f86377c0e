"""What the helper process can be told to do. Addresses are secrets: they are not part of what prints an order."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Post:
    """Send JSON to an address."""

    url: str = field(repr=False)
    content: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notify:
    """Send a notification by Apprise; `kind` is one of Apprise's: failure, warning, success."""

    url: str = field(repr=False)
    title: str
    body: str
    kind: str


@dataclass(frozen=True, slots=True)
class Check:
    """Say whether Apprise can make something of a URL, and send nothing."""

    url: str = field(repr=False)


Order = Post | Notify | Check


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an order. `problem` is made of our own words only: what was sent, and what came back, stay out of it."""

    problem: str | None = None
    again: bool = False
    """Whether it may work later."""
    after: float = 0.0
    """Seconds for which the receiver asked not to be called."""


def encode(order: Order, seconds: float) -> bytes:
    """Return an order, to be done within a time, as the helper reads it."""
    return orjson.dumps({"do": type(order).__name__, "seconds": seconds, "with": asdict(order)})


def decode(data: bytes) -> tuple[Order, float]:
    """Return the order and its time."""
    read = orjson.loads(data)
    makers: dict[str, type[Order]] = {kind.__name__: kind for kind in (Post, Notify, Check)}
    return makers[read["do"]](**read["with"]), read["seconds"]
