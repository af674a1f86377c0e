"""RenderQueue: enqueue, look, cancel, redrive, with connections of its own and of the caller's."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

import supervisor
from supervisor import ExpectedError, Refused, RenderQueue, RenderTimeout, SchemaError
from supervisor.embedded import EmbeddedServer
from supervisor.store.own_connection import WORK
from tests.client.support import Sessions, count, database_with_schema, enqueuing_role
from tests.queue.support import Queue

CHEAP = """
import sys, supervisor
assert not [name for name in sys.modules if name.startswith(("psycopg", "pydantic", "supervisor."))]
supervisor.register_render_worker
assert not [name for name in sys.modules if name.startswith(("psycopg", "pydantic"))]
supervisor.RenderQueue
"""


def test_importing_the_package_loads_no_driver() -> None:
    """The package is cheap to import, and so is the decorator, in a process that is to know nothing of the database."""
    subprocess.run([sys.executable, "-c", CHEAP], check=True)
    assert all(hasattr(supervisor, name) for name in supervisor.__all__)
    assert set(supervisor.__all__) <= set(dir(supervisor))
    with pytest.raises(AttributeError, match="has no attribute 'RenderQueu'"):
        supervisor.__getattr__("RenderQueu")


def test_every_parameter_arrives(database: str) -> None:
    """All that is passed is in the row that is read back, or is stored for the supervisor."""
    run_at = datetime.now(UTC) + timedelta(days=1)
    with RenderQueue(database) as client, Queue(database) as queue:
        job_id = client.enqueue(
            "svg",
            {"text": "Grüße", "n": 2**70},
            {"width": 7},
            idempotency_key="k",
            priority=3,
            run_at=run_at,
            max_attempts=9,
            timeout=timedelta(seconds=61.5),
            memory_mb=99,
            user_id="u1",
            correlation_id="r1",
        )
        status = client.status(job_id)
        assert status is not None
        assert (status.id, status.kind, status.status, status.is_final) == (job_id, "svg", "queued", False)
        assert (status.priority, status.run_at, status.max_attempts) == (3, run_at, 9)
        assert (status.user_id, status.correlation_id, status.progress) == ("u1", "r1", 0.0)
        stored = queue.stored(str(job_id))
        assert (stored["spec"], stored["config"]) == ({"text": "Grüße", "n": 2**70}, {"width": 7})
        assert (stored["timeout"], stored["memory_mb"], stored["idempotency_key"]) == (
            timedelta(seconds=61.5),
            99,
            "k",
        )
        assert client.status(str(uuid4())) is None


def test_cancel_and_redrive(database: str) -> None:
    """A queued job is cancelled once; a dead letter goes back under its own id; anything else is refused."""
    with RenderQueue(database) as client, Queue(database) as queue:
        first = client.enqueue("noop", {})
        assert [client.cancel(first), client.cancel(str(first)), client.cancel(uuid4())] == [True, False, False]
        second = client.enqueue("noop", {})
        supervisor = queue.supervisor()
        assert supervisor.ack(supervisor.claim_one(), "invalid", error="no") == "failed"
        failed = client.status(second)
        assert failed is not None
        assert (failed.status, failed.failure, failed.error, failed.is_final) == ("failed", "invalid", "no", True)
        assert client.redrive(second) == second
        with pytest.raises(Refused, match="id must be that of a dead letter") as raised:
            client.redrive(second)
        assert raised.value.hint == "render_dead_letters lists them."
        with pytest.raises(Refused, match="job_id must be a UUID, got 'x'"):
            client.cancel("x")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "kind": ({"kind": "nope"}, r"kind must be a registered kind, got 'nope'\nRegistered: .*\n"),
    "spec": ({"spec": []}, "spec must be a JSON object, got array"),
    "spec that is no JSON": ({"spec": {"a": {1, 2}}}, "spec must be what JSON can hold: .*set"),
    "not a number": ({"spec": {"a": float("nan")}}, "spec must be what JSON can hold: Out of range float"),
    "lone surrogate": ({"user_id": "\udc80"}, "text must be valid Unicode"),
    "NUL": ({"spec": {"a": "\0"}}, "unsupported Unicode escape sequence"),
    "NUL in a key": ({"idempotency_key": "\0"}, "NUL"),
    "no zone": ({"run_at": datetime(2030, 1, 1)}, "run_at must have a time zone, got 2030-01-01T00:00:00"),  # noqa: DTZ001
    "timeout": ({"timeout": -1.0}, "timeout must be positive"),
    "too large": ({"memory_mb": 2**40}, "integer out of range"),
}


@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_refused(database: str, wrong: dict[str, Any], said: str) -> None:
    """The error gives the rule, the value and the way out, and nothing is left behind."""
    with RenderQueue(database) as client:
        with pytest.raises(Refused, match=said):
            client.enqueue(**{"kind": "noop", "spec": {}} | wrong)
        assert count(database) == 0


@pytest.mark.parametrize("schema", ["render", 'Odd "%s" name'])
def test_another_public_schema(pg_server: EmbeddedServer, schema: str) -> None:
    """The functions are found wherever they are, and the caller's search path stays as it is."""
    with database_with_schema(pg_server, schema) as url, psycopg.connect(url) as connection:
        client = RenderQueue(connection)
        before = connection.execute("show search_path").fetchone()
        job_id = client.enqueue("noop", {}, user_id="100%")
        assert client.cancel(job_id) is True
        assert client.status(job_id) is not None
        assert connection.execute("show search_path").fetchone() == before


