"""The children: as many as jobs may run at once. The fork server keeps a spare for when one must be replaced.

A child that ran a kind which is not declared reusable (a plug-in's, as a rule) is ended after that job, and such a job
only ever gets a child that ran nothing before: what one job's code leaves in a process, another's never meets. A child of
a reusable kind goes on after `ok` and `invalid`, for jobs of the same tenant (a decoder may be taken over by what it reads,
and would read the next tenant's), until it has done its share of jobs, is old, or has grown.

A kind that was allowed more than the others (renderer.needs) only ever gets a child that was made for it: when it has a job,
an idle child gives way to such a one, which costs a fork before the job.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time
from collections.abc import Callable

import structlog

from renderer.outcome import Outcome
from supervisor.child import Child
from supervisor.forkserver import KindInfo
from supervisor.nursery import Nursery
from supervisor.settings import Reuse, Settings
from supervisor.stopping import KILLED_SECONDS
from supervisor.wear import GOES_ON, has_share_left, is_worn

log = structlog.get_logger()

_BURY = "bury"

_REST_SECONDS = 0.05
"""How long a child may be idle, at most, before it is stopped. Where jobs follow one another it never is; no timer runs while
all are idle."""


class Pool:
    """Children that are idle, and those that are on their way."""

    def __init__(
        self,
        settings: Settings,
        on_free: Callable[[], None],
        on_progress: Callable[[str, float], None],
        on_spawn: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._on_free = on_free
        self.nursery = Nursery(settings, on_progress, self._forkserver_died, on_spawn)
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._rest: asyncio.TimerHandle | None = None
        self._coming: collections.Counter[str | None] = collections.Counter()
        """Children on their way, by the kind whose needs they are made for."""
        self._short_since: float | None = time.monotonic()
        self.layers: dict[str, str] = {}
        """Layer of the sandbox → "ok", "off", or why it is missing; the same for every child."""

    @property
    def kinds(self) -> dict[str, KindInfo]:
        """The kinds that can be rendered."""
        return self.nursery.kinds

    @property
    def failed_kinds(self) -> dict[str, str]:
        """Kinds that cannot be rendered here, and why."""
        return self.nursery.failed_kinds

    @property
    def free(self) -> int:
        """How many jobs could start now."""
        return max(0, min(len(self._idle), self._settings.concurrency - len(self._busy)))

    @property
    def busy(self) -> int:
        """How many children have a job."""
        return len(self._busy)

    @property
    def children(self) -> list[Child]:
        """All that are up, idle ones and busy ones."""
        return [*self._idle, *self._busy]

    async def start(self) -> None:
        """Start the fork server and the first child; the others follow. Raises ForkServerFailed, LayerMissing."""
        await self.nursery.open()
        first = await self.nursery.make()
        self._admit(first)
        self._warn_of_layers(first)
        self._fill()

    def _warn_of_layers(self, child: Child) -> None:
        self.layers = child.layers
        missing = {layer: state for layer, state in child.layers.items() if state != "ok"}
        if missing:
            log.warning("sandbox.incomplete", mode=self._settings.sandbox.value, layers=missing)

    def _forkserver_died(self) -> None:
        if self.nursery.closing:
            return
        log.error("forkserver.died")
        self._run(self._restart_forkserver())

    async def _restart_forkserver(self) -> None:
        for child in list(self._idle):
            self._retire(child)
        if await self.nursery.reopen():
            log.info("forkserver.restarted")
            self._fill()

    def take(self, kind: str, tenant: str | None = None) -> Child | None:
        """Return an idle child for a tenant's job of that kind, or None when none can be had now."""
        if not self.free:
            return None
        reusable, needs_of = self.kinds[kind].reusable, self._needs_of(kind)
        # A used child for those that may have it, so that the fresh ones are there for those that must.
        candidates = sorted(
            (child for child in self._idle if child.alive and child.needs_of == needs_of),
            key=lambda child: child.jobs_done,
            reverse=reusable,
        )
        if not candidates:
            self._make_for(needs_of)
            return None  # it, or a successor of those that are dying, says when it is there
        child = next((child for child in candidates if self._may_have(child, tenant, reusable=reusable)), None)
        if child is None:
            self._retire(candidates[0])
            return None
        self._idle.remove(child)
        self._busy.add(child)
        child.tenant = tenant
        return child

    def with_room(self, kind: str, tenant: str | None, most: int, seconds: float) -> tuple[Child | None, int]:
        """Return a child that may hold more jobs of that kind and tenant, `most` beyond the one that it is at, and how many.

        It is at one of that kind, has been for less than so many seconds, and holds the fewest; one that holds more than
        half of what it may is left alone, so that jobs go to it many in a piece. It is not given all that it has room for
        at once, or the others would stand idle.
        """
        if self.free or not self.kinds[kind].reusable:
            return None, 0
        found, held = None, most // 2 + 2
        for child in self._busy:
            having = child.having
            if (
                having is not None
                and having.job.kind == kind
                and child.held < held
                and child.alive
                and having.seconds() < seconds
                and has_share_left(child)
                and self._may_have_another(child, tenant)
            ):
                found, held = child, child.held
        return found, max(1, (most + 1 - held) // 2)

    @property
    def wanted(self) -> int:
        """How many children there should be."""
        return self._settings.concurrency

    @property
    def short_seconds(self) -> float:
        """For how many seconds there have been fewer children than there should be."""
        return 0.0 if self._short_since is None else time.monotonic() - self._short_since

    def _note_count(self) -> None:
        if len(self._idle) + len(self._busy) >= self._settings.concurrency:
            self._short_since = None
        elif self._short_since is None:
            self._short_since = time.monotonic()

    @property
    def ahead(self) -> int:
        """How many jobs children hold beyond those that they are at."""
        return sum(max(0, child.held - 1) for child in self._busy)

    def _may_have(self, child: Child, tenant: str | None, *, reusable: bool) -> bool:
        return not child.jobs_done or (reusable and self._may_have_another(child, tenant))

    def _may_have_another(self, child: Child, tenant: str | None) -> bool:
        reuse = self._settings.reuse_children
        return reuse is Reuse.ANY or (reuse is Reuse.TENANT and child.tenant == tenant)

    def _needs_of(self, kind: str) -> str | None:
        return kind if kind in self._settings.allowed_needs else None

    def _make_for(self, needs_of: str | None) -> None:
        """Have an idle child give way to one that was made for a kind, unless one is on its way."""
        idle = next((child for child in self._idle if child.alive and child.needs_of != needs_of), None)
        if idle is not None and not self._coming[needs_of]:
            self._spawn(needs_of)
            self._retire(idle)

    def give_back(self, child: Child, kind: str, outcome: Outcome) -> None:
        """Take a child back after its job: to go on, or to be ended and replaced. Told of each job that it held."""
        if child.held and self._may_go_on(child, kind, outcome):
            self._on_free()
            return
        if child not in self._busy:
            return  # it has been taken back already, and is being ended
        self._busy.discard(child)
        surplus = len(self._idle) + len(self._busy) >= self._settings.concurrency
        if not surplus and self._may_go_on(child, kind, outcome):
            self._idle.append(child)
            if self._rest is None:
                self._rest = asyncio.get_running_loop().call_later(_REST_SECONDS, self._let_rest)
        else:
            self._retire(child)
        self._on_free()

    def _let_rest(self) -> None:
        """Stop the children that are idle; the next one that becomes so sets the timer anew."""
        self._rest = None
        for child in self._idle:
            child.rest()

    def _may_go_on(self, child: Child, kind: str, outcome: Outcome) -> bool:
        info = self.kinds.get(kind)
        return (
            child.alive
            and not self.nursery.closing
            and info is not None
            and info.reusable
            and child.needs_of is None  # what it started may be left, and would go on while it rests
            and outcome in GOES_ON
            and not is_worn(child)
        )

    def _retire(self, child: Child) -> None:
        """End a child; its place is filled at once."""
        with contextlib.suppress(ValueError):
            self._idle.remove(child)
        child.kill(Outcome.INTERNAL, "the child is not used any more")
        self._run(self.nursery.bury(child), name=_BURY)
        self._fill()

    def resize(self) -> None:
        """Go by a new number of children: more are made, and of the idle ones those that are too many end."""
        surplus = len(self._idle) + len(self._busy) - self._settings.concurrency
        for child in self._idle[: max(0, surplus)]:
            self._retire(child)
        self._fill()
        self._on_free()

    def _fill(self) -> None:
        """Have as many children on their way as are missing."""
        self._note_count()
        if self.nursery.closing or not self.nursery.alive:
            return
        wanted = self._settings.concurrency - len(self._idle) - len(self._busy) - self._coming.total()
        for _ in range(wanted):
            self._spawn()

    def _spawn(self, needs_of: str | None = None) -> None:
        self._coming[needs_of] += 1
        self._run(self._add(needs_of))

    async def _add(self, needs_of: str | None) -> None:
        try:
            child = await self.nursery.make_at_last(needs_of)
        finally:
            # Before anybody hears of it: what is asked for in the same turn of the loop would count it twice.
            self._coming[needs_of] -= 1
        if child is not None:
            self._admit(child)
            self._on_free()

    def _admit(self, child: Child) -> None:
        """Let a child that came up take jobs; it may die while nobody uses it."""
        self._idle.append(child)
        self._note_count()
        child.process.exited.add_done_callback(lambda _: self._idle_died(child))
        if self.nursery.closing:
            self._retire(child)

    def _idle_died(self, child: Child) -> None:
        if child in self._idle and not self.nursery.closing:
            log.warning("child.died_idle", child=child.number)
            self._retire(child)

    async def prove(self) -> dict[str, str | None]:
        """Have a child try each layer of its sandbox; return layer → what it did not forbid, None where it forbade all.

        Raises ForkServerFailed, ChildFailed.
        """
        child = await self.nursery.make(prove=True)
        await self.nursery.bury(child)
        return child.proved

    def _run(self, work: object, name: str = "pool") -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        task.set_name(name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cut_short(self, reason: str) -> None:
        """Kill the fork server, and so all children; there is no other. Each of them counts as ended from now on."""
        self.nursery.closing = True
        self.nursery.kill(reason)

    async def close(self) -> None:
        """End all children and the fork server; nothing is left when it returns."""
        self.nursery.closing = True
        if self._rest is not None:
            self._rest.cancel()
        for task in self._tasks:
            if task.get_name() != _BURY:
                task.cancel()
        for child in self.children:
            self._busy.discard(child)
            self._retire(child)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=KILLED_SECONDS)
        if self._tasks:
            self.cut_short(f"its children must end within {KILLED_SECONDS:g} s of their kill; it does not report it")
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.nursery.close()
