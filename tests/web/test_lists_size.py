"""The lists of the pages at size: what each asks touches little, however much there is. No time is measured: plans and buffers are."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from supervisor.store.calls import Call
from supervisor.store.statements import query
from supervisor.web.pages.lists import LETTERS, PAGE, RESULTS, dead_letters_page, history, search
from tests.queue.support import Queue

MOST = 400
"""Buffers of 8 KB: each has a look into every week."""
LIVE, FINISHED, DEAD = 100_000, 50_000, 10_000
FILL = (
    """
    insert into jobsupervisor.job (id, kind, spec, config, user_id, correlation_id)
    select lpad(to_hex(n), 32, '0')::uuid, 'noop', '{}', '{}', 't' || n % 500, 'live' || n from generate_series(1, %s) n
    """,
    """
    insert into jobsupervisor.finished_job (
        id, kind, status, priority, run_at, attempt, charged, user_id, correlation_id, output_url, created_at, finished_at)
    select ('a' || lpad(to_hex(n), 31, '0'))::uuid, 'noop', 'completed', 0, now(), 1, 1, 't' || n % 500, 'done' || n,
        case when n % 2 = 0 then 'file:///' || n end, now(), now() - n * interval '1 s'
    from generate_series(1, %s) n
    """,
    """
    insert into jobsupervisor.dead_letter (
        id, kind, priority, run_at, attempt, charged, offences, progress, failure, created_at, died_at, spec, config)
    select ('b' || lpad(to_hex(n), 31, '0'))::uuid, 'noop', 0, now(), 2, 2, 2, 0, 'crash', now(), now() - n / 100 * interval '1 s', '{}', '{}'
    from generate_series(1, %s) n
    """,
)


def fill(queue: Queue) -> None:
    """Have that many jobs."""
    for statement, count in zip(FILL, (LIVE, FINISHED, DEAD), strict=True):
        queue.client.execute(statement.replace("% ", "%% ").encode(), (count,))
    queue.client.execute("vacuum analyze jobsupervisor.job, jobsupervisor.finished_job, jobsupervisor.dead_letter")


def plan(queue: Queue, name: str, parameters: Any) -> dict[str, Any]:
    """Return how a statement was carried out."""
    with psycopg.ClientCursor(queue.client) as client:
        client.execute(
            "explain (analyze, buffers, format json) " + query(name).replace("__public__", "public"), parameters
        )
        row: Any = client.fetchone()
    return dict(row[0][0]["Plan"])


def touched(found: dict[str, Any]) -> int:
    """Return how many buffers it touched."""
    return int(found["Shared Hit Blocks"] + found["Shared Read Blocks"])


def read_through(found: dict[str, Any]) -> set[str]:
    """Return the tables that it read from end to end."""
    own = {found["Relation Name"]} if found["Node Type"] == "Seq Scan" and found["Actual Rows"] > PAGE else set()
    return own.union(*(read_through(part) for part in found.get("Plans", [])))


def asked(call: Call[Any]) -> tuple[str, Any]:
    """Return what a call sends."""
    return call.name, call.parameters


@pytest.mark.each_server
def test_each_list_touches_little(database: str) -> None:
    """The dashboard's lists, a page in the middle, a history; and no search reads through what is finished."""
    with Queue(database) as queue:
        fill(queue)
        middle = queue.client.execute(
            "select died_at, id from jobsupervisor.dead_letter order by died_at, id offset %s limit 1", (DEAD // 2,)
        ).fetchone()
        assert middle is not None
        few = {
            "results": plan(queue, "results", {"limit": RESULTS}),
            "dead letters": plan(queue, *asked(dead_letters_page(LETTERS))),
            "dead letters, middle": plan(queue, *asked(dead_letters_page(PAGE, *middle))),
            "history": plan(queue, *asked(history(middle[1]))),
        }
        assert [found["Actual Rows"] for found in few.values()] == [RESULTS, LETTERS, PAGE, 0]
        assert {name: touched(found) for name, found in few.items() if touched(found) > MOST} == {}
        assert {name: read_through(found) for name, found in few.items() if read_through(found)} == {}

        texts = {"t7": PAGE, "done4711": 1, "live4711": 1, "nothing": 0, "a" + 27 * "0" + "126": 16}
        for text, rows in texts.items():
            found = plan(queue, *asked(search(text, None)))
            assert found["Actual Rows"] == rows, text
            assert read_through(found) <= {"job", "dead_letter"}, text
