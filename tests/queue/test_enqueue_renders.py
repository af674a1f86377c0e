"""enqueue_renders: many jobs in one call. What it stores and refuses is what enqueue_render does."""

from __future__ import annotations

import time
import uuid

import psycopg
import pytest

from tests.queue.support import Queue, heard, listening, refusal
from tests.queue.test_enqueue import REFUSED, assert_nothing_enqueued

TYPES = {
    "kind": "text",
    "spec": "jsonb",
    "config": "jsonb",
    "timeout": "interval",
    "memory_mb": "integer",
    "max_attempts": "integer",
    "run_at": "timestamptz",
    "user_id": "text",
    "correlation_id": "text",
    "idempotency_key": "text",
}
GOOD = {"kind": "'noop'", "spec": "'{}'"}


def beside_a_good_one(arguments: str) -> str:
    """Return the arguments of one call of enqueue_render as those of enqueue_renders, with a job before it."""
    kind, spec, *others = arguments.split(", ")
    given = {"kind": kind, "spec": spec} | dict(other.split(" => ") for other in others)
    return ", ".join(
        f"{name} => array[{GOOD.get(name, 'null')}, {value}]::{TYPES[name]}[]" for name, value in given.items()
    )


@pytest.mark.each_server
def test_the_rows_of_a_query(database: str) -> None:
    """A client's own statement can enqueue what it selects; ids come in its order, ascend, and are claimed in it."""
    with Queue(database) as queue:
        ids = queue.rows(
            "select enqueue_renders(array_agg('noop'::text order by n), array_agg(jsonb_build_object('n', n) order by n),"
            " user_id => array_agg('u' || n %% 2 order by n)) as id from generate_series(1, 5000) n"
        )
        found = [row["id"] for row in ids]
        assert found == sorted(set(found))
        assert {job_id.version for job_id in found} == {7}
        stored = queue.rows("select spec, config, user_id, state::text from jobsupervisor.job order by id")
        assert [row["spec"]["n"] for row in stored] == list(range(1, 5001))
        assert {(row["spec"]["n"] % 2, row["user_id"]) for row in stored} == {(0, "u0"), (1, "u1")}
        assert {row["state"] for row in stored} == {"queued"}
        assert queue.supervisor().claim_one().id == str(found[1])  # the oldest of the first tenant


def test_an_id_does_not_tell_another(database: str) -> None:
    """Their random parts differ within a call and between calls, as do those of enqueue_render."""
    with Queue(database) as queue:
        calls = [
            [
                row["id"]
                for row in queue.rows(
                    "select enqueue_renders(array_fill('noop'::text, '{200}'), array_fill('{}'::jsonb, '{200}')) as id"
                )
            ]
            for _ in range(3)
        ]
        found = [job_id for ids in calls for job_id in ids]
        assert {job_id.variant for job_id in found} == {uuid.RFC_4122}
        random_parts = [job_id.int & (2**60 - 1) for job_id in found]
        assert len(set(random_parts)) == len(found)
        # Each of their digits takes all sixteen values: nothing in them is a count or a clock.
        assert all(len({part >> 4 * digit & 15 for part in random_parts}) == 16 for digit in range(15))


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_one_that_is_wrong_is_refused_with_all(database: str, arguments: str, message: str) -> None:
    """By the same words as alone; neither it nor the one before it leaves anything."""
    with Queue(database) as queue, listening(queue, "jobsupervisor_wake") as wakes:
        with pytest.raises(psycopg.errors.InvalidParameterValue) as raised:
            queue.client.execute(f"select enqueue_renders({beside_a_good_one(arguments)})".encode())
        assert refusal(raised.value)[0] == message
        assert_nothing_enqueued(queue)
        assert heard(queue, wakes) == []


def test_one_over_the_limit_is_refused(database: str) -> None:
    """Each job has the limit to itself."""
    with Queue(database) as queue:
        queue.client.execute("update jobsupervisor.default_limits set spec_bytes = 100")
        call = "select count(*) from enqueue_renders(array['noop', 'noop'], array[%s, %s]::jsonb[])"
        assert queue.client.execute(call, [f'{{"a": "{"x" * 80}"}}'] * 2).fetchone() == (2,)
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="at most 100 bytes together, got 142"):
            queue.client.execute(call, ["{}", f'{{"a": "{"x" * 131}"}}'])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("array['noop'], '{}'", "spec must have as many elements as kind, 1, got 0"),
        ("array['noop'], null", "spec must have as many elements as kind, 1, got 0"),
        (
            "array['noop'], array['{}']::jsonb[], user_id => array['a', 'b']",
            "user_id must have as many elements as kind, 1, got 2",
        ),
        ("null, array['{}']::jsonb[]", "spec must have as many elements as kind, 0, got 1"),
    ],
)
def test_arrays_of_other_lengths(database: str, arguments: str, message: str) -> None:
    """It is said which one, and how long it is."""
    with Queue(database) as queue:
        with pytest.raises(psycopg.errors.InvalidParameterValue) as raised:
            queue.client.execute(f"select enqueue_renders({arguments})".encode())
        assert refusal(raised.value)[0] == message
        assert_nothing_enqueued(queue)


def test_none(database: str) -> None:
    """No job, and nobody is woken."""
    with Queue(database) as queue, listening(queue, "jobsupervisor_wake") as wakes:
        queue.supervisor()
        assert queue.rows("select enqueue_renders('{}', '{}')") == []
        assert heard(queue, wakes) == []


def test_who_is_told(database: str) -> None:
    """A call tells of work that can run now once, and of delayed work once for each second in which some is due."""
    soon = int(time.time()) + 5
    times = [None, soon + 0.25, soon + 0.75, soon + 1.5, None]
    with Queue(database) as queue, listening(queue, "jobsupervisor_wake") as wakes:
        queue.supervisor()
        queue.client.execute(
            "select enqueue_renders(array_fill('noop'::text, array[5]), array_fill('{}'::jsonb, array[5]),"
            " run_at => array(select to_timestamp(t) from unnest(%s::float8[]) with ordinality u (t, n) order by n))",
            [times],
        )
        states = queue.rows("select state::text from jobsupervisor.job order by id")
        assert [row["state"] for row in states] == ["queued", "delayed", "delayed", "delayed", "queued"]
        assert sorted(payload for _, payload in heard(queue, wakes)) == ["", str(soon), str(soon + 1)]
