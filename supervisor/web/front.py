"""The front: what the supervisor shows over HTTP, put together; started and stopped with it."""

from __future__ import annotations

from supervisor.alerts.alerts import Alerts
from supervisor.artifacts import ArtifactStore
from supervisor.monitor.canary import Canary
from supervisor.monitor.health import Health
from supervisor.monitor.monitor import Monitor
from supervisor.runner import Runner
from supervisor.settings import Settings
from supervisor.store.desk import Desk
from supervisor.web.api import Api
from supervisor.web.app import application
from supervisor.web.dashboard import Dashboard
from supervisor.web.server import WebServer


class Front:
    """HTTP of one supervisor."""

    def __init__(
        self, settings: Settings, monitor: Monitor, runner: Runner, alerts: Alerts, artifacts: ArtifactStore
    ) -> None:
        self._server = WebServer(settings)
        self._canary = Canary(monitor.pool, runner, monitor.figures)
        used = len(monitor.links)
        self.desk = Desk(
            settings.require_database,
            lambda: all(link.up for link in monitor.links),
            allowed=settings.max_connections > used,
        )
        health = Health(monitor, self._canary, alerts, artifacts, events=settings.enable_events)
        api = Api(artifacts, monitor, health, self.desk)
        self._dashboard = Dashboard(settings, monitor, self.desk)
        self._app = application(settings, [*api.routes(), *self._dashboard.routes()])

    def bind(self) -> None:
        """Take the address, before anything that costs. Raises ConfigurationError."""
        self._server.bind()

    def start(self) -> None:
        """Serve."""
        self._server.start(self._app)

    async def stop(self) -> None:
        """End it, and what it opened."""
        await self._dashboard.close()
        await self._server.stop()
        await self._canary.close()
        await self.desk.close()
