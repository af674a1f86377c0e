"""Publishing with a deadline: a disk that hangs, and a child that goes on writing, hold up nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.artifacts import ArtifactDirectory, BadOutput, OutputFile, StillAtWork, StoreAway
from supervisor.artifacts import directory as module
from supervisor.artifacts.workers import Workers

JOB = "0190a1b2-0000-7000-8000-0000000000cd"
TEXT = "text/plain"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ArtifactDirectory]:
    """Provide a directory of artifacts."""
    directory = ArtifactDirectory(tmp_path / "artifacts")
    directory.prepare()
    yield directory
    asyncio.run(directory.close())


class Gate:
    """Work that ends when it is let."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun = threading.Event()
        self.given_up = threading.Event()

    def work(self) -> str:
        """Wait for the gate."""
        self.begun.set()
        self.open.wait()
        return "done"


def test_work_that_does_not_end_is_let_go() -> None:
    """Who waits for it goes on at the deadline; its place is taken until it ends, and then what it had is given up, once."""
    gate = Gate()

    async def run() -> None:
        workers = Workers("test", 2)
        with pytest.raises(StillAtWork, match="did not take it within 0 s"):
            await workers.do(gate.work, 0.05, gate.given_up.set)
        assert workers.problem == "1 of 2 test threads wait for the disk past their deadline"
        assert (workers.stuck, gate.given_up.is_set()) == (False, False)
        assert await workers.do(lambda: "quick", 60, lambda: None) == "quick"
        gate.open.set()
        await asyncio.to_thread(gate.given_up.wait)
        assert workers.problem is None

    asyncio.run(run())


def test_all_places_hang() -> None:
    """Then nothing is begun, and whoever asks hears why; what is given back is given back."""
    gates = [Gate(), Gate()]

    async def run() -> None:
        workers = Workers("test", 2)
        late = [workers.do(gate.work, 0.05, gate.given_up.set) for gate in gates]
        assert all(isinstance(error, StillAtWork) for error in await asyncio.gather(*late, return_exceptions=True))
        assert workers.stuck
        back = threading.Event()
        with pytest.raises(StillAtWork, match="no test thread is free: 2 of 2"):
            await workers.do(lambda: None, 0.05, back.set)
        assert back.is_set()
        for gate in gates:
            gate.open.set()
        for gate in gates:
            await asyncio.to_thread(gate.given_up.wait)
        assert await workers.do(lambda: 1, 60, lambda: None) == 1

    asyncio.run(run())


def test_a_loop_that_is_closed_meanwhile() -> None:
    """A thread that ends after the loop gives up what it had, and raises nothing."""
    gate = Gate()

    async def run() -> None:
        with pytest.raises(StillAtWork):
            await Workers("test", 1).do(gate.work, 0.05, gate.given_up.set)

    asyncio.run(run())
    gate.open.set()
    assert gate.given_up.wait(60)


def all_closed(descriptors: list[int]) -> None:
    """Wait until some descriptors are closed."""
    pause = select.poll()
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            while os.fstat(descriptor):
                pause.poll(10)


