"""Clients: each a thread with one connection that enqueues, sends twice, cancels, redrives, and outlives the database.

A statement whose answer was lost is sent again only where that is safe: an order with an idempotency key. One without is
left as it is, sent or not; the ledger knows that nobody was told.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.chaos.admin import Admin
from tests.chaos.ledger import Ledger
from tests.chaos.orders import Order, Orders
from tests.chaos.watcher import Watcher

APPLICATION = "chaos client"
_MOST_LIVE = 40
_AT_ONCE = 4
_TOO_MANY_SECONDS = 2.0
"""How long a client waits for word from the supervisors before it looks at the queue again."""
_RECONNECT_SECONDS = 0.05
_MOST_REDRIVES = 2
_GATE_SECONDS = 5.0

_LIVE = "select count(*) as live from render_jobs where status in ('queued', 'processing')"
_DEAD = "select id from render_dead_letters order by died_at desc limit 20"
_CANCEL = "select cancel_render(%(id)s) as cancelled"
_REDRIVE = "select redrive_render(%(id)s)"


class AnswerLost(Exception):  # noqa: N818 - reads as what happened
    """The connection broke: what was asked may have been done."""


class Client(threading.Thread):
    """Works until `stop` is called; then finishes what it is at."""

    def __init__(
        self, number: int, url: str, seed: int, directory: Path, admin: Admin, watcher: Watcher, ledger: Ledger
    ) -> None:
        super().__init__(name=f"client {number}")
        self._url = url
        self._random = Random(seed)  # noqa: S311 - for a run that can be repeated
        self._orders = Orders(f"c{number}", self._random, directory)
        self._admin = admin
        self._watcher = watcher
        self._ledger = ledger
        self._connection: psycopg.Connection[dict[str, Any]] | None = None
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()

    def run(self) -> None:
        """Send orders while there is room in the queue."""
        try:
            while not self._stopping.is_set():
                if self._room():
                    for _ in range(_AT_ONCE):
                        self._one()
        except Exception as error:  # noqa: BLE001 - a thread's exception is seen by nobody else
            self._ledger.problem(f"{self.name} ended: {error!r}")
        finally:
            self._disconnect()

    def _room(self) -> bool:
        """Whether there is room in the queue; where there is none, wait for some."""
        # Not over the connection of the orders: it is these whose answers shall get lost.
        if self._admin.value(_LIVE) < _MOST_LIVE:
            return True
        before = self._watcher.count("job.completed", "job.failed")
        self._watcher.until(
            lambda: self._stopping.is_set() or self._watcher.count("job.completed", "job.failed") >= before + 3,
            _TOO_MANY_SECONDS,
        )
        return False

    def _one(self) -> None:
        order = self._orders.next()
        self._ledger.add(order)
        chance = self._random.random()
        if chance < 0.03:
            self._roll_back(order)
            return
        self._send(order)
        if order.keyed and self._random.random() < 0.3:
            self._send(order)
        if order.job is None:
            if order.gate is not None:
                # The answer was lost, perhaps on its way back: a job that waits at its gate may be there all the same.
                order.gate.touch()
            return
        if order.gate is not None:
            self._at_the_gate(order, order.job, order.gate)
        elif self._random.random() < 0.05:
            self._cancel(order, order.job)
        if self._random.random() < 0.06:
            self._redrive()

    def _send(self, order: Order) -> None:
        """Enqueue; with a key, until somebody says that it is done."""
        while True:
            try:
                row = self._ask(*_enqueue(order))[0]
            except AnswerLost:
                if not order.keyed:
                    return
                self._watcher.note("client.sent_again")
            else:
                self._ledger.confirm(order, str(row["id"]))
                return

    def _roll_back(self, order: Order) -> None:
        """Enqueue in a transaction that comes to nothing."""
        self._ledger.withdrawn.add(order.label)
        try:
            self._ask("begin")
            self._ask(*_enqueue(order))
            self._ask("rollback")
        except AnswerLost:
            return  # which rolls it back as well

    def _at_the_gate(self, order: Order, job: str, gate: Path) -> None:
        """See the job run; cancel it or not; open its gate."""
        try:
            if self._random.random() < 0.5:
                self._watcher.until(lambda: job in self._watcher.started, _GATE_SECONDS)
                self._cancel(order, job)
        finally:
            gate.touch()

    def _cancel(self, order: Order, job: str) -> None:
        order.maybe_cancelled = True
        try:
            order.told_cancelled = bool(self._ask(_CANCEL, {"id": job})[0]["cancelled"])
            order.maybe_cancelled = order.told_cancelled
        except AnswerLost:
            return

    def _redrive(self) -> None:
        try:
            dead = [str(row["id"]) for row in self._ask(_DEAD)]
            if dead and self._ledger.may_redrive(job := self._random.choice(dead), _MOST_REDRIVES):
                self._ask(_REDRIVE, {"id": job})
        except (AnswerLost, psycopg.errors.NoDataFound):
            return  # or another client was quicker

    def _ask(self, statement: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Run a statement. Raises AnswerLost."""
        connection = self._connected()
        try:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []
        except psycopg.OperationalError as error:
            self._disconnect()
            self._watcher.note("client.cut_off")
            raise AnswerLost from error

    def _connected(self) -> psycopg.Connection[dict[str, Any]]:
        while self._connection is None:
            try:
                self._connection = psycopg.connect(
                    self._url, autocommit=True, row_factory=dict_row, application_name=APPLICATION
                )
            except psycopg.OperationalError as error:
                if self._stopping.wait(_RECONNECT_SECONDS):
                    raise AnswerLost from error
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _enqueue(order: Order) -> tuple[str, dict[str, Any]]:
    """Return the call of the public function, and its parameters."""
    extra = "".join(f", {name} => %({name})s" for name in order.parameters)
    statement = (
        f"select enqueue_render(kind => %(kind)s, spec => %(spec)s::jsonb, config => %(config)s::jsonb{extra}) as id"
    )
    parameters = {"kind": order.kind, "spec": json.dumps(order.spec), "config": json.dumps(order.config)}
    return statement, {**parameters, **order.parameters}
