"""Where children come from and go to: forked by the fork server, put into a group of their own, ended and reaped."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

import structlog

from supervisor.cgroups import Cgroups, CgroupsMissing, ChildGroup
from supervisor.child import Child, ChildFailed, LayerMissing
from supervisor.child_process import ChildProcess
from supervisor.forkserver import ForkServer, ForkServerFailed, KindInfo
from supervisor.memory import MemoryWatch
from supervisor.settings import Settings

log = structlog.get_logger()

_BACKOFF = (0.1, 10.0)
"""Seconds before the next try after children failed to come up: first and longest."""


class Nursery:
    """Makes and ends children.

    `on_death` is called when the fork server is gone, for whatever reason; `on_spawn`, with the seconds that it took, for
    each child that `make_at_last` made.
    """

    def __init__(
        self,
        settings: Settings,
        on_progress: Callable[[str, float], None],
        on_death: Callable[[], None],
        on_spawn: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._on_progress = on_progress
        self._on_death = on_death
        self._on_spawn = on_spawn
        self._failures = 0
        self._watch = MemoryWatch()
        self._numbers: set[int] = set()
        self._forkserver: ForkServer | None = None
        self._cgroups: Cgroups | None = None
        self.closing = False
        """No child is wanted any more."""
        self.cgroups_missing: str | None = None
        """Why children have no control group of their own; None where they have."""

    @property
    def forkserver_pid(self) -> int:
        """The process number of the fork server, 0 where there is none."""
        return self._forkserver.pid if self._forkserver else 0

    @property
    def own_users(self) -> bool:
        """Whether each child is a user of its own, for the kernel too."""
        return self._forkserver is not None and self._forkserver.own_users

    @property
    def alive(self) -> bool:
        """Whether there is a fork server."""
        return self._forkserver is not None and not self._forkserver.died.done()

    @property
    def kinds(self) -> dict[str, KindInfo]:
        """The kinds that can be rendered."""
        return self._forkserver.kinds if self._forkserver else {}

    @property
    def failed_kinds(self) -> dict[str, str]:
        """Kinds that cannot be rendered here, and why."""
        return self._forkserver.failed_kinds if self._forkserver else {}

    async def open(self) -> None:
        """Start a fork server, the first or another. Raises ForkServerFailed."""
        if self._cgroups is None and self.cgroups_missing is None:
            # Before the fork server, which is to be in the supervisor's group, not above the children's.
            try:
                self._cgroups = Cgroups.delegated()
            except CgroupsMissing as missing:
                self.cgroups_missing = str(missing)
        if self._forkserver is not None:
            await self._forkserver.stop()
        server = ForkServer(self._settings)
        try:
            await server.start()
        except BaseException:
            await server.stop()
            raise
        self._forkserver = server
        server.died.add_done_callback(lambda _: self._died(server))

    def _died(self, server: ForkServer) -> None:
        if server is self._forkserver:
            self._on_death()

    async def reopen(self) -> bool:
        """Start another fork server, however often it is to be tried; False when none is wanted any more."""
        while not self.closing:
            try:
                await self.open()
            except ForkServerFailed as error:
                await self._back_off(error)
            else:
                return True
        return False

    async def make(self, needs_of: str | None = None, *, prove: bool = False) -> Child:
        """Fork a child and wait until it stands in its sandbox. Raises ForkServerFailed, ChildFailed, LayerMissing."""
        if self._forkserver is None:
            raise ForkServerFailed("the fork server is not started")
        taken = self._numbers | self._forkserver.lost_numbers
        number = next(n for n in range(1, 1_000_000) if n not in taken)
        self._numbers.add(number)
        try:
            process = await self._forkserver.spawn(number, needs_of, prove=prove)
        except BaseException:
            self._numbers.discard(number)
            raise
        child = self._child(process)
        child.needs_of = needs_of
        child.group = self._group(process)
        try:
            await child.ready()
        except BaseException:
            await self.bury(child)
            raise
        return child

    def _child(self, process: ChildProcess) -> Child:
        """Return the child of a process. Raises ForkServerFailed where the machine has no room for what we read from it."""
        try:
            return Child(process, self._watch, self._on_progress)
        except OSError as error:
            # Our user has no epoll watches left, as a rule. Its number is free when its end is told.
            process.kill()
            if self._forkserver is not None:
                self._forkserver.lost_numbers.add(process.number)
            self._numbers.discard(process.number)
            process.close()
            raise ForkServerFailed(f"a child could not be taken: {error}") from error

    async def make_at_last(self, needs_of: str | None = None) -> Child | None:
        """Return a child, however often it is to be tried; None when none is wanted any more, or the fork server is gone."""
        while not self.closing:
            ordered = time.monotonic()
            try:
                child = await self.make(needs_of)
            except (ChildFailed, ForkServerFailed) as error:
                if not self.alive:
                    return None  # its restart fills the pool
                await self._back_off(error)
                continue
            self._failures = 0
            self._on_spawn(time.monotonic() - ordered)
            return child
        return None

    async def _back_off(self, error: Exception) -> None:
        """Wait before the next try, longer each time; say so once, and each time a layer is missing."""
        first, longest = _BACKOFF
        if self._failures == 0 or isinstance(error, LayerMissing):
            log.error("child.cannot_start", problem=str(error))
        delay = min(longest, first * 2 ** min(self._failures, 16)) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
        self._failures += 1
        await asyncio.sleep(delay)

    def _group(self, process: ChildProcess) -> ChildGroup | None:
        """Put a child into a group of its own, where there can be one; its limits hold without."""
        if self._cgroups is None or not process.pid:
            return None
        try:
            group = self._cgroups.child(process.number)
            group.add(process.pid)
        except OSError as error:
            log.warning("child.not_in_group", child=process.number, problem=str(error))
            return None
        return group

    async def bury(self, child: Child) -> None:
        """End a child if it lives; when this returns nothing is left of it, and its number is free."""
        await child.close()
        if child.group is not None:
            child.group.remove()
        self._numbers.discard(child.number)

    def kill(self, reason: str) -> None:
        """Kill the fork server, which does not do its work."""
        if self._forkserver is not None:
            self._forkserver.kill(reason)

    async def close(self) -> None:
        """End the fork server, and whatever children are left with it."""
        if self._forkserver is not None:
            await self._forkserver.stop()
