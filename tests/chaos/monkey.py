"""The monkey: one action after the other, drawn from a seeded list; after each, the queue must move on.

Its pace is counted in jobs that reached an end. Only the whole run has a clock.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import psutil

from supervisor.embedded import EmbeddedServer
from tests.chaos.admin import PATIENCE, Admin
from tests.chaos.fleet import Fleet, Member, stopped
from tests.chaos.proxy import Proxy
from tests.chaos.watcher import Watcher

ENDED = ("job.completed", "job.failed", "job.cancelled")
_PACE = (2, 10)
_RESCUE_SECONDS = 30.0

_SESSIONS = """
    select a.pid from pg_stat_activity a
    where a.datname = current_database() and a.backend_type = 'client backend' and a.pid <> pg_backend_pid()
        and (a.application_name like 'jobsupervisor%' or a.application_name = 'chaos client')
    order by a.application_name, a.pid"""
_TERMINATE = "select pg_terminate_backend(%(pid)s)"
_SESSIONS_OF = """
    select pg_terminate_backend(l.pid)
    from jobsupervisor.supervisor s
    join pg_locks l on l.locktype = 'advisory' and l.granted and ((l.classid::bigint << 32) | l.objid::bigint) = s.lock_key
    where s.pid = %(pid)s
    union all
    select pg_terminate_backend(a.pid)
    from jobsupervisor.supervisor s join pg_stat_activity a on a.pid = s.backend_pid
    where s.pid = %(pid)s"""
_RUNNING_OF = """
    select count(*) from jobsupervisor.job j join jobsupervisor.supervisor s on s.id = j.owner
    where j.state = 'processing' and s.pid = %(pid)s"""

_REFUSE = """
    create or replace function chaos_refuses() returns trigger language plpgsql as $$
    begin
        if new.outcome <> 'internal' and new.job_id::text ~ '[0-5]$' then
            raise division_by_zero;
        end if;
        return new;
    end $$;
    create or replace trigger chaos_refuses before insert on jobsupervisor.attempt
        for each row execute function chaos_refuses()"""
_TAKE = "drop trigger if exists chaos_refuses on jobsupervisor.attempt"


class Monkey:
    """Kills, stops and cuts off. `done` counts its actions; `problems` has what should not have followed."""

    def __init__(
        self, seed: int, server: EmbeddedServer, admin: Admin, proxy: Proxy, fleet: Fleet, watcher: Watcher
    ) -> None:
        self._random = Random(seed)  # noqa: S311 - for a run that can be repeated
        self._server = server
        self._admin = admin
        self._proxy = proxy
        self._fleet = fleet
        self._watcher = watcher
        self.done: collections.Counter[str] = collections.Counter()
        self.problems: list[str] = []
        quick = {
            "child killed": (14, self._kill_child),
            "fork server killed": (6, self._kill_fork_server),
            "backend terminated": (10, self._terminate_backend),
            "connection cut": (8, lambda: self._proxy.cut(self._random)),
            "answer lost": (14, lambda: self._proxy.lose_answer(self._random)),
            "PostgreSQL restarted, fast": (3, lambda: self._restart("fast")),
            "PostgreSQL restarted, immediate": (3, lambda: self._restart("immediate")),
            "backend killed": (2, self._kill_backend),
        }
        slow = {
            "supervisor killed": (10, self._kill_supervisor),
            "supervisor told to stop": (4, self._tell_to_stop),
            "supervisor stopped, and its jobs rescued": (10, self._stop_until_rescued),
            "supervisor stopped for a while": (4, self._stop_supervisor),
            "fork server stopped for a while": (4, self._stop_fork_server),
            "child stopped for a while": (8, self._stop_child),
            "acks refused for a while": (5, self._refuse_acks),
            "open files short for a while": (5, self._take_files),
        }
        self._quick: dict[str, tuple[int, Callable[[], bool]]] = quick
        self._all: dict[str, tuple[int, Callable[[], bool]]] = quick | slow

    def work(self, *, seconds: float | None, actions: int | None) -> None:
        """Go on for so long, or so often."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while deadline is None or time.monotonic() < deadline:
            if actions is not None and sum(self.done.values()) >= actions:
                return
            self._act(self._all)
            if not self._pace():
                self.problems.append(f"no job came to an end for {PATIENCE:g} s after: {self._last}")
                return

    def _act(self, among: dict[str, tuple[int, Callable[[], bool]]]) -> None:
        name = self._random.choices(list(among), [weight for weight, _ in among.values()])[0]
        self._last = name
        self._watcher.mark(name)
        if among[name][1]():
            self.done[name] += 1

    def _pace(self, jobs: int | None = None) -> bool:
        """Wait until some jobs came to an end."""
        goal = self._watcher.count(*ENDED) + (jobs or self._random.randint(*_PACE))
        return self._fleet.until(lambda: self._watcher.count(*ENDED) >= goal, PATIENCE)

    def _meanwhile(self) -> None:
        """While something is stopped: something else, perhaps, and the others go on."""
        if self._random.random() < 0.4:
            self._act(self._quick)
        self._pace()

    # Supervisors.

    def _kill_supervisor(self) -> bool:
        self._fleet.kill(self._fleet.one(self._random))
        return True

    def _tell_to_stop(self) -> bool:
        return self._fleet.replace(self._fleet.one(self._random))

    def _stop_supervisor(self) -> bool:
        with stopped(self._fleet.one(self._random).process):
            self._meanwhile()
        return True

    def _stop_until_rescued(self) -> bool:
        """Stop one that has jobs, end its sessions, see the others take its jobs; then it goes on, with stale tokens."""
        member = self._fleet.one(self._random)
        with stopped(member.process):
            pid = member.process.pid
            if not self._running_of(pid):
                return False
            self._admin.rows(_SESSIONS_OF, pid=pid)
            deadline = time.monotonic() + _RESCUE_SECONDS
            while running := self._running_of(pid):
                if time.monotonic() > deadline:
                    self.problems.append(f"{running} jobs of {member.log}, stopped and cut off, were not rescued")
                    break
                self._pace(1)
            self._meanwhile()
        return True

    def _running_of(self, pid: int) -> int:
        return int(self._admin.value(_RUNNING_OF, pid=pid))

    def _take_files(self) -> bool:
        """Leave a supervisor hardly any file that it could open, and give them back."""
        pid = self._fleet.one(self._random).process.pid
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            taken = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
            free = (number for number in itertools.count() if number not in taken)
            low = next(itertools.islice(free, self._random.randrange(8), None))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (low, before[1]))
            try:
                self._meanwhile()
            finally:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        return True

    # What is under them.

    def _kill_fork_server(self) -> bool:
        return self._each(Member.fork_servers, psutil.Process.kill)

    def _stop_fork_server(self) -> bool:
        return self._each(Member.fork_servers, self._stop)

    def _kill_child(self) -> bool:
        return self._each(Member.children, psutil.Process.kill)

    def _stop_child(self) -> bool:
        return self._each(Member.children, self._stop)

    def _stop(self, process: psutil.Process) -> None:
        with stopped(process):
            self._meanwhile()

    def _each(self, of: Callable[[Member], list[psutil.Process]], deed: Callable[[psutil.Process], None]) -> bool:
        """Do something to one of a random member's processes; busy children rather than idle ones."""
        found = of(self._fleet.one(self._random))
        if not found:
            return False
        busy = [process for process in found if not _idle(process)]
        with contextlib.suppress(psutil.NoSuchProcess):
            deed(self._random.choice(busy or found))
        return True

    # The database.

    def _terminate_backend(self) -> bool:
        sessions = self._admin.rows(_SESSIONS)
        if sessions:
            self._admin.rows(_TERMINATE, pid=self._random.choice(sessions)["pid"])
        return bool(sessions)

    def _kill_backend(self) -> bool:
        """Kill a session's process: the server ends all the others and recovers from its log."""
        sessions = self._admin.rows(_SESSIONS)
        if sessions:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(self._random.choice(sessions)["pid"]).send_signal(signal.SIGKILL)
        return bool(sessions)

    def _refuse_acks(self) -> bool:
        """Have the database refuse the ends of some jobs, as it does a value that it cannot take, while others go on."""
        self._admin.rows(_REFUSE)
        try:
            self._meanwhile()
        finally:
            self._admin.rows(_TAKE)
        return True

    def _restart(self, mode: str) -> bool:
        self._server.restart("fast" if mode == "fast" else "immediate")
        return True


def _idle(process: psutil.Process) -> bool:
    try:
        return "[idle]" in " ".join(process.cmdline())
    except psutil.Error:
        return True
