"""The whole way: enqueued, rendered, uploaded, read back over HTTP; with a store that is slow, away, or refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from supervisor.store.kinds import register_plugins
from tests.objects.servers import BUCKET, ObjectServer
from tests.service.support import WITHOUT_SCENE, Service
from tests.web.support import SQUARE, web_service


def test_the_whole_way(database: str, tmp_path: Path, each_store: ObjectServer) -> None:
    """What was rendered is at its URL and comes back over HTTP, whole and in ranges, with type, hash and policy."""
    with web_service(database, tmp_path, **each_store.settings) as (service, queue, client):
        job = queue.enqueue("svg", SQUARE)
        row = queue.final(job)
        assert row["status"] == "completed", queue.attempts(job)
        name = f"{job}-1-{row['output_sha256'][:16]}.png"
        assert row["output_url"] == f"{each_store.url}/{job[-2:]}/{name}"
        address = f"/api/jobs/{job}/artifact"
        answer = client.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert hashlib.sha256(answer.content).hexdigest() == row["output_sha256"]
        assert len(answer.content) == row["output_bytes"]
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert answer.headers["content-disposition"] == f'inline; filename="{name}"'
        part = client.get(address, headers={"range": "bytes=1-3"})
        assert (part.status_code, part.content) == (206, b"PNG")
        assert part.headers["content-range"] == f"bytes 1-3/{row['output_bytes']}"
        assert client.get(address, headers={"range": "bytes=-4"}).content == answer.content[-4:]
        assert client.get(address, headers={"range": "bytes=9999999-"}).status_code == 416
        assert client.get(address, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
        head = client.head(address)
        assert (head.status_code, head.headers["content-length"]) == (200, str(row["output_bytes"]))
        assert client.get("/api/health").json()["components"]["artifacts"] == {"status": "ok", "found": each_store.url}
        assert not list((tmp_path / ".local/state/jobsupervisor/spool").iterdir())
        assert service.stop() == 0


def test_a_strangers_object_runs_no_script(database: str, tmp_path: Path, s3: ObjectServer) -> None:
    """A document from the store is a download, under a policy that forbids all."""
    with web_service(database, tmp_path, **s3.settings) as (_, queue, client):
        script = "<script>alert(1)</script>"
        job = queue.enqueue("write", {"text": script, "content_type": "text/html; charset=utf-8"})
        queue.final(job)
        answer = client.get(f"/api/jobs/{job}/artifact")
        assert answer.text == script
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_object_elsewhere_is_not_served(database: str, tmp_path: Path, s3: ObjectServer) -> None:
    """Whatever a row says: only what has a name of ours below our prefix is asked for."""
    with web_service(database, tmp_path, **s3.settings) as (_, queue, client):
        job = queue.enqueue("svg", SQUARE)
        name = queue.final(job)["output_url"].removeprefix(s3.url)
        for url in ("file:///etc/passwd", f"s3://other{name}", f"s3://{BUCKET}{name}", f"{s3.url}/../b{name}"):
            queue.rows("update jobsupervisor.finished_job set output_url = %s returning 1", url)
            answer = client.get(f"/api/jobs/{job}/artifact")
            assert answer.status_code == 404, url
            assert url in answer.json()["error"]


def test_a_store_that_is_away(database: str, tmp_path: Path, open_s3: ObjectServer) -> None:
    """A job whose artifact cannot be stored goes back uncharged, health says so, other kinds go on; it succeeds later."""
    s3 = open_s3
    with web_service(database, tmp_path, **s3.settings) as (service, queue, client):
        before = queue.final(queue.enqueue("svg", SQUARE))
        s3.end()
        job = queue.enqueue("write", {"text": "late"}, max_attempts=1)
        queue.until(job, lambda _: service.events("artifacts.lost"))
        assert queue.final(queue.enqueue("noop", {}))["status"] == "completed"
        health = client.get("/api/health")
        assert health.status_code == 503
        told = health.json()["components"]["artifacts"]
        assert told == {"status": "failed", "found": f"{s3.url}: no connection to it could be made"}
        gone = client.get(f"/api/jobs/{before['id']}/artifact")
        assert gone.status_code == 503
        assert "no connection" in gone.json()["error"]
        s3.start()
        row = queue.final(job)
        assert row["status"] == "completed"
        assert set(queue.outcomes(job)) == {"internal", "ok"}
        assert client.get(f"/api/jobs/{job}/artifact").text == "late"
        assert client.get("/api/health").json()["components"]["artifacts"]["status"] == "ok"
        assert service.events("artifacts.recovered")


def test_a_stop_does_not_wait_for_the_store(database: str, tmp_path: Path, own_s3: ObjectServer) -> None:
    """An upload to a store that says nothing is ended by a stop; the job is given back."""
    with web_service(database, tmp_path, **own_s3.settings, RENDER_SHUTDOWN_SECONDS=0) as (service, queue, _):
        with own_s3.silent() as asked:
            job = queue.enqueue("write", {"text": "stuck"})
            asked()
            assert service.stop() == 0
        assert queue.outcomes(job) == ["internal"]
        assert queue.job(job)["status"] == "queued"


def test_wrong_credentials_at_the_start(database: str, tmp_path: Path, s3: ObjectServer) -> None:
    """They are told in one line with exit code 2, and neither key nor what the store answered is in it."""
    secret = "hunter2-hunter2-hunter2"  # noqa: S105 - of nobody
    settings = s3.settings | {"AWS_SECRET_ACCESS_KEY": secret}
    with Service(database, tmp_path, **settings) as service:
        assert service.process.wait() == 2
        text = service.log.read_text()
    assert f"RENDER_ARTIFACTS_URL: {s3.url} must take an object and let it be removed: it refuses the cred" in text
    assert secret not in text
    assert settings["AWS_ACCESS_KEY_ID"] not in text


@pytest.mark.parametrize(
    ("changed", "code", "problem"),
    [
        ({"RENDER_ARTIFACTS_URL": "s3://no-such-bucket"}, 2, "the bucket or container does not exist"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, 1, "no connection to it could be made"),
        ({"AWS_ENDPOINT_URL": "nowhere"}, 2, "AWS_ENDPOINT_URL: must be the address of a server"),
        ({"AWS_REGION": "", "AWS_CHECKSUM_ALGORITHM": "hunter2"}, 2, "must be complete and well-formed"),
        ({"AWS_ALLOW_HTTP": "false"}, 1, "its address must begin with https://"),
    ],
)
def test_a_store_that_takes_nothing_at_the_start(
    database: str, tmp_path: Path, s3: ObjectServer, changed: dict[str, str], code: int, problem: str
) -> None:
    """What is wrong is told; with exit code 1, after which the service manager tries again, where it may pass by itself."""
    with Service(database, tmp_path, **(s3.settings | changed)) as service:
        assert service.process.wait() == code, service.log.read_text()
        assert problem in service.log.read_text()


def test_secrets_stay_with_the_supervisor(database: str, tmp_path: Path, own_s3: ObjectServer) -> None:
    """From a credential, the keys work; no child has them, nor a log line, nor an endpoint."""
    secret = own_s3.options["AWS_SECRET_ACCESS_KEY"]
    directory = tmp_path / "credentials"
    directory.mkdir()
    (directory / "aws_secret_access_key").write_text(f"{secret}\n")
    file = tmp_path / "environment"
    file.write_text(f"AWS_ACCESS_KEY_ID={own_s3.options['AWS_ACCESS_KEY_ID']}\n")
    settings = {name: value for name, value in own_s3.settings.items() if "KEY" not in name}
    settings |= {"CREDENTIALS_DIRECTORY": str(directory), "RENDER_ENVIRONMENT_FILE": str(file)}
    settings |= {"RENDER_PLUGINS": f"{WITHOUT_SCENE},report=tests.kinds.inside:report"}
    with web_service(database, tmp_path, **settings) as (service, queue, client):
        assert queue.final(queue.enqueue("svg", SQUARE))["status"] == "completed"
        register_plugins(database, {"report": "tests.kinds.inside:report"})
        # From outside a child's environment is root's to read, and its title hides it; the child itself says what it finds.
        reported = queue.final(queue.enqueue("report", {"paths": []}))
        inside = client.get(f"/api/jobs/{reported['id']}/artifact").json()
        environments = [inside["environment"], inside["environment_of_libc"]]
        assert all(environments)
        environments.append(service.fork_server().environ())
        assert not [name for found in environments for name in found if name.startswith(("AWS_", "CREDENTIALS"))]
        own_s3.end()
        queue.enqueue("write", {"text": "not stored"})
        queue.until_row("select 1", lambda _: service.events("artifacts.lost"))
        told = [client.get(path).text for path in ("/api/health", "/api/jobs", "/api/metrics", "/")]
        told += [service.log.read_text(), json.dumps(queue.rows("select * from render_attempts"), default=str)]
    for text in told:
        assert secret not in text
        assert own_s3.options["AWS_ACCESS_KEY_ID"] not in text
