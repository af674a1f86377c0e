"""Health: by a render that went well, not by a port that is open; and it costs the database nothing."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil

from tests.database.support import end, event, migrated_server, recovered
from tests.prepared import CHECKOUT
from tests.service.support import PATIENCE, Service
from tests.web.support import DESKS, SQUARE, ids, metric, web_service

STATEMENTS = sorted(path.stem for path in (CHECKOUT / "sql" / "queries").iterdir())


def test_a_service_that_renders_is_healthy(database: str, tmp_path: Path) -> None:
    """Each component says what it found; the first question tries a render."""
    with web_service(database, tmp_path) as (service, queue, client):
        answer = client.get("/api/health")
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["status"], told["problems"]) == ("ok", [])
        assert {"database", "listener", "children", "circuit_breakers", "canary", "kinds"} <= set(told["components"])
        assert "trial render" in told["components"]["canary"]["found"]
        # It leaves nothing: neither a job nor an artifact.
        assert queue.rows("select 1 from render_jobs") == []
        assert service.published() == []


def test_a_job_that_went_well_is_proof_enough(database: str, tmp_path: Path) -> None:
    """No trial is made then."""
    with web_service(database, tmp_path) as (_, queue, client):
        queue.final(queue.enqueue("svg", SQUARE))
        assert "trial" not in client.get("/api/health").json()["components"]["canary"]["found"]


def test_a_failure_of_ours_ends_the_proof(database: str, tmp_path: Path) -> None:
    """A disk that takes no artifact any more is seen at once, however well the last render went; and when it is back, too."""
    with web_service(database, tmp_path, RENDER_RETRY_DELAY_SECONDS=0.5) as (service, queue, client):
        queue.final(queue.enqueue("svg", SQUARE))
        (tmp_path / "artifacts").rename(tmp_path / "away")
        (tmp_path / "artifacts").touch()
        job = queue.enqueue("svg", SQUARE)
        event(service, "job.retried", job_id=job, outcome="internal")
        answer = client.get("/api/health")
        assert answer.status_code == 503
        assert "internal" in answer.json()["components"]["canary"]["found"]
        (tmp_path / "artifacts").unlink()
        (tmp_path / "away").rename(tmp_path / "artifacts")
        assert client.get("/api/health").status_code == 200
        assert queue.final(job)["status"] == "completed"


def test_asking_sends_no_statement(database: str, tmp_path: Path) -> None:
    """Neither health nor metrics nor the canary ask the database, and no connection is opened for them."""
    with web_service(database, tmp_path) as (_, queue, client):
        queue.final(queue.enqueue("noop", {}))
        client.get("/api/health")
        before = [metric(client, "statements_total", statement=name) for name in STATEMENTS]
        for path in ("/api/health", "/api/health/live", "/api/health/ready", "/api/metrics") * 20:
            assert client.get(path).status_code == 200
        assert [metric(client, "statements_total", statement=name) for name in STATEMENTS] == before
        assert queue.rows(DESKS) == []


def test_all_children_busy_is_no_fault(database: str, tmp_path: Path) -> None:
    """Each is held to its time."""
    with web_service(database, tmp_path, RENDER_CONCURRENCY=1) as (_, queue, client):
        job = queue.enqueue("gate", {"gate": str(tmp_path / "gate")})
        queue.running(job)
        answer = client.get("/api/health")
        assert answer.status_code == 200, answer.text
        assert "1 children have a job" in answer.json()["components"]["canary"]["found"]
        (tmp_path / "gate").touch()
        queue.final(job)


def test_artifacts_that_cannot_be_stored_are_unhealthy(database: str, tmp_path: Path) -> None:
    """The port is open and the database answers, and still nothing would be rendered."""
    with web_service(database, tmp_path) as (_, _, client):
        (tmp_path / "artifacts").rename(tmp_path / "away")
        answer = client.get("/api/health")
        assert answer.status_code == 503
        assert any("canary" in problem for problem in answer.json()["problems"])
        (tmp_path / "away").rename(tmp_path / "artifacts")
        assert client.get("/api/health").status_code == 200


def test_a_database_that_is_away_is_unhealthy_at_once(tmp_path: Path) -> None:
    """Health says so and lists are refused without a wait, liveness stays; all is well when the server is back."""
    with migrated_server() as server, web_service(server.url(), tmp_path) as (service, _, client):
        assert client.get("/api/health").status_code == 200
        end(server)
        event(service, "database.lost", connection="work")
        event(service, "database.lost", connection="listen")
        told = client.get("/api/health")
        assert told.status_code == 503
        assert {"database", "listener", "circuit_breakers"} <= {line.split(":")[0] for line in told.json()["problems"]}
        assert client.get("/api/health/ready").status_code == 503
        assert client.get("/api/health/live").status_code == 200
        assert client.get("/api/jobs").status_code == 503
        assert metric(client, "link_up", link="work") == 0
        server.restart()
        recovered(service, "work", "listen")
        assert client.get("/api/health").status_code == 200
        assert ids(client.get("/api/jobs")) == []


def test_not_ready_while_it_drains(database: str, tmp_path: Path) -> None:
    """A balancer sends elsewhere while the last jobs end; the process lives."""
    with web_service(database, tmp_path) as (service, queue, client):
        job = queue.enqueue("gate", {"gate": str(tmp_path / "gate")})
        queue.running(job)
        assert client.get("/api/health/ready").status_code == 200
        service.process.terminate()
        service.wait_for_notice("STOPPING=1")
        answer = client.get("/api/health/ready")
        assert answer.status_code == 503
        assert "draining" in answer.json()["problems"][0]
        assert client.get("/api/health/live").status_code == 200
        (tmp_path / "gate").touch()
        assert service.process.wait(PATIENCE) == 0


def test_no_port_where_none_is_wanted(database: str, tmp_path: Path) -> None:
    """HTTP_PORT=0 listens on nothing."""
    with Service(database, tmp_path, HTTP_PORT=0) as service:
        service.ready()
        found = psutil.Process(service.process.pid).net_connections("tcp")
        assert [one for one in found if one.status == psutil.CONN_LISTEN] == []


def test_open_connections_do_not_hold_up_a_stop(database: str, tmp_path: Path) -> None:
    """Somebody connected, said half a request, and waits."""
    with (
        web_service(database, tmp_path) as (service, _, client),
        socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as sock,
    ):
        sock.sendall(b"GET /api/health HTTP/1.1\r\nHost: ")
        assert service.stop() == 0