@pytest.mark.parametrize("size", [100, 3 * 1024 * 1024], ids=["small", "large"])
def test_a_disk_that_hangs(size: int, store: ArtifactDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt is told so at the deadline and its output stays open until the thread lets it go: no other file gets its number.

    With every place taken no output is opened, so that no attempt begins; afterwards all is as before.
    """
    gate, real = Gate(), os.fsync

    def told() -> str | None:
        return store.problem

    monkeypatch.setattr(module, "_SECONDS", 0.2)
    monkeypatch.setattr(module, "_BYTES_A_SECOND", 1e12)

    def hangs(fd: int) -> None:
        gate.work()
        real(fd)

    async def run() -> None:
        outputs = [store.open_output() for _ in range(module._AT_ONCE)]  # noqa: SLF001 - as many as there are places
        for output in outputs:
            os.write(output.fd, b"x" * size)
        monkeypatch.setattr(os, "fsync", hangs)
        ended = await asyncio.gather(
            *(store.publish(output, JOB, n, TEXT) for n, output in enumerate(outputs, 1)), return_exceptions=True
        )
        assert {type(error) for error in ended} == {StillAtWork}
        assert told() is not None
        assert all(os.fstat(output.own).st_size == size for output in outputs)
        if size > 1024 * 1024:  # small ones are one batch
            with pytest.raises(StoreAway, match="wait for the disk past their deadline"):
                store.open_output()
        monkeypatch.setattr(os, "fsync", real)
        gate.open.set()
        await asyncio.to_thread(all_closed, [output.own for output in outputs])
        assert told() is None

    # Not the fixture's deadline: batches were made with the one that there was.
    store._batches._seconds = 0.2  # noqa: SLF001 - as above
    asyncio.run(run())


def refusal(store: ArtifactDirectory, output: OutputFile, attempt: int) -> BadOutput | None:
    """Publish; return why it was refused, None where it was not."""
    try:
        asyncio.run(store.publish(output, JOB, attempt, TEXT))
    except BadOutput as error:
        return error
    return None


@pytest.mark.parametrize("start", [10, 5 * 1024 * 1024])
def test_an_output_that_grows_is_refused(start: int, store: ArtifactDirectory) -> None:
    """A child that goes on appending after its answer: no more is read than was there, and the job hears why.

    It was copied a few bytes at a time, for as long as the child wrote, on one of six threads that all jobs shared.
    """
    output = store.open_output()
    os.write(output.fd, b"x" * start)
    stop = threading.Event()

    def grow() -> None:
        while not stop.is_set():
            os.pwrite(output.fd, b"y" * 7, os.fstat(output.fd).st_size)

    grower = threading.Thread(target=grow)
    grower.start()
    try:
        # One of them reads while it grows, whatever the scheduler does.
        ended = [refusal(store, output, attempt) for attempt in range(20)]
        assert "must not change once the renderer has returned" in str(next(filter(None, ended)))
    finally:
        stop.set()
        grower.join()
        output.close()


def test_an_output_that_is_cut_is_refused(store: ArtifactDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is shorter by the end than it was is not published as it is then."""
    output = store.open_output()
    os.write(output.fd, b"x" * 5_000_000)
    real = os.pread

    def cuts(fd: int, length: int, offset: int) -> bytes:
        os.ftruncate(output.fd, 1_000_000)
        return real(fd, length, offset)

    monkeypatch.setattr(os, "pread", cuts)
    with pytest.raises(BadOutput, match="it had 5000000 bytes, and has 1000000"):
        asyncio.run(store.publish(output, JOB, 1, TEXT))
    output.close()


def test_a_directory_that_is_another_now(store: ArtifactDirectory, tmp_path: Path) -> None:
    """A volume that is unmounted leaves another directory at its path: nothing is written there, and the reason is told."""
    output = store.open_output()
    os.write(output.fd, b"bytes")
    (tmp_path / "artifacts").rename(tmp_path / "away")
    with pytest.raises(OSError, match="was its volume unmounted"):
        asyncio.run(store.publish(output, JOB, 1, TEXT))
    (tmp_path / "artifacts").mkdir()
    with pytest.raises(OSError, match="was its volume unmounted"):
        asyncio.run(store.publish(output, JOB, 1, TEXT))
    with pytest.raises(OSError, match="was its volume unmounted"):
        store.open_output()
    assert list((tmp_path / "artifacts").iterdir()) == []
    (tmp_path / "artifacts").rmdir()
    (tmp_path / "away").rename(tmp_path / "artifacts")
    artifact = asyncio.run(store.publish(output, JOB, 1, TEXT))
    assert Path(artifact.url.removeprefix("file://")).read_bytes() == b"bytes"
    output.close()


@pytest.mark.parametrize(("mode", "directories"), [(0o600, 0o700), (0o640, 0o750), (0o644, 0o755)])
def test_who_may_read(mode: int, directories: int, tmp_path: Path) -> None:
    """Files have the mode of the setting, whatever the umask, and directories let in who may read."""
    store = ArtifactDirectory(tmp_path / "a/b", mode)
    before = os.umask(0o077)
    try:
        store.prepare()
        output = store.open_output()
        os.write(output.fd, b"bytes")
        path = Path(asyncio.run(store.publish(output, JOB, 1, TEXT)).url.removeprefix("file://"))
    finally:
        os.umask(before)
    assert [each.stat().st_mode & 0o777 for each in (path, path.parent, path.parent.parent)] == [
        mode,
        directories,
        directories,
    ]
    output.close()
    asyncio.run(store.close())


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "file://{root}/../outside",
        "file://{root}/cd/../../outside",
        "file://{root}/link/{job}-1.txt",
        "file://{root}/cd/{job}-2.txt",
        "file://{root}/cd/readme.txt",
        "file://{root}/ab/{job}-1.txt",
        "http://{root}/cd/{job}-1.txt",
        "file://{root}%2f..%2foutside",
    ],
)
def test_a_url_that_leads_elsewhere(url: str, store: ArtifactDirectory, tmp_path: Path) -> None:
    """A URL comes from the database: whatever it says, nothing outside of the store is read or removed by it."""
    root = tmp_path / "artifacts"
    outside = tmp_path / "outside"
    outside.write_text("secret")
    for shard in ("cd", "ab"):
        (root / shard).mkdir()
    (root / "cd" / "readme.txt").write_text("not ours")
    (root / "link").symlink_to(tmp_path)
    (root / "cd" / f"{JOB}-2.txt").symlink_to(outside)
    (root / "ab" / f"{JOB}-1.txt").write_text("of a wrong shard")
    told = url.format(root=root, job=JOB)
    assert store.file(told) is None
    assert store.remove([told]) == 0
    assert outside.read_text() == "secret"
