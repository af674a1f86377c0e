"""What the clients know: each order, what became of the asking, and what an answer confirmed."""

from __future__ import annotations

import threading

from tests.chaos.orders import Order


class Ledger:
    """Written by all clients, read when they are done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.orders: dict[str, Order] = {}
        self.withdrawn: set[str] = set()
        """Labels of orders whose transaction was rolled back: there must be no such job."""
        self.redrives: dict[str, int] = {}
        """Job → how often somebody asked for a redrive of it, whatever the answer."""
        self.problems: list[str] = []
        """Answers that no client should get."""

    def add(self, order: Order) -> None:
        """Write an order down, before it is sent for the first time."""
        with self._lock:
            self.orders[order.label] = order

    def confirm(self, order: Order, job: str) -> None:
        """Take note of the id that an order got; a second answer must name the same."""
        with self._lock:
            if order.job not in {None, job}:
                self.problems.append(f"{order.label}: one key was answered with two jobs, {order.job} and {job}")
            order.job = job

    def may_redrive(self, job: str, at_most: int) -> bool:
        """Count one redrive more, unless the job has had its share."""
        with self._lock:
            if self.redrives.get(job, 0) >= at_most:
                return False
            self.redrives[job] = self.redrives.get(job, 0) + 1
            return True

    def problem(self, text: str) -> None:
        """Write down an answer that no client should get."""
        with self._lock:
            self.problems.append(text)
