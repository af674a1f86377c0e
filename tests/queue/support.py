"""What the tests of the queue share: one client, any number of supervisors' stores, and names that are held.

A `Queue` is a database seen from outside. Its supervisors are stores without children: a test claims and acks by hand,
in the order that a race needs. All of them are closed at the end of the `with` block.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import orjson
import psycopg
from psycopg.rows import dict_row

from renderer.outcome import Outcome
from supervisor.artifacts import ArtifactStore
from supervisor.forkserver import KindInfo
from supervisor.model import Ack, Artifact, Ending, Job, Token
from supervisor.retention import Kept, keep_house
from supervisor.settings import Settings, load
from supervisor.store.exchange import Exchanged
from supervisor.store.poll import Polled
from supervisor.store.queue import QueueStore
from supervisor.store.statements import query

T = TypeVar("T")

KINDS = {
    name: KindInfo(name, writes_output=name != "noop", reusable=True, spec_schema=None)
    for name in ("noop", "scene", "svg")
}
ARTIFACT = Artifact("file:///artifacts/one.png", "ab" * 32, 1234, "image/png")
WAIT_SECONDS = 60.0
"""How long a notification that must come may take. What comes is returned at once."""


def settings_for(url: str, name: str = "a", **settings: Any) -> Settings:
    """Return a supervisor's settings; retries are due at once unless a test says otherwise."""
    return load(
        {"DATABASE_URL": url, "RENDER_SUPERVISOR_NAME": name, "RENDER_RETRY_DELAY_SECONDS": 0, "RENDER_CONCURRENCY": 2}
        | settings
    )


def ack_of(job: Job, outcome: Outcome | str | None = Outcome.OK, **fields: Any) -> Ack:
    """Return the ack of a claim; without an outcome it gives the job back."""
    return Ack(job.id, job.token, None if outcome is None else Ending(Outcome(outcome), **fields))


class Supervisor:
    """One supervisor's side of the queue."""

    def __init__(self, runner: asyncio.Runner, store: QueueStore) -> None:
        self._runner = runner
        self.store = store

    @property
    def owner(self) -> int:
        """The id that its claims carry."""
        return self.store.owner

    def exchange(
        self,
        *acks: Ack,
        progress: Mapping[tuple[str, Token], float] | None = None,
        kinds: Sequence[str] = tuple(KINDS),
        want: int = 0,
    ) -> Exchanged:
        """Send one exchange."""
        return self._runner.run(self.store.exchange(acks, progress or {}, kinds, want))

    def claim(self, want: int = 1, kinds: Sequence[str] = tuple(KINDS)) -> list[Job]:
        """Claim, and acknowledge nothing: ask again as long as the answer says that there is more."""
        claimed: list[Job] = []
        empty = 0  # the first may have queued what was delayed; a second finds only what somebody holds
        while len(claimed) < want and empty < 2:
            answer = self.exchange(want=want - len(claimed), kinds=kinds)
            claimed += answer.claimed
            empty = 0 if answer.claimed else empty + 1
            if not answer.more:
                break
        return claimed

    def claim_one(self) -> Job:
        """Claim one job, which must be there."""
        (job,) = self.claim()
        return job

    def ack(self, job: Job, outcome: Outcome | str | None = Outcome.OK, **fields: Any) -> str:
        """Acknowledge one claim; return the verdict."""
        return self.send(ack_of(job, outcome, **fields))

    def send(self, ack: Ack) -> str:
        """Send one ack; return its verdict."""
        (verdict,) = self.exchange(ack).verdicts
        assert (verdict.job_id, verdict.attempt) == (ack.job_id, ack.token.attempt)
        return verdict.verdict

    def moved(self, job: Job, fraction: float) -> None:
        """Write a job's progress."""
        self.exchange(progress={(job.id, job.token): fraction})

    def poll(self, known: Sequence[Job] = (), kinds: Sequence[str] = tuple(KINDS), *, old: bool = False) -> Polled:
        """Send the fallback poll, knowing of these claims."""
        return self._runner.run(self.store.poll(kinds, [(job.id, job.token) for job in known], old=old))

    def passes(self, seconds: float) -> None:
        """Let time go by for this supervisor: on its own monotonic clock, by which it tells how long others are silent."""
        silences = self.store.silences
        before = silences.monotonic
        silences.monotonic = lambda: before() + seconds

    def poll_after_grace(self) -> Polled:
        """Poll, and once more when everybody who was silent then has been so for an hour."""
        self.poll()
        self.passes(3600)
        return self.poll()


