"""Published artifacts: what was checked and hashed is what is stored, under a name of its own, whole or not at all."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from supervisor.artifacts import ArtifactDirectory, BadOutput, OutputFile
from supervisor.errors import ConfigurationError
from supervisor.model import Artifact

JOB = "0190a1b2-0000-7000-8000-0000000000cd"
PNG = b"\x89PNG\r\n\x1a\n"
TEXT = "text/plain"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ArtifactDirectory]:
    """Provide an empty directory of artifacts, with a name that a URL must quote."""
    directory = ArtifactDirectory(tmp_path / "art & #1 %20")
    directory.prepare()
    yield directory
    asyncio.run(directory.close())


@pytest.fixture
def output(store: ArtifactDirectory) -> Iterator[OutputFile]:
    """Provide the output of one attempt."""
    file = store.open_output()
    yield file
    file.close()


def path_of(artifact: Artifact) -> Path:
    """Return the file that an artifact's URL names."""
    parts = urlsplit(artifact.url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("file", "", "", "")
    return Path(unquote(parts.path))


def publish(store: ArtifactDirectory, output: OutputFile, job_id: str, attempt: int, content_type: str) -> Artifact:
    """Publish, on a loop of its own."""
    return asyncio.run(store.publish(output, job_id, attempt, content_type))


def files(directory: Path) -> list[Path]:
    """Return every file below a directory."""
    return sorted(path for path in directory.rglob("*") if not path.is_dir())


def test_published(store: ArtifactDirectory, output: OutputFile, tmp_path: Path) -> None:
    """An artifact is the bytes that were written, with their hash, size and type, at its URL, for nobody but its owner."""
    content = os.urandom(3 * 1024 * 1024 + 1)
    os.write(output.fd, content)
    artifact = publish(store, output, JOB, 7, "application/octet-stream")
    path = path_of(artifact)
    assert path.name == f"{JOB}-7.bin"
    assert path.parent.name == "cd"
    assert files(tmp_path) == [path]
    assert path.read_bytes() == content
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()
    assert (artifact.size, artifact.content_type) == (len(content), "application/octet-stream")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path.parent, path.parent.parent)] == [0o700, 0o700]


def test_the_offset_of_the_child_does_not_matter(store: ArtifactDirectory, output: OutputFile) -> None:
    """The file is read from its start wherever the child left its position, and the position is left alone."""
    os.write(output.fd, b"0123456789")
    os.lseek(output.fd, 4, os.SEEK_SET)
    assert path_of(publish(store, output, JOB, 1, TEXT)).read_bytes() == b"0123456789"
    assert os.lseek(output.fd, 0, os.SEEK_CUR) == 4


def test_what_is_written_later_is_not_published(store: ArtifactDirectory, output: OutputFile) -> None:
    """A child that kept its descriptor and writes after its answer changes nothing of what is stored."""
    os.write(output.fd, b"checked")
    kept = os.dup(output.fd)
    artifact = publish(store, output, JOB, 1, TEXT)
    os.pwrite(kept, b"changed and longer", 0)
    os.close(kept)
    assert path_of(artifact).read_bytes() == b"checked"
    assert artifact.sha256 == hashlib.sha256(b"checked").hexdigest()


def test_an_output_has_no_name_and_gets_none(output: OutputFile, tmp_path: Path) -> None:
    """Until it is published there is no file to find, and whoever holds the output cannot link it into the directory."""
    os.write(output.fd, b"unpublished")
    assert files(tmp_path) == []
    assert os.fstat(output.fd).st_nlink == 0
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(FileNotFoundError):
            os.link(f"/proc/self/fd/{output.fd}", "stolen", src_dir_fd=here, dst_dir_fd=here, follow_symlinks=True)
    finally:
        os.close(here)


def test_nothing_written(store: ArtifactDirectory, output: OutputFile, tmp_path: Path) -> None:
    """An empty output is the renderer's mistake, told with the way out; nothing is stored for it."""
    with pytest.raises(BadOutput, match="wrote nothing to its output"):
        publish(store, output, JOB, 1, TEXT)
    os.write(output.fd, b"taken back")
    os.ftruncate(output.fd, 0)
    with pytest.raises(BadOutput, match="wrote nothing to its output"):
        publish(store, output, JOB, 1, TEXT)
    assert files(tmp_path) == []


SAMPLES = {
    "application/pdf": (b"%PDF-1.7", "pdf"),
    "image/gif": (b"GIF89a", "gif"),
    "image/jpeg": (b"\xff\xd8\xff\xe0", "jpg"),
    "image/png": (PNG, "png"),
    "image/webp": (b"RIFF\x00\x00\x00\x00WEBP", "webp"),
    "video/mp4": (b"\x00\x00\x00\x20ftypisom", "mp4"),
    "video/webm": (b"\x1aE\xdf\xa3", "webm"),
}