def test_a_function_of_somebody_else_is_not_called(pg_server: EmbeddedServer) -> None:
    """Another role's enqueue_render that stands first on the search path is passed by."""
    with database_with_schema(pg_server, "render") as url, enqueuing_role(url) as theirs:
        with psycopg.connect(url) as connection:
            connection.execute("create schema a; grant all on schema a to client_app; set role client_app")
            connection.execute(
                "create function a.enqueue_render(kind text, spec jsonb, config jsonb, idempotency_key text, "
                "priority integer, run_at timestamptz, max_attempts integer, timeout interval, memory_mb integer, "
                "user_id text, correlation_id text) returns uuid language sql security definer as 'select null::uuid'"
            )
        with RenderQueue(f"{theirs} options='-c search_path=a,render'") as client:
            assert client.status(client.enqueue("noop", {})) is not None


def test_a_database_without_the_schema(pg_server: EmbeddedServer) -> None:
    """The error says what to run."""
    with RenderQueue(pg_server.url()) as client, pytest.raises(SchemaError, match="run `jobsupervisor migrate`"):
        client.enqueue("noop", {})


@pytest.mark.each_server
def test_a_role_with_nothing_but_the_functions(database: str) -> None:
    """Enqueue, look, wait, cancel: all of it takes EXECUTE on the functions and SELECT on the views."""
    with enqueuing_role(database) as url, RenderQueue(url) as client:
        job_id = client.enqueue("noop", {}, idempotency_key="k")
        with pytest.raises(RenderTimeout):
            client.wait(job_id, timeout=0)
        assert client.cancel(job_id) is True
        assert client.wait(job_id).status == "cancelled"


def test_a_role_without_grants(database: str) -> None:
    """The database's refusal comes with what to do."""
    with enqueuing_role(database) as url:
        with psycopg.connect(database) as owner:
            owner.execute("revoke jobsupervisor_enqueuer from client_app")
        with RenderQueue(url) as client, pytest.raises(Refused, match="Grant jobsupervisor_enqueuer to this role"):
            client.enqueue("noop", {})


def test_a_connection_that_the_server_closed(database: str) -> None:
    """What broke while idle is noticed before the next statement, which goes over a new connection."""
    with RenderQueue(database) as client:
        client.enqueue("noop", {})
        assert Sessions(database).end(WORK) == 1
        client.enqueue("noop", {})
    assert count(database) == 2


def test_what_a_queue_is_made_of(database: str) -> None:
    """Anything but a URL or a connection is refused at once; a queue that was closed says so."""
    with pytest.raises(TypeError, match=r"must be given a URL or a psycopg\.Connection, got NoneType"):
        RenderQueue(None)  # type: ignore[arg-type]
    with RenderQueue(database) as client:
        job_id = client.enqueue("noop", {})
    for call in (client.status, client.wait):
        with pytest.raises(ExpectedError, match="must be open, it was closed"):
            call(job_id)
