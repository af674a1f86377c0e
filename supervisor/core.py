"""The supervisor: puts the parts together, starts them in the order that is safe, and takes them down.

Start: fork server and first child (no database descriptor exists yet), a look at the schema, LISTEN connection (takes the
supervisor's name), work connection, registration; then the loops. Stop: claim nothing more, let what runs finish for as long as the
operator allows, kill the rest and give it back uncharged, tell the database all of it, leave the list.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

import setproctitle
import structlog

from supervisor.alerts.alerts import Alerts
from supervisor.artifacts import artifact_store
from supervisor.artifacts.ownership import NotOurs, require_owned
from supervisor.dispatcher import Dispatcher
from supervisor.drain import Drain
from supervisor.errors import DatabaseUnreachable, ExpectedError
from supervisor.link import Link
from supervisor.monitor.attention import Attention
from supervisor.monitor.figures import Figures
from supervisor.monitor.monitor import Monitor
from supervisor.monitor.traces import traces
from supervisor.pool import Pool
from supervisor.reload import reload_settings
from supervisor.report import Observer, Reporter
from supervisor.retention import INTERVAL_SECONDS, keep_house
from supervisor.runner import Runner
from supervisor.settings import Settings
from supervisor.store.connection import StatementFailed
from supervisor.store.installation import Installation
from supervisor.store.listener import Listener
from supervisor.store.migrate import require_current
from supervisor.store.queue import QueueStore
from supervisor.web.front import Front

log = structlog.get_logger()


class Supervisor:
    """One supervisor. `only` restricts it to a single job, for the `render` command on a shared database."""

    def __init__(self, settings: Settings, *, only: str | None = None, observer: Observer | None = None) -> None:
        self._settings = settings
        self._keeps_house = only is None and observer is None
        self._artifacts = artifact_store(settings)
        self._figures = Figures()
        self._pool = Pool(settings, self._child_is_free, self._progress, self._figures.metrics.child_spawned)
        self._store = QueueStore(settings, settings.supervisor_name, only)
        runner = Runner(settings, self._pool, self._artifacts)
        self._report = Reporter(self._figures, observer)
        self._dispatcher = Dispatcher(settings, self._store, self._pool, runner, self._report)
        self._listener = Listener(settings, self._dispatcher.wake, self._dispatcher.cancel_notice)
        self._work_link = Link("work", self._store.connect)
        self._listen_link = Link("listen", self._reconnect_listener)
        links = [self._work_link, self._listen_link] if settings.enable_events else [self._work_link]
        self._alerts = Alerts(settings, self._store.name) if self._keeps_house else None
        self._monitor = Monitor(self._figures, self._pool, self._dispatcher, self._store, links, self._alerts)
        self._attention = Attention(settings, self._monitor, self._alerts) if self._alerts is not None else None
        self._front = (
            Front(settings, self._monitor, runner, self._alerts, self._artifacts) if self._alerts is not None else None
        )
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()

    @property
    def failed_kinds(self) -> dict[str, str]:
        """Kinds that cannot be rendered here, and why."""
        return self._pool.failed_kinds

    def _child_is_free(self) -> None:
        self._dispatcher.child_is_free()

    def _progress(self, job_id: str, fraction: float) -> None:
        self._dispatcher.progress(job_id, fraction)

    def stop(self) -> None:
        """Drain; called again, end at once. Safe in a signal handler of the loop."""
        if self._stop.is_set():
            self._stop_now.set()
        self._monitor.ready = False
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def reload(self) -> None:
        """Read the settings again. Safe in a signal handler of the loop."""
        if reload_settings(self._settings, serving=self._monitor.ready):
            self._pool.resize()
            self._dispatcher.settings_changed()
            if self._attention is not None:
                self._attention.settings_changed()

    @property
    def makes_progress(self) -> bool:
        """Whether the dispatcher gets on."""
        return self._dispatcher.makes_progress

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until `stop`; `on_ready` is called when jobs are being taken.

        Raises ExpectedError kinds for what is wrong at the start. When it returns nothing is left running.
        """
        loops: list[asyncio.Task[None]] = []
        try:
            if not await self._is_up():
                return
            loops = self._start_loops()
            log.info(
                "supervisor.started",
                name=self._store.name,
                concurrency=self._settings.concurrency,
                kinds=sorted(self._pool.kinds),
            )
            self._monitor.ready = True
            if self._front is not None:
                self._front.start()
            on_ready()
            await self._until_stopped(loops)
            drain = Drain(self._dispatcher, self._artifacts, self._store, self._work_link, self._stop_now)
            await drain.run(loops, self._settings.shutdown)
        finally:
            await self._take_down(loops)
            log.info("supervisor.stopped", name=self._store.name)

    async def _is_up(self) -> bool:
        """Come up, in the order that is safe; False when told to stop before that was done."""
        starting = asyncio.create_task(self._come_up())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        return not starting.cancelled()

    async def _come_up(self) -> None:
        await asyncio.to_thread(self._artifacts.prepare)
        if self._front is not None:
            self._front.bind()
            self._report.traces = traces(self._settings.supervisor_name)
        await self._pool.start()
        await self._connect()

    async def _connect(self) -> None:
        await asyncio.to_thread(require_current, self._settings.require_database())
        await asyncio.to_thread(self._require_own_store)
        if self._settings.enable_events:
            self._store.name = await self._listener.connect()
        await self._store.connect()
        if not self._settings.enable_events:
            self._store.name = await self._leased_name()
        await self._store.register(self._pool.kinds)
        setproctitle.setproctitle(f"jobsupervisor: supervisor {self._store.name}")

    def _require_own_store(self) -> None:
        """Refuse a store of artifacts that is another database's, or lost its marker. Raises ExpectedError."""
        settings, place = self._settings, self._artifacts.place
        with Installation.open(settings.require_database(), place, settings.retention_days) as records:
            try:
                require_owned(self._artifacts, records)
            except OSError as error:
                raise ExpectedError(f"RENDER_ARTIFACTS_URL: {place} must say whose it is: {error}") from None

    async def _leased_name(self) -> str:
        """Return our name, or the first numbered one that no live lease goes by."""
        base, number = self._settings.supervisor_name, 1
        name = base
        while await self._store.name_is_leased(name):
            number += 1
            name = f"{base}#{number}"
        return name

    def _start_loops(self) -> list[asyncio.Task[None]]:
        loops = [asyncio.create_task(self._dispatcher.serve(self._work_link), name="dispatcher")]
        if self._settings.enable_events:
            loops.append(asyncio.create_task(self._listen(), name="listener"))
        if self._keeps_house:
            loops.append(asyncio.create_task(self._keep_house(), name="retention"))
        if self._attention is not None:
            loops.append(asyncio.create_task(self._attention.serve(), name="alerts"))
        return loops

    async def _keep_house(self) -> None:
        """Drop what is old, now and then, at a time that supervisors which start together do not share."""
        delay = random.uniform(60, 600)  # noqa: S311 - jitter
        while True:
            await asyncio.sleep(delay)
            delay = INTERVAL_SECONDS * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
            try:
                old = await self._dispatcher.old_work.is_there()
                async with self._front.desk.lent() if self._front else contextlib.nullcontext():
                    await asyncio.to_thread(keep_house, self._settings, self._artifacts, old=old)
            except (DatabaseUnreachable, StatementFailed, NotOurs, OSError) as error:
                # What is old can wait, and jobs cannot: neither ends the service.
                log.warning("retention.put_off", problem=str(error))

    async def _listen(self) -> None:
        while True:
            try:
                await self._listener.listen()
            except DatabaseUnreachable as error:
                self._dispatcher.name_lost()
                await self._listen_link.recover(error)
            # To have the name and to listen again took statements of its own: this link needs no other probe.
            self._listen_link.works()
            self._dispatcher.name_held()

    async def _reconnect_listener(self) -> None:
        name = await self._listener.connect(self._store.name)
        if name != self._store.name:
            # Somebody took our name while we were away, and our jobs with it: their tokens are worth nothing now, and
            # the poll finds us unregistered under the new one.
            log.warning("supervisor.renamed", before=self._store.name, name=name)
            self._store.name = name
            self._store.owner = 0

    async def _until_stopped(self, loops: list[asyncio.Task[None]]) -> None:
        """Wait for `stop`, or for a loop to fail: that is a fault of ours and ends the service."""
        stopping = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait([stopping, *loops], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        for task in done - {stopping}:
            task.result()

    async def _take_down(self, loops: list[asyncio.Task[None]]) -> None:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        self._dispatcher.attempts.kill_all("the supervisor ended")
        self._artifacts.give_up()
        await self._dispatcher.attempts.finished()
        if self._front is not None:
            await self._front.stop()
        if self._alerts is not None:
            await self._alerts.stop()
        await self._pool.close()
        await self._artifacts.close()
        await asyncio.to_thread(self._report.traces.close)
        await self._store.close()
        await self._listener.close()
