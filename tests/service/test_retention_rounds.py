"""A running service drops what is old, and asks about that with its poll."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

from tests.database.support import event
from tests.queue.test_retention import OLD_WEEK
from tests.service.support import Queue, Service

OFTEN = """
import random, sys
random.uniform = lambda least, most: least / 1e5
from supervisor.cli import main
sys.exit(main())
"""
"""The service, with its rounds some milliseconds apart: the times between them are drawn."""
WEEKS = "select count(*) as weeks from pg_inherits where inhrelid::regclass::text ~ '_2001w02$'"


class OftenService(Service):
    """A service whose rounds are close to each other."""

    command = (sys.executable, "-c", OFTEN, "run")


def test_a_week_that_became_old_is_dropped(database: str, tmp_path: Path) -> None:
    """It was not there when the service started; a later round's poll finds it."""
    with (
        psycopg.connect(database, autocommit=True) as client,
        Queue(database) as queue,
        OftenService(database, tmp_path, RENDER_POLLING_INTERVAL=0.1) as service,
    ):
        service.ready()
        for parent in ("finished_job", "attempt"):
            client.execute(OLD_WEEK.format(parent).encode())
        queue.until_row(WEEKS, lambda row: row["weeks"] == 0)
        assert service.stop() == 0
        assert sum(line["partitions"] for line in service.events("retention.done")) == 2


def test_a_question_that_fails_is_put_off(database: str, tmp_path: Path) -> None:
    """More days than the calendar has: retention says so, at each round, and jobs go on."""
    settings = {"RENDER_RETENTION_DAYS": 9e9, "RENDER_POLLING_INTERVAL": 0.1}
    with Queue(database) as queue, OftenService(database, tmp_path, **settings) as service:
        service.ready()
        event(service, "retention.put_off")
        assert queue.final(queue.enqueue("noop", {}))["status"] == "completed"
        assert service.stop() == 0
