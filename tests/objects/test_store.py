"""The store by itself: what is at a key, who may write it, what retention finds, and what is said of a store that fails."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import obstore
import psutil
import pytest

from supervisor.artifacts import ArtifactStore, BadOutput, StoreAway, artifact_store
from supervisor.artifacts.clouds import connect
from supervisor.artifacts.errors import told
from supervisor.doctor import examine
from supervisor.errors import ConfigurationError
from supervisor.model import Artifact
from supervisor.retention import Kept
from supervisor.settings import Settings, load
from tests.objects.servers import ObjectServer
from tests.queue.support import Queue, ack_of, house_kept
from tests.service.support import PATIENCE

JOB = "0190a1b2-0000-7000-8000-0000000000cd"
TEXT = "text/plain"


@pytest.fixture(autouse=True, scope="module")
def _library() -> None:
    """Have the library's threads, and the descriptors that they wait by, before the look for what a test leaves."""
    nowhere = obstore.store.S3Store(
        "bucket",
        config={"endpoint": "https://127.0.0.1:1", "access_key_id": "a", "secret_access_key": "b"},
        retry_config={"max_retries": 0},
    )
    with pytest.raises(obstore.exceptions.BaseError):
        obstore.head(nowhere, "key")


@pytest.fixture(autouse=True)
def _connections() -> Iterator[None]:
    """Wait until the library has closed the connections of the stores that nobody has any more."""
    before = len(psutil.Process().net_connections())
    yield
    gc.collect()
    deadline = time.monotonic() + PATIENCE
    while len(psutil.Process().net_connections()) > before and time.monotonic() < deadline:
        select.select([], [], [], 0.02)


def settings(server: ObjectServer, directory: Path, monkeypatch: pytest.MonkeyPatch, **more: object) -> Settings:
    """Return the settings of a supervisor that stores there."""
    monkeypatch.setenv("STATE_DIRECTORY", str(directory / "state"))
    (directory / "state" / "spool").mkdir(parents=True)  # as `prepare` does
    for name, value in server.options.items():
        monkeypatch.setenv(name, value)
    return load({"RENDER_ARTIFACTS_URL": server.url, **more})


def publish(
    store: ArtifactStore, content: bytes, attempt: int = 1, *, job: str = JOB, content_type: str = TEXT
) -> Artifact:
    """Publish some bytes, on a loop of its own."""
    output = store.open_output()
    os.write(output.fd, content)
    try:
        return asyncio.run(store.publish(output, job, attempt, content_type))
    finally:
        output.close()


def read(store: ArtifactStore, artifact: Artifact) -> bytes:
    """Return an artifact's bytes."""
    return asyncio.run(store.read(artifact.url, 0, artifact.size))


def withdraw(store: ArtifactStore, artifact: Artifact, attempt: int) -> None:
    """Take one back, and wait until it is done."""

    async def both() -> None:
        store.withdraw(artifact, JOB, attempt)
        await store.close()

    asyncio.run(both())


