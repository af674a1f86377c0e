"""Final statuses as they happen, for threads: one LISTEN connection, however many of them wait, and no thread of ours.

Of the waiting threads one has the turn: it reads the connection and tells the others. When it leaves, because its own
job ended or its time is over, another one takes the turn.

Why no event is lost. A watch begins with LISTEN in force; only then its owner looks at the job. What ended before is
seen by that look, what ends later is notified, and a notification that comes between the look and the wait has set
`heard`, so that the wait returns at once and the owner looks again. When the connection breaks, what was said meanwhile
is lost: so after the next LISTEN every watch is told to look. A notification is a hint: the row is the truth.

While nobody waits the session listens to nothing. One that listens and is not read would, in the end, fill the
server's queue of notifications, and nobody in the whole cluster could notify any more.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg

from supervisor.errors import DatabaseUnreachable
from supervisor.store.connection import unreachable
from supervisor.store.deadline import Deadline, pauses
from supervisor.store.job_status import RenderTimeout, ended_job
from supervisor.store.own_connection import EVENTS, closed, open_connection
from supervisor.store.statements import query


class Watch:
    """One thread's wait for one job."""

    def __init__(self, events: Events, job_id: UUID) -> None:
        self._events = events
        self.job_id = job_id
        self.heard = False

    def wait(self, deadline: Deadline) -> None:
        """Return when there is a reason to look. Raises RenderTimeout."""
        self._events.wait(self, deadline)


class Events:
    """The LISTEN connection of a client."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None
        self._watches: defaultdict[UUID, set[Watch]] = defaultdict(set)
        self._changed = threading.Condition()
        self._taken = False
        self._closed = False

    @contextmanager
    def watch(self, job_id: UUID) -> Iterator[Watch]:
        """Yield a watch: from here on, no end of the job is missed. Raises DatabaseUnreachable."""
        watch = Watch(self, job_id)
        with self._changed:
            if self._closed:
                raise closed()
            if not self._watches:
                self._subscribe()
            self._watches[job_id].add(watch)
        try:
            yield watch
        finally:
            with self._changed:
                self._watches[job_id].discard(watch)
                if not self._watches[job_id]:
                    del self._watches[job_id]
                if not self._watches:
                    self._unsubscribe()

    def wait(self, watch: Watch, deadline: Deadline) -> None:
        """Wait for a watch's reason to look: read for all when the turn is free, else wait to be told."""
        with self._changed:
            while self._taken and not watch.heard:
                if not self._changed.wait(deadline.left()):
                    raise RenderTimeout(watch.job_id)
            if watch.heard:
                watch.heard = False
                return
            self._taken = True
        try:
            self._read(watch, deadline)
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()
        watch.heard = False

    def close(self) -> None:
        """Close the connection for good."""
        with self._changed:
            self._closed = True
            self._disconnect()

    def _read(self, watch: Watch, deadline: Deadline) -> None:
        """Read, tell, and return when this watch was told itself. Only the thread that has the turn is here."""
        while not watch.heard:
            if deadline.is_over:
                raise RenderTimeout(watch.job_id)
            if self._connection is None:
                self._reconnect(watch, deadline)
                continue  # told to look
            try:
                for notice in self._connection.notifies(timeout=deadline.left(), stop_after=1):
                    self._tell(ended_job(notice.payload))
            except (psycopg.Error, UnicodeError):
                self._disconnect()

    def _reconnect(self, watch: Watch, deadline: Deadline) -> None:
        """Listen again, as soon as the database can be reached; then everybody must look."""
        for pause in pauses():
            if self._closed:
                raise closed()
            try:
                self._subscribe()
                break
            except DatabaseUnreachable as error:
                if deadline.is_over:
                    raise RenderTimeout(watch.job_id) from error
                time.sleep(deadline.at_most(pause))
        with self._changed:
            every = list(self._watches)
        for job_id in every:
            self._tell(job_id)

    def _tell(self, job_id: UUID | None) -> None:
        with self._changed:
            if job_id is not None and job_id in self._watches:
                for watch in self._watches[job_id]:
                    watch.heard = True
                self._changed.notify_all()

    def _subscribe(self) -> None:
        """Put LISTEN in force, on the connection that there is or on a new one. Raises DatabaseUnreachable."""
        if self._connection is not None:
            try:
                self._connection.execute(query("listen_events"))
            except psycopg.Error:
                self._disconnect()  # broken while nobody used it
            else:
                return
        connection = open_connection(self._url, EVENTS)
        try:
            connection.execute(query("listen_events"))
        except psycopg.Error as error:
            connection.close()
            raise unreachable(error) from error
        self._connection = connection

    def _unsubscribe(self) -> None:
        if self._connection is not None:
            try:
                self._connection.execute(query("unlisten_events"))
            except psycopg.Error:
                self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()