@pytest.mark.parametrize("content_type", SAMPLES)
def test_bytes_must_be_what_they_say(store: ArtifactDirectory, output: OutputFile, content_type: str) -> None:
    """A type that browsers act upon is checked by its first bytes: the real ones pass, a page of HTML does not."""
    content, suffix = SAMPLES[content_type]
    os.write(output.fd, content)
    assert path_of(publish(store, output, JOB, 1, content_type)).suffix == f".{suffix}"
    os.pwrite(output.fd, b"<script>alert(1)</script>", 0)
    with pytest.raises(BadOutput, match=f"content_type says {content_type}, the bytes are not"):
        publish(store, output, JOB, 2, content_type)


@pytest.mark.parametrize(
    ("content_type", "content", "suffix"),
    [
        ("IMAGE/PNG", PNG, "png"),
        ("image/png; q=1", PNG, "png"),
        ("Text/Plain; charset=utf-8", b"text", "txt"),
        ("text/html;charset=utf-8", b"<p>", "html"),
        ("application/x-unknown; a=b", b"x", "bin"),
    ],
)
def test_a_type_in_other_words(
    store: ArtifactDirectory, output: OutputFile, content_type: str, content: bytes, suffix: str
) -> None:
    """Case and parameters make no other type of it: the suffix is the same, and it is kept as it was given."""
    os.write(output.fd, content)
    artifact = publish(store, output, JOB, 1, content_type)
    assert (path_of(artifact).suffix, artifact.content_type) == (f".{suffix}", content_type)
    store.withdraw(artifact, JOB, 1)
    assert not path_of(artifact).exists()


@pytest.mark.parametrize("content_type", ["IMAGE/PNG", "image/png; q=1", "image/png ;"])
def test_a_type_in_other_words_must_be_true(store: ArtifactDirectory, output: OutputFile, content_type: str) -> None:
    """Other words for a type are no way around its first bytes."""
    os.write(output.fd, b"<script>alert(1)</script>")
    with pytest.raises(BadOutput, match="the bytes are not"):
        publish(store, output, JOB, 1, content_type)


@pytest.mark.parametrize("content_type", ["png", "image/png\r\nX: y", "image/png; a", "image/" + "x" * 250])
def test_what_is_no_type(store: ArtifactDirectory, output: OutputFile, tmp_path: Path, content_type: str) -> None:
    """What is no media type is not stored under one."""
    os.write(output.fd, PNG)
    with pytest.raises(BadOutput, match="content_type must be a media type, got "):
        publish(store, output, JOB, 1, content_type)
    assert files(tmp_path) == []


def test_a_refused_output_leaves_nothing(store: ArtifactDirectory, output: OutputFile, tmp_path: Path) -> None:
    """After a refusal there is neither a file nor a directory, and no descriptor of the copy."""
    os.write(output.fd, b"no picture")
    with pytest.raises(BadOutput):
        publish(store, output, JOB, 1, "image/png")
    assert list((tmp_path / "art & #1 %20").iterdir()) == []


def test_the_same_attempt_again(store: ArtifactDirectory, output: OutputFile, tmp_path: Path) -> None:
    """Publishing an attempt twice replaces its file in one step: a reader of the old one goes on reading the old bytes."""
    os.write(output.fd, b"first")
    first = publish(store, output, JOB, 1, TEXT)
    with path_of(first).open("rb") as reader:
        os.pwrite(output.fd, b"again", 0)
        again = publish(store, output, JOB, 1, TEXT)
        assert reader.read() == b"first"
    assert again.url == first.url
    assert path_of(again).read_bytes() == b"again"
    assert files(tmp_path) == [path_of(again)]


