# ruff: noqa: ARG001 - every swap takes the same arguments
"""What `render` and `demo` copy out: the artifact of the job, from the store of these settings, and nothing else.

The database may be entered by others than who runs the command: as root, `render` copied whatever output_url named.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from supervisor.artifacts import ArtifactDirectory
from supervisor.errors import ExpectedError
from supervisor.fetching import fetch
from supervisor.model import Artifact
from tests.commands import command

JOB = "0190a1b2-0000-7000-8000-0000000000cd"
CONTENT = b"of the job" * 1000
Row = dict[str, Any]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ArtifactDirectory]:
    """Provide a store with one artifact."""
    store = ArtifactDirectory(tmp_path / "artifacts")
    store.prepare()
    yield store
    asyncio.run(store.close())


@pytest.fixture
def row(store: ArtifactDirectory) -> Row:
    """Provide the job's row, as the view has it."""
    output = store.open_output()
    os.write(output.fd, CONTENT)
    artifact = asyncio.run(store.publish(output, JOB, 1, "text/plain"))
    output.close()
    return {"id": JOB, "output_url": artifact.url, "output_bytes": artifact.size, "output_sha256": artifact.sha256}


def test_an_artifact_is_copied(store: ArtifactDirectory, row: Row, tmp_path: Path) -> None:
    """Into a folder that is not there yet, in the mode of a new file of this user's."""
    target = tmp_path / "a" / "b" / "out.txt"
    fetch(store, row, target)
    assert target.read_bytes() == CONTENT
    umask = os.umask(0)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask


def _outside(row: Row, tmp_path: Path) -> None:
    row["output_url"] = f"file://{tmp_path}/secret"
    row["output_sha256"] = hashlib.sha256(b"root's").hexdigest()


def _above(row: Row, tmp_path: Path) -> None:
    row["output_url"] = f"file://{tmp_path}/artifacts/cd/../../secret"


def _link(row: Row, tmp_path: Path) -> None:
    path = tmp_path / "artifacts" / "cd" / f"{JOB}-1.txt"
    path.unlink()
    path.symlink_to(tmp_path / "secret")


def _shard_link(row: Row, tmp_path: Path) -> None:
    (tmp_path / "artifacts" / "cd").rename(tmp_path / "moved")
    (tmp_path / "artifacts" / "cd").symlink_to(tmp_path / "moved")


def _fifo(row: Row, tmp_path: Path) -> None:
    path = tmp_path / "artifacts" / "cd" / f"{JOB}-1.txt"
    path.unlink()
    os.mkfifo(path)


def _nothing(row: Row, tmp_path: Path) -> None:
    row["output_url"] = None


def _web(row: Row, tmp_path: Path) -> None:
    row["output_url"] = "http://169.254.169.254/latest"


def _others(row: Row, tmp_path: Path) -> None:
    other = f"{JOB[:-3]}1cd"
    shutil.copy(tmp_path / "artifacts" / "cd" / f"{JOB}-1.txt", tmp_path / "artifacts" / "cd" / f"{other}-1.txt")
    row["output_url"] = f"file://{tmp_path}/artifacts/cd/{other}-1.txt"


@pytest.mark.parametrize("swap", [_others, _outside, _above, _link, _shard_link, _fifo, _nothing, _web])
def test_a_url_that_leads_elsewhere(
    swap: Callable[[Row, Path], None], store: ArtifactDirectory, row: Row, tmp_path: Path
) -> None:
    """Whatever the row says by the time that it is read, nothing but an artifact of the store is copied."""
    (tmp_path / "secret").write_bytes(b"root's")
    swap(row, tmp_path)
    target = tmp_path / "out" / "out.txt"
    with pytest.raises(ExpectedError, match=r"must be in the store of these settings.*RENDER_ARTIFACTS_URL"):
        fetch(store, row, target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("field", ["hash", "bytes", "longer"])
def test_other_bytes_than_were_acknowledged(field: str, store: ArtifactDirectory, row: Row, tmp_path: Path) -> None:
    """An artifact whose hash is not the job's is not copied, and leaves nothing beside the target."""
    match field:
        case "hash":
            row["output_sha256"] = "00" * 32
        case "bytes":
            Path(row["output_url"].removeprefix("file://")).write_bytes(b"others")
        case _:
            row["output_bytes"] = 10
    target = tmp_path / "out" / "out.txt"
    with pytest.raises(ExpectedError, match="must have the hash that its job was completed with"):
        fetch(store, row, target)
    assert list(target.parent.iterdir()) == []


def test_what_was_published_here_counts(store: ArtifactDirectory, row: Row, tmp_path: Path) -> None:
    """A database that is entered says another artifact and its hash: who published the job's own knows better."""
    published = Artifact(row["output_url"], row["output_sha256"], row["output_bytes"], "text/plain")
    other = f"file://{tmp_path}/artifacts/cd/{JOB}-2.txt"
    Path(other.removeprefix("file://")).write_bytes(b"another")
    row |= {"output_url": other, "output_bytes": 7, "output_sha256": hashlib.sha256(b"another").hexdigest()}
    fetch(store, row, tmp_path / "out.txt", published)
    assert (tmp_path / "out.txt").read_bytes() == CONTENT
    fetch(store, row, tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_bytes() == b"another"


SWAP = """
create function public.swapped() returns trigger language plpgsql as $$
begin
    new.output_url := '{url}'; new.output_bytes := 6; new.output_sha256 := sha256('root''s');
    return new;
end $$;
create trigger swap before insert on jobsupervisor.finished_job for each row execute function public.swapped();
"""


def test_a_database_that_lies(database: str, tmp_path: Path) -> None:
    """`render` on a database that another may enter: what it copies is what it rendered, whatever output_url becomes."""
    (tmp_path / "secret").write_bytes(b"root's")
    (tmp_path / "in.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>')
    with psycopg.connect(database) as connection:
        connection.execute(SWAP.format(url=f"file://{tmp_path}/secret").encode())
    ran = command(tmp_path, "render", "in.svg", "-o", "out.png", DATABASE_URL=database)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    with psycopg.connect(database) as connection:
        assert connection.execute("select output_url from render_jobs").fetchall() == [(f"file://{tmp_path}/secret",)]
