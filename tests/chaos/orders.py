"""What is enqueued, and what may become of it: honest jobs and hostile ones, drawn from a seeded list."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from renderer.outcome import Outcome

Json = dict[str, Any]

_HOSTILE: dict[str, tuple[Json, Json, Outcome]] = {
    "heap": ({"mb": 200}, {"memory_mb": 32}, Outcome.MEMORY),
    "sleep": ({}, {"timeout": "0.5 s"}, Outcome.TIMEOUT),
    "signal_itself": ({"number": 11}, {}, Outcome.CRASH),
    "flood_output": ({}, {}, Outcome.LIMIT),
    "raw_frame": ({"hex": "ffffffff"}, {}, Outcome.PROTOCOL),
    "fail": ({}, {"max_attempts": 2}, Outcome.RENDER_ERROR),
    "invalid": ({}, {}, Outcome.INVALID),
    "nothing": ({}, {"max_attempts": 3}, Outcome.BAD_OUTPUT),
}
"""Kind → spec, options, and how each of its attempts ends."""

_WEIGHTS = {
    "write": 30,
    "noop": 10,
    "svg": 14,
    "png": 8,
    "gif": 6,
    "gate": 8,
    "late": 3,
    "late_write": 3,
    "moves": 6,
    "hostile": 14,
}
_PATIENT = "15 s"
"""The time of an honest job: far above what it needs, below what anybody waits for a child that was stopped."""


@dataclass(slots=True)
class Order:
    """One request for a job. `label` is its correlation id, by which it is found however its enqueuing ended."""

    label: str
    kind: str
    spec: Json
    config: Json
    options: Json
    keyed: bool
    ends: Outcome
    """How an attempt at it ends when nobody disturbs it."""
    content: bytes | None = None
    """The bytes of its artifact, where they are known beforehand."""
    same: str | None = None
    """Orders of one name have one artifact, byte for byte."""
    gate: Path | None = None
    job: str | None = None
    """Its id, once an answer confirmed it."""
    told_cancelled: bool = False
    maybe_cancelled: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def parameters(self) -> Json:
        """What `enqueue_render` is called with, apart from kind, spec and config."""
        key = {"idempotency_key": f"key-{self.label}"} if self.keyed else {}
        return {"correlation_id": self.label, **key, **self.options}


class Orders:
    """An endless, seeded list of orders."""

    def __init__(self, name: str, random: Random, directory: Path) -> None:
        self._name = name
        self._random = random
        self._directory = directory
        self._numbers = itertools.count(1)

    def next(self) -> Order:
        """Return the next order."""
        label = f"{self._name}-{next(self._numbers)}"
        what = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        order = self._hostile(label) if what == "hostile" else self._honest(label, what)
        order.options |= self._options()
        return order

    def _options(self) -> Json:
        chance = self._random.random
        options: Json = {"priority": self._random.choice([0, 0, 0, 0, 5, -5])}
        if chance() < 0.8:
            options["user_id"] = f"tenant-{self._random.randrange(6)}"
        if chance() < 0.15:
            options["run_at"] = datetime.now(UTC) + timedelta(seconds=self._random.uniform(0.2, 3))
        return options

    def _order(self, label: str, kind: str, spec: Json, **more: Any) -> Order:
        values = {"config": {}, "options": {"timeout": _PATIENT}, "ends": Outcome.OK} | more
        return Order(label, kind, spec, keyed=self._random.random() < 0.7, **values)

    def _hostile(self, label: str) -> Order:
        kind = self._random.choice(list(_HOSTILE))
        spec, options, ends = _HOSTILE[kind]
        return self._order(label, kind, spec, options=dict(options), ends=ends)

    def _honest(self, label: str, what: str) -> Order:
        match what:
            case "write":
                return self._order(label, "write", {"text": label * 3}, content=(label * 3).encode())
            case "svg":
                variant = self._random.randrange(8)
                return self._order(label, "svg", {"svg": _svg(variant)}, same=f"svg {variant}")
            case "png" | "gif":
                variant = self._random.randrange(4)
                config = {"width": 96, "height": 64, "fps": 10, "format": what}
                return self._order(label, "scene", _scene(variant), config=config, same=f"{what} {variant}")
            case "gate":
                gate = self._directory / f"gate-{label}"
                return self._order(label, "gate", {"gate": str(gate)}, content=b"passed the gate", gate=gate)
            case "moves":
                # In range, and too small for the column that keeps it.
                spec: Json = {"fractions": [1e-50, 5e-324, 0.1 + 0.2], "text": label}
                return self._order(label, "moves", spec, content=label.encode())
            case "late":
                spec = {"until": time.time() + 1}
                return self._order(label, "late", spec, options={"timeout": "1 s"}, content=b"second try")
            case _:
                return self._order(label, what, {})


def _svg(variant: int) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><circle cx="32" cy="32" r="{8 + variant}"/></svg>'


def _scene(variant: int) -> Json:
    return {
        "metadata": {"duration": 1},
        "objects": [{"type": "ellipse", "id": "dot", "x": 20, "y": 32, "radius": 6 + variant, "fill": "#8b5cf6"}],
        "animations": [{"target": "dot", "property": "x", "to": 80, "duration": 1}],
    }
