"""What a client asks for, and how enqueue_render is told."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import datetime, timedelta
from typing import Any, TypedDict

from supervisor.store.refused import Refused


class RenderOptions(TypedDict, total=False):
    """The parameters of enqueue_render that may be left out, by name."""

    idempotency_key: str | None
    priority: int
    run_at: datetime | None
    max_attempts: int | None
    timeout: timedelta | float | None
    memory_mb: int | None
    user_id: str | None
    correlation_id: str | None


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One job to be enqueued.

    `spec` and `config` are what JSON can hold. `run_at` has a time zone. `timeout` is a timedelta or a number of
    seconds. What is left out is the operator's default.
    """

    kind: str
    spec: Mapping[str, Any]
    config: Mapping[str, Any] | None = None
    idempotency_key: str | None = None
    priority: int = 0
    run_at: datetime | None = None
    max_attempts: int | None = None
    timeout: timedelta | float | None = None
    memory_mb: int | None = None
    user_id: str | None = None
    correlation_id: str | None = None


# Made once: json.dumps makes one for each call.
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_NAMES = tuple(field.name for field in fields(RenderRequest))


def parameters(request: RenderRequest) -> dict[str, Any]:
    """Return the parameters of one request, by name. Raises Refused for what cannot be sent."""
    values = {name: getattr(request, name) for name in _NAMES}
    return values | {name: convert(values[name]) for name, convert in _CONVERTED.items()}


# What enqueue_renders takes a null for, where it is so for all.
_DEFAULTS = {field.name: field.default for field in fields(RenderRequest) if field.default is not MISSING}
_all_of = operator.attrgetter(*_NAMES)


def columns(requests: Sequence[RenderRequest]) -> dict[str, list[Any] | None]:
    """Return the parameters of many requests: a list for each name, None where all of it is the default.

    Raises Refused, saying which request is wrong.
    """
    # By column, not by request: this is what a client spends on many.
    lists: dict[str, list[Any] | None] = {}
    for name, values in zip(_NAMES, map(list, zip(*map(_all_of, requests), strict=True)), strict=True):
        if name in _DEFAULTS and values.count(_DEFAULTS[name]) == len(values):
            lists[name] = None
        elif name in _CONVERTED:
            lists[name] = _convert(_CONVERTED[name], values)
        else:
            lists[name] = values
    return lists


def _convert(convert: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    converted: list[Any] = []
    try:
        for value in values:
            converted.append(convert(value))  # noqa: PERF401 - how far it came is told of the one that is refused
    except Refused as refused:
        raise Refused(f"requests[{len(converted)}].{refused.message}", hint=refused.hint) from refused.__cause__
    return converted


def _json(name: str, value: object) -> str:
    """Return a value as JSON. Infinity and NaN are refused: JSON has no word for them, and null is another value."""
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused(
            f"{name} must be what JSON can hold: {error}",
            hint="Pass dicts with text keys, lists, text, finite numbers, booleans and None.",
        ) from error


def _moment(run_at: datetime | None) -> datetime | None:
    """Return `run_at` as it is, if it says which moment it is: without a zone the server would take its own."""
    if run_at is None:
        return None
    if not isinstance(run_at, datetime):
        raise Refused(f"run_at must be a datetime, got {run_at!r}", hint="datetime.fromisoformat reads text.")
    if run_at.tzinfo is None:
        raise Refused(
            f"run_at must have a time zone, got {run_at.isoformat()}",
            hint="datetime.now(UTC) + timedelta(minutes=5) has one.",
        )
    return run_at


def _seconds(timeout: timedelta | float | None) -> float | None:
    if timeout is None:
        return None
    try:
        return timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    except (TypeError, ValueError, OverflowError):
        raise Refused(f"timeout must be a timedelta or a number of seconds, got {timeout!r}") from None


_CONVERTED: dict[str, Callable[[Any], Any]] = {
    "spec": lambda spec: _json("spec", spec),
    "config": lambda config: "{}" if config is None else _json("config", config),
    "run_at": _moment,
    "timeout": _seconds,
}
