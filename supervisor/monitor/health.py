"""Health: is this supervisor doing its work? By component, each with what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from supervisor.alerts.alerts import Alerts
from supervisor.artifacts import ArtifactStore
from supervisor.monitor.canary import Canary
from supervisor.monitor.monitor import Monitor

_BOOT_SECONDS = 30.0
"""How long a child may take to come up; with fewer than there should be for longer than that, something is wrong."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part's health: ok, or what is wrong; `critical` where nothing gets done without it."""

    name: str
    ok: bool
    found: str
    critical: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"status": "ok" if self.ok else "failed" if self.critical else "degraded", "found": self.found}


class Health:
    """Asks the parts. Sends no statement: a database that is down is known by what the links met."""

    def __init__(
        self, monitor: Monitor, canary: Canary, alerts: Alerts, artifacts: ArtifactStore, *, events: bool
    ) -> None:
        self._monitor = monitor
        self._canary = canary
        self._alerts = alerts
        self._artifacts = artifacts
        self._events = events

    async def examine(self) -> list[Component]:
        """Return all components."""
        return [self._database(), self._listener(), *await self._children(), self._store(), *self._rest()]

    def _store(self) -> Component:
        """Tell what uploads met. After the canary, which is the trial where nobody's job was one."""
        problem = self._artifacts.problem
        found = f"{self._artifacts.place}: {problem}" if problem else self._artifacts.place
        return Component("artifacts", problem is None, found)

    def _rest(self) -> list[Component]:
        return [self._breakers(), self._kinds(), self._standing(), self._sandbox()]

    def ready(self) -> list[Component]:
        """Return what must be well for this supervisor to be given work; asks no child."""
        monitor = self._monitor
        serving = Component("serving", monitor.ready, "taking jobs" if monitor.ready else "starting, or draining")
        return [serving, self._database(), self._alive()]

    def _link(self, name: str) -> tuple[bool, str]:
        link = next(link for link in self._monitor.links if link.name == name)
        return link.up, "connected" if link.up else link.problem or "not connected"

    def _database(self) -> Component:
        up, found = self._link("work")
        return Component("database", up, found)

    def _listener(self) -> Component:
        if not self._events:
            return Component("listener", ok=True, found="off: RENDER_ENABLE_EVENTS is false, the queue is polled")
        up, found = self._link("listen")
        return Component("listener", up, found)

    def _alive(self) -> Component:
        pool = self._monitor.pool
        count = len(pool.children)
        found = f"{count} of {pool.wanted} are up, {pool.busy} have a job"
        # One that is replaced is missing for a moment, and takes as long as this where something is wrong.
        short = pool.short_seconds > _BOOT_SECONDS
        return Component("children", count > 0 and not short, found, critical=count == 0)

    async def _children(self) -> list[Component]:
        alive = self._alive()
        if not self._monitor.pool.children or not self._monitor.ready:
            return [alive]
        proof = await self._canary.prove()
        return [alive, Component("canary", proof.works, proof.found)]

    def _breakers(self) -> Component:
        open_ones = [link.name for link in self._monitor.links if not link.up]
        found = f"open: {', '.join(open_ones)}" if open_ones else "all closed"
        return Component("circuit_breakers", not open_ones, found)

    def _kinds(self) -> Component:
        failed = self._monitor.pool.failed_kinds
        found = "; ".join(f"{kind}: {reason}" for kind, reason in failed.items())
        # The other kinds are rendered.
        return Component(
            "kinds", not failed, found or f"{len(self._monitor.pool.kinds)} can be rendered", critical=False
        )

    def _standing(self) -> Component:
        standing = "; ".join(f"{alert.title}: {alert.text}" for alert in self._alerts.active)
        # A long queue is no reason to restart who works on it; what stops work is a component of its own.
        return Component("alerts", not standing, standing or "none stands", critical=False)

    def _sandbox(self) -> Component:
        missing = {layer: state for layer, state in self._monitor.pool.layers.items() if state != "ok"}
        found = "; ".join(f"{layer}: {state}" for layer, state in missing.items())
        return Component("sandbox", not missing, found or "complete", critical=False)