def test_published_and_read(each_store: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one request and in parts, the object is what was written, with its type; the same again is no mistake."""
    given = settings(each_store, tmp_path, monkeypatch)
    store = artifact_store(given)
    store.prepare()
    for content in (b"small", os.urandom(11 * 1024 * 1024)):
        artifact = publish(store, content, content_type="text/plain; charset=utf-8")
        digest = hashlib.sha256(content).hexdigest()
        assert artifact.url == f"{each_store.url}/cd/{JOB}-1-{digest[:16]}.txt"
        assert (artifact.sha256, artifact.size) == (digest, len(content))
        assert read(store, artifact) == content
        key = artifact.url.removeprefix(f"{each_store.url}/")
        assert obstore.get(connect(each_store.url, given), key).attributes["Content-Type"] == artifact.content_type
        assert publish(store, content, content_type=artifact.content_type) == artifact
    with pytest.raises(BadOutput, match="wrote nothing"):
        publish(store, b"")
    assert len(list(store.stored(time.time() + 60))) == 2
    assert list((tmp_path / "state" / "spool").iterdir()) == []


def test_a_stale_attempt(each_store: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor that comes late with an older attempt touches nothing of the newer one, nor takes it back."""
    store = artifact_store(settings(each_store, tmp_path, monkeypatch))
    newer = publish(store, b"newer", 2)
    stale = publish(store, b"stale", 1)
    assert read(store, newer) == b"newer"
    withdraw(store, stale, 1)
    assert read(store, newer) == b"newer"
    with pytest.raises(FileNotFoundError):
        read(store, stale)


def test_what_is_written_later_is_not_published(
    s3: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that kept its descriptor and writes on changes nothing of what is stored."""
    store = artifact_store(settings(s3, tmp_path, monkeypatch))
    output = store.open_output()
    os.write(output.fd, b"checked")
    kept = os.dup(output.fd)
    artifact = asyncio.run(store.publish(output, JOB, 1, TEXT))
    os.pwrite(kept, b"changed and longer", 0)
    os.close(kept)
    output.close()
    assert read(store, artifact) == b"checked"


def test_retention(database: str, each_store: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no job needs goes, by age; what a job needs, strangers' objects and those of a prefix further down stay."""
    given = settings(each_store, tmp_path, monkeypatch, DATABASE_URL=database)
    store = artifact_store(given)
    with Queue(database) as queue:
        supervisor = queue.supervisor()
        done = queue.enqueue()
        stale = publish(store, b"stale", job=done)
        assert supervisor.ack(supervisor.claim_one(), "lost") == "queued"
        claim = supervisor.claim_one()
        needed = publish(store, b"needed", claim.token.attempt, job=done)
        supervisor.exchange(ack_of(claim, artifact=needed))
        assert house_kept(given, store) == Kept()
        unknown = publish(store, b"unknown")
        foreign = connect(each_store.url, given)
        below = f"further/{unknown.url.removeprefix(f'{each_store.url}/')}"
        for key in ("cd/readme.txt", below):
            obstore.put(foreign, key, b"not ours")
        assert house_kept(given, store) == Kept()
        assert house_kept(given, store, orphan_seconds=-60) == Kept(orphans=2)
        assert read(store, needed) == b"needed"
        for gone in (stale, unknown):
            with pytest.raises(FileNotFoundError):
                read(store, gone)
        assert {meta["path"] for page in obstore.list(foreign) for meta in page} >= {"cd/readme.txt", below}
        # One that is gone already keeps no other from being removed; one elsewhere is left alone.
        elsewhere = needed.url.replace("a.prefix", "another")
        store.remove([stale.url, needed.url, elsewhere, "file:///etc/passwd"])
        with pytest.raises(FileNotFoundError):
            read(store, needed)


def test_attempts_wait_for_a_store_that_is_away(
    open_s3: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed upload no output is to be had; the trial that goes well ends that."""
    store = artifact_store(settings(open_s3, tmp_path, monkeypatch))
    open_s3.end()
    with pytest.raises(StoreAway, match="no connection to it could be made"):
        publish(store, b"lost")
    assert store.problem == "no connection to it could be made"
    with pytest.raises(StoreAway, match="the artifact store is away"):
        store.open_output()
    open_s3.start()
    monkeypatch.setattr("supervisor.artifacts.breaker.time.monotonic", lambda: time.time() * 2)
    assert read(store, publish(store, b"back")) == b"back"
    assert store.problem is None


@pytest.mark.timeout(600)  # the server takes most of it
def test_a_large_artifact_takes_no_memory(
    own_s3: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """96 MB are uploaded and read back piece by piece within two thirds of it; see tests/objects/large.py."""
    given = settings(own_s3, tmp_path, monkeypatch)
    store = artifact_store(given)
    done = subprocess.run(
        [sys.executable, "-m", "tests.objects.large", own_s3.url, "96"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    grown = int(done.stdout)
    assert grown < 64 * 1024 * 1024
    assert len(list(store.stored(time.time() + 60))) == 1


def test_doctor(s3: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor tries the store, and says what it met and where to look."""
    given = settings(s3, tmp_path, monkeypatch)
    monkeypatch.setattr("supervisor.doctor._children", _nothing)
    (well,) = [check for check in examine(given) if check.name == "artifacts"]
    assert (well.state, well.found) == ("ok", s3.url)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    (ill,) = [check for check in examine(settings_again(s3)) if check.name == "artifacts"]
    assert ill.state == "missing"
    assert "it refuses the credentials" in ill.found
    assert ill.advice == "see `Object stores` in docs/settings.md"


async def _nothing(_: Settings) -> list[object]:
    return []


def settings_again(server: ObjectServer) -> Settings:
    """Return the settings as the environment has them now."""
    return load({"RENDER_ARTIFACTS_URL": server.url})


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library is not installed the extra is named; a directory does not need it."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ConfigurationError, match=r"s3:// needs the extra `objectstores`: pip install"):
        artifact_store(load({"RENDER_ARTIFACTS_URL": "s3://bucket"}))
    artifact_store(load({"RENDER_ARTIFACTS_URL": "file:///tmp"}))


def test_an_option_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the settings' file it is a mistake, told by its name."""
    (tmp_path / "environment").write_text("AWS_REGOIN=hunter2\n")
    monkeypatch.setenv("RENDER_ENVIRONMENT_FILE", str(tmp_path / "environment"))
    with pytest.raises(ConfigurationError, match=r"^AWS_REGOIN: no option of s3:// has this name$"):
        artifact_store(load({"RENDER_ARTIFACTS_URL": "s3://bucket"}))


@pytest.mark.parametrize(
    ("error", "problem", "lasting"),
    [
        (
            obstore.exceptions.GenericError("uri: https://h/?sig=hunter2 status code: 503 Busy"),
            "with status 503",
            False,
        ),
        (obstore.exceptions.GenericError("status code: 400 <Key>hunter2</Key>"), "with status 400", True),
        (obstore.exceptions.GenericError("status code: 429 hunter2"), "with status 429", False),
        (obstore.exceptions.PermissionDeniedError("AccessKey hunter2"), "refuses the credentials", True),
        (obstore.exceptions.GenericError("dns error hunter2"), "its name cannot be resolved", False),
        (obstore.exceptions.GenericError("http://169.254.169.254/latest hunter2"), "no credentials were found", False),
        (obstore.exceptions.GenericError("operation timed out hunter2"), "did not answer in time", False),
        (obstore.exceptions.GenericError("hunter2"), "it failed: GenericError", False),
    ],
)
def test_no_message_is_passed_on(error: Exception, problem: str, *, lasting: bool) -> None:
    """Whatever the library says, what is told are words of our own."""
    found = told(error)
    assert problem in str(found)
    assert "hunter2" not in str(found)
    assert found.lasting is lasting