class Queue:
    """A migrated database: a client in autocommit, and supervisors."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._open = ExitStack()
        self._names: dict[str, psycopg.Connection[Any]] = {}

    def __enter__(self) -> Self:
        self._runner = self._open.enter_context(asyncio.Runner())
        self.client = self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()

    def at_end(self, work: Callable[[], object]) -> None:
        """Have something done at the end of the `with` block."""
        self._open.callback(work)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop of the supervisors."""
        return self._runner.run(work)

    def connect(self, *, autocommit: bool = True, **options: Any) -> psycopg.Connection[Any]:
        """Open another client's connection."""
        return self._open.enter_context(psycopg.connect(self.url, autocommit=autocommit, **options))

    def supervisor(self, name: str = "a", only: str | None = None, **settings: Any) -> Supervisor:
        """Register a supervisor."""
        store = QueueStore(settings_for(self.url, name, **settings), name, only)
        self._open.callback(lambda: self._runner.run(store.close()))
        self._runner.run(store.connect())
        self._runner.run(store.register(KINDS))
        return Supervisor(self._runner, store)

    def hold_name(self, name: str) -> None:
        """Take a name's lock in a session of its own, as a living supervisor does."""
        self._names[name] = connection = self.connect()
        row = connection.execute(query("lock_name"), {"name": name}).fetchone()
        assert row == (True,)

    def end_name(self, name: str) -> None:
        """End the session that holds a name, as the death of its process does; it is gone when this returns."""
        with self._names.pop(name) as connection:
            self.end_session(connection.info.backend_pid)

    def end_session(self, pid: int) -> None:
        """End a session; it is gone when this returns."""
        assert self.value("select pg_terminate_backend(%s, 5000)", pid) is True

    def value(self, statement: str, *parameters: Any) -> Any:
        """Return the first value of the first row."""
        row = self.client.execute(statement, parameters).fetchone()
        assert row is not None
        return row[0]

    def rows(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """Return all rows, by column."""
        with self.client.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, parameters).fetchall()

    def enqueue(self, kind: str = "noop", spec: object = None, **options: Any) -> str:
        """Enqueue a job; `options` are the other parameters of enqueue_render."""
        return enqueue(self.client, kind, {} if spec is None else spec, **options)

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job's row as applications see it."""
        (row,) = self.rows("select * from render_jobs where id = %s", job_id)
        return row

    def stored(self, job_id: str) -> dict[str, Any]:
        """Return a live job's row as it is stored."""
        (row,) = self.rows("select * from jobsupervisor.job where id = %s", job_id)
        return row

    def attempts(self, job_id: str) -> list[tuple[int, str | None]]:
        """Return number and outcome of a job's attempts, in order."""
        found = self.rows("select attempt, outcome from render_attempts where job_id = %s order by attempt", job_id)
        return [(row["attempt"], row["outcome"]) for row in found]


def enqueue(connection: psycopg.Connection[Any], kind: str, spec: object, **options: Any) -> str:
    """Enqueue a job on a client's connection, whatever its transaction."""
    values: dict[str, Any] = {"kind": kind, "spec": orjson.dumps(spec).decode(), **options}
    named = psycopg.sql.SQL(", ").join(
        psycopg.sql.SQL("{} => {}").format(psycopg.sql.Identifier(name), psycopg.sql.Placeholder(name))
        for name in values
    )
    row = connection.execute(psycopg.sql.SQL("select enqueue_render({})").format(named), values).fetchone()
    assert row is not None
    return str(row[0])


def refusal(error: psycopg.Error) -> tuple[str, str]:
    """Return the message and the hint of an error; both must be there."""
    said = error.diag.message_primary, error.diag.message_hint
    assert all(said), said
    return cast("tuple[str, str]", said)


@contextmanager
def listening(queue: Queue, *channels: str) -> Iterator[psycopg.Connection[Any]]:
    """Subscribe a connection to channels for the time of a `with` block."""
    with psycopg.connect(queue.url, autocommit=True) as connection:
        for channel in channels:
            connection.execute(psycopg.sql.SQL("listen {}").format(psycopg.sql.Identifier(channel)))
        yield connection


def heard(queue: Queue, listener: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Return channel and payload of all that was said until now: a last word of our own marks the end."""
    listener.execute("listen the_end")
    queue.client.execute("notify the_end")
    found: list[tuple[str, str]] = []
    for notice in listener.notifies(timeout=WAIT_SECONDS):
        if notice.channel == "the_end":
            return found
        found.append((notice.channel, notice.payload))
    raise AssertionError(f"the last word never came, only {found}")


def house_kept(settings: Settings, artifacts: ArtifactStore | None = None, **options: Any) -> Kept:
    """Do a round of housekeeping, with nobody else at it: the lock of a round that ended is free when its session is gone."""
    pause, deadline = select.poll(), time.monotonic() + WAIT_SECONDS
    while (kept := keep_house(settings, artifacts, **options)) is None:
        assert time.monotonic() < deadline, "another round never ends"
        pause.poll(10)
    return kept