def test_several_at_once(store: ArtifactDirectory, tmp_path: Path) -> None:
    """Each is whole under its own name, also those of one directory; what is wrong with one is told of that one."""
    outputs = [store.open_output() for _ in range(6)]
    for number, output in enumerate(outputs):
        os.write(output.fd, b"artifact %d" % number if number != 3 else b"")

    async def run() -> list[Artifact | BaseException]:
        return await asyncio.gather(
            *(store.publish(output, JOB[:-1] + str(n // 2), n, TEXT) for n, output in enumerate(outputs)),
            return_exceptions=True,
        )

    published = asyncio.run(run())
    for output in outputs:
        output.close()
    assert isinstance(published.pop(3), BadOutput)
    found = {path_of(artifact): artifact.sha256 for artifact in published if isinstance(artifact, Artifact)}
    assert sorted(found) == files(tmp_path)
    assert [path.read_bytes() for path in sorted(found)] == [b"artifact %d" % number for number in (0, 1, 2, 4, 5)]
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == sha256 for path, sha256 in found.items())


def test_an_output_that_is_emptied_is_as_new(store: ArtifactDirectory, output: OutputFile) -> None:
    """Of what a job before wrote, where it stood and how it had the file behave, nothing is left for the next."""
    os.write(output.fd, b"of the job before, and longer")
    fcntl.fcntl(output.fd, fcntl.F_SETFL, os.O_APPEND | os.O_DIRECT | os.O_NONBLOCK)
    output.empty()
    assert not fcntl.fcntl(output.fd, fcntl.F_GETFL) & (os.O_APPEND | os.O_DIRECT | os.O_NONBLOCK)
    assert os.fstat(output.own).st_size == 0
    os.write(output.fd, b"short")
    assert path_of(publish(store, output, JOB, 1, TEXT)).read_bytes() == b"short"


def test_a_name_left_by_a_crash(store: ArtifactDirectory, output: OutputFile, tmp_path: Path) -> None:
    """A replacement that a crash cut short does not keep the next one from being published."""
    os.write(output.fd, b"first")
    path = path_of(publish(store, output, JOB, 1, TEXT))
    path.with_name(f"{path.name}.new").write_bytes(b"half a repl")
    publish(store, output, JOB, 1, TEXT)
    assert files(tmp_path) == [path]
    assert path.read_bytes() == b"first"


def test_another_attempt_has_another_file(store: ArtifactDirectory, output: OutputFile, tmp_path: Path) -> None:
    """A supervisor that comes late with an older attempt does not touch the newer one's file, nor take it back."""
    os.write(output.fd, b"newer")
    newer = publish(store, output, JOB, 2, TEXT)
    os.pwrite(output.fd, b"stale", 0)
    stale = publish(store, output, JOB, 1, TEXT)
    assert path_of(newer).read_bytes() == b"newer"
    store.withdraw(stale, JOB, 1)
    assert files(tmp_path) == [path_of(newer)]


def test_withdraw_twice(store: ArtifactDirectory, output: OutputFile, tmp_path: Path) -> None:
    """Taking back what is gone already is no error."""
    os.write(output.fd, b"unwanted")
    artifact = publish(store, output, JOB, 1, TEXT)
    store.withdraw(artifact, JOB, 1)
    store.withdraw(artifact, JOB, 1)
    assert files(tmp_path) == []


def test_an_output_that_is_no_file(store: ArtifactDirectory, tmp_path: Path) -> None:
    """A pipe, a named pipe, a socket, a directory or a device in the output's place is refused without waiting for it."""
    os.mkfifo(tmp_path / "fifo")
    reader, writer = os.pipe()
    near, far = socket.socketpair()
    opened = [os.open(name, os.O_RDONLY | os.O_NONBLOCK) for name in (tmp_path / "fifo", tmp_path, "/dev/zero")]
    try:
        for descriptor in (reader, near.fileno(), *opened):
            with pytest.raises(BadOutput, match="must stay a regular file"):
                publish(store, OutputFile(descriptor, descriptor), JOB, 1, TEXT)
    finally:
        near.close()
        far.close()
        for descriptor in (reader, writer, *opened):
            os.close(descriptor)


def test_prepare_makes_the_directory(tmp_path: Path) -> None:
    """A directory that is not there yet is made with its parents, and proving that it can be written leaves nothing."""
    ArtifactDirectory(tmp_path / "a/b").prepare()
    ArtifactDirectory(tmp_path / "a/b").prepare()
    assert list((tmp_path / "a/b").iterdir()) == []


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    """Where a file is in the way, or a file system that takes none, the setting is named with the reason."""
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file/below", Path("/proc/artifacts"), Path("/sys/kernel")):
        with pytest.raises(
            ConfigurationError, match=r"^RENDER_ARTIFACTS_URL: the directory must be there and writable"
        ):
            ArtifactDirectory(root).prepare()


def test_a_directory_without_permission(tmp_path: Path) -> None:
    """A directory that this user may not write to is named with the reason."""
    tmp_path.chmod(0o555)
    privileged = os.geteuid() == 0
    if privileged:
        os.seteuid(65534)  # nobody: root may write everywhere
    try:
        with pytest.raises(ConfigurationError, match="Permission denied"):
            ArtifactDirectory(tmp_path).prepare()
    finally:
        if privileged:
            os.seteuid(0)
