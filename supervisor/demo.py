"""The jobs of `jobsupervisor demo`: real inputs that ship with the project, and three that misbehave."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from renderer import samples
from supervisor.settings import Settings, load
from supervisor.store.client import Client

_HOSTILE = {
    "hostile-memory": "renderer.samples.hostile:eat_memory",
    "hostile-loop": "renderer.samples.hostile:loop_for_ever",
    "hostile-crash": "renderer.samples.hostile:crash_hard",
}
_HD = {"width": 1280, "height": 720, "fps": 30}


@dataclass(frozen=True, slots=True)
class DemoJob:
    """One job: what it is, and the failure that it is to end with (None: it is to complete)."""

    name: str
    kind: str
    spec: Callable[[], dict[str, Any]] = dict
    config: dict[str, Any] = field(default_factory=dict)
    failure: str | None = None
    limits: dict[str, Any] = field(default_factory=dict)

    def as_expected(self, row: dict[str, Any]) -> bool:
        """Whether a row of render_jobs is how this job should end."""
        wanted = "completed" if self.failure is None else "failed"
        return bool(row["status"] == wanted and row["failure"] == self.failure)

    @staticmethod
    def tells(row: dict[str, Any]) -> str:
        """Return what a completed job's row tells: size, time, hash."""
        seconds = (row["finished_at"] - row["started_at"]).total_seconds()
        return f"{row['output_bytes'] / 1024:,.0f} KB in {seconds:.1f} s, sha256 {row['output_sha256'][:12]}…"


JOBS = (
    DemoJob("scene.mp4", "scene", samples.scene, {**_HD, "format": "mp4"}),
    DemoJob("scene.gif", "scene", samples.scene, {"width": 640, "height": 360, "fps": 15, "format": "gif"}),
    DemoJob("scene.png", "scene", samples.scene, {**_HD, "format": "png", "time": 2.5}),
    DemoJob("badge.png", "svg", samples.svg, {"width": 1024}),
    DemoJob("eats memory", "hostile-memory", failure="memory", limits={"memory_mb": 128}),
    DemoJob("loops for ever", "hostile-loop", failure="timeout", limits={"timeout": 2.0}),
    DemoJob("crashes hard", "hostile-crash", failure="crash"),
)


def settings_for_demo(url: str, artifacts: Path) -> Settings:
    """Return settings that need no configuration and let a hostile job come to its end within seconds."""
    return load(
        {
            "DATABASE_URL": url,
            "LISTEN_DATABASE_URL": None,
            "RENDER_ARTIFACTS_URL": f"file://{artifacts}",
            "RENDER_PLUGINS": _HOSTILE,
            "RENDER_RETRY_DELAY_SECONDS": 0.2,
            "RENDER_OFFENCE_LIMIT": 2,
            "RENDER_SANDBOX": os.environ.get("RENDER_SANDBOX") or "best-effort",
        }
    )


def enqueue_all(client: Client, settings: Settings) -> dict[str, DemoJob]:
    """Enqueue every job of the demo; return them by id."""
    client.register_plugins(settings.plugins)
    return {client.enqueue(job.kind, job.spec(), job.config, **job.limits): job for job in JOBS}
