"""Landlock, tried by real processes that entered it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from renderer.sandbox import landlock
from tests.renderer.cage import Cage, Ending, Layer
from tests.renderer.test_seccomp import KILL, NO_NEW_PRIVILEGES, RENDERS

SYSTEM = ["/bin", "/lib", "/lib64", "/usr", "/etc/ld.so.cache"]
PYTHON = sorted({sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), str(Path(__file__).parents[2])})


@pytest.fixture(scope="module")
def kernel() -> int:
    """Provide the version of the kernel's Landlock; skip where it has none."""
    try:
        return landlock.abi()
    except OSError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cage(kernel: int) -> Iterator[Cage]:
    """Provide the process that the trials are forked from."""
    assert kernel > 0
    with Cage() as cage:
        yield cage


@pytest.fixture(scope="module")
def studio(kernel: int) -> Iterator[Cage]:
    """Provide another, with all that draws loaded."""
    assert kernel > 0
    with Cage() as studio:
        yield studio


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Provide a directory with one tree to read, one to write, and one that is nobody's business."""
    for name in ("read", "write", "secret"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "file").write_text("hello", encoding="ascii")
    (tmp_path / "write/escape").symlink_to(tmp_path / "secret/file")
    (tmp_path / "read/escape").symlink_to(tmp_path / "secret")
    return tmp_path


def restricted(
    read: list[Path] | None = None, write: list[Path] | None = None, execute: list[Any] | None = None, **more: Any
) -> list[Layer]:
    """Return the layers that leave these paths."""
    paths = {"read": read, "write": write, "execute": execute}
    options = {name: [str(path) for path in given or []] for name, given in paths.items()}
    return [NO_NEW_PRIVILEGES, ("landlock", {**options, **more})]


def attempt(cage: Cage, tree: Path, trial: str, *arguments: str) -> Ending:
    """Try something on the trees; arguments that name something in them are made whole."""
    whole = [str(tree / part) if part.partition("/")[0] in {"read", "write", "secret"} else part for part in arguments]
    return cage.attempt(restricted([tree / "read"], [tree / "write"]), f"attempts:{trial}", *whole)


@pytest.mark.parametrize("name", ["read/file", "write/file"])
def test_what_is_granted_can_be_read(cage: Cage, tree: Path, name: str) -> None:
    """Files below both kinds of tree."""
    assert attempt(cage, tree, "read", name) == Ending(said="hello")
    assert "file" in attempt(cage, tree, "list_directory", str(Path(name).parent)).said


def test_a_tree_to_write_takes_all_that_a_renderer_does(cage: Cage, tree: Path) -> None:
    """Make, change, move between directories, link, cut and remove."""
    (tree / "write/new").mkdir()
    assert attempt(cage, tree, "use_a_tree", str(tree / "write/new")) == Ending(said=["123", "moved"])


@pytest.mark.parametrize(
    ("trial", "arguments"),
    [
        ("read", ["secret/file"]),
        ("read", ["write/escape"]),
        ("read", ["read/escape/file"]),
        ("read", ["write/../secret/file"]),
        ("read", ["/etc/passwd"]),
        ("read", ["/proc/self/status"]),
        ("list_directory", ["secret"]),
        ("list_directory", ["/"]),
        ("write", ["secret/file"]),
        ("write", ["read/file"]),
        ("write", ["write/escape"]),
        ("create", ["secret/new"]),
        ("create", ["read/new"]),
        ("create", ["/dev/shm/new"]),
        ("truncate_behind_reading", ["read/file"]),
        ("truncate_behind_reading", ["secret/file"]),
        ("change", ["unlink", "read/file"]),
        ("change", ["rmdir", "read/deep"]),
        ("change", ["mkdir", "read/new"]),
        ("change", ["symlink", "anything", "read/new"]),
        ("change", ["rename", "read/file", "read/new"]),
        ("change", ["mkfifo", "write/new"]),
        ("bind_a_path", ["write/new"]),
        ("start_a_program", ["/bin/true"]),
    ],
)
def test_the_rest_is_denied(cage: Cage, tree: Path, trial: str, arguments: list[str]) -> None:
    """Every way past what was granted fails with EACCES, whoever the user is."""
    assert attempt(cage, tree, trial, *arguments).errno == errno.EACCES


@pytest.mark.parametrize("function", ["rename", "link"])
@pytest.mark.parametrize(
    ("source", "target"), [("secret/file", "write/stolen"), ("write/file", "secret/left"), ("read/file", "write/moved")]
)
def test_files_do_not_change_trees(cage: Cage, tree: Path, function: str, source: str, target: str) -> None:
    """Neither a move nor a second name carries a file into a tree with other rights, nor out."""
    assert attempt(cage, tree, "change", function, source, target).errno in {errno.EACCES, errno.EXDEV}
    assert not (tree / target).exists()


def test_a_file_can_be_granted_alone(cage: Cage, tree: Path) -> None:
    """A rule on a file, or on a device, is taken, and grants no more than that file."""
    layers = restricted([tree / "read/file"], [tree / "secret/file", Path("/dev/null")])
    assert cage.attempt(layers, "attempts:read", str(tree / "read/file")) == Ending(said="hello")
    assert cage.attempt(layers, "attempts:write", str(tree / "secret/file")) == Ending()
    assert cage.attempt(layers, "attempts:write", "/dev/null") == Ending()
    assert cage.attempt(layers, "attempts:write", str(tree / "read/file")).errno == errno.EACCES
    assert cage.attempt(layers, "attempts:list_directory", str(tree / "read")).errno == errno.EACCES


def test_paths_that_do_not_exist_are_passed_over(cage: Cage, tree: Path) -> None:
    """A directory that this machine lacks, or a path below a file, does not cost the layer."""
    layers = restricted([tree / "nowhere", tree / "read/file/below", tree / "read"])
    assert cage.attempt(layers, "attempts:read", str(tree / "read/file")) == Ending(said="hello")


def test_a_second_restriction_never_widens(cage: Cage, tree: Path) -> None:
    """What was denied stays denied, though it is asked for again."""
    layers = restricted([tree / "read"])
    widened = cage.attempt(layers, "attempts:narrow_then_widen", str(tree / "secret/file"), str(tree))
    assert widened.errno == errno.EACCES


def test_programs_start_where_it_is_granted(cage: Cage, tree: Path) -> None:
    """A program starts, and is held by the same rules."""
    layers = restricted(write=[Path("/dev/null")], execute=SYSTEM)
    script = f"echo hello; cat {tree}/secret/file 2>&1 || true"
    said = cage.attempt(layers, "attempts:start_a_program", "/bin/sh", "-c", script).said
    assert said.startswith("hello\n")
    assert said.endswith("Permission denied\n")


@pytest.mark.parametrize("newest", range(1, landlock.NEWEST + 1))
def test_each_version_holds_what_it_knows(cage: Cage, kernel: int, tree: Path, newest: int) -> None:
    """On an older kernel the rights that it knows are held, and the others are not asked for."""
    if newest > kernel:
        pytest.skip(f"the kernel's Landlock is version {kernel}")
    layers = restricted([tree / "read", Path("/dev/tty")], [Path("/dev/null")], newest=newest)
    name = f"jobsupervisor-test-{os.getpid()}"
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as abstract:
        tcp.bind(("127.0.0.1", 0))
        abstract.bind("\0" + name)
        tcp.listen()
        abstract.listen()
        held = {
            1: cage.attempt(layers, "attempts:read", str(tree / "secret/file")).errno == errno.EACCES,
            3: cage.attempt(layers, "attempts:truncate_behind_reading", str(tree / "read/file")).errno == errno.EACCES,
            4: cage.attempt(layers, "attempts:connect_tcp", tcp.getsockname()[1]).errno == errno.EACCES,
            5: cage.attempt(layers, "attempts:command_a_device", "/dev/null").errno == errno.EACCES,
            6: cage.attempt(layers, "attempts:connect_abstract", name).errno == errno.EPERM,
        }
    assert held == {version: version <= newest for version in held}
    assert (cage.attempt(layers, "attempts:bind_tcp").errno == errno.EACCES) == (newest >= 4)
    assert (cage.attempt(layers, "attempts:kill_parent", 0).errno == errno.EPERM) == (newest >= 6)


def test_signals_within_the_layer(cage: Cage) -> None:
    """A process may still signal itself, and what it started."""
    assert cage.attempt(restricted(), "attempts:kill_self", signal.SIGTERM) == Ending(signal=signal.SIGTERM)
    assert cage.attempt(restricted(), "attempts:signal_a_descendant") == Ending(said=-signal.SIGKILL)


def test_an_open_output_keeps_working(cage: Cage, tree: Path) -> None:
    """The output was opened before: it can be written and cut, though its path cannot be opened."""
    assert cage.attempt(restricted([tree / "read"]), "attempts:use_an_open_file") == Ending(said=["abc", errno.EACCES])


@pytest.mark.parametrize(("kind", "config", "content_type"), RENDERS)
def test_built_in_kinds_render(studio: Cage, tree: Path, kind: str, config: dict[str, Any], content_type: str) -> None:
    """Each kind draws its sample with nothing to read but Python and the renderers, with the filter on top."""
    layers = [*restricted([Path(path) for path in PYTHON], [tree / "write"]), KILL]
    rendered = studio.attempt(layers, "activities:render", kind, config, str(tree / "write"))
    assert rendered == Ending(said=content_type)


@pytest.mark.parametrize("activity", ["files", "database", "arrays", "memory"])
def test_private_files(studio: Cage, tree: Path, activity: str) -> None:
    """What plug-ins do with temporary files works in a directory of their own."""
    layers = restricted([Path(path) for path in [*PYTHON, *SYSTEM]], [tree / "write"])
    assert studio.attempt(layers, "activities:with_temporary_directory", str(tree / "write"), activity) == Ending()


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_kernel_without_it(cage: Cage, error: int) -> None:
    """Where the kernel has none, built without or started without, the caller is told, with the kernel's own error."""
    assert cage.attempt([NO_NEW_PRIVILEGES], "attempts:restrict_without_landlock", error).errno == error


def test_it_needs_no_new_privileges(cage: Cage) -> None:
    """Without, an unprivileged process is refused, and told so."""
    layers: list[Layer] = [("no_capabilities", {}), *restricted()[1:]]
    assert cage.attempt(layers, "attempts:fork").errno == errno.EPERM


def test_it_leaves_no_descriptor(cage: Cage, tree: Path) -> None:
    """The rules themselves are closed again: a child has only the descriptors that it was given."""
    layers = restricted([tree / "read", tree / "nowhere"], [tree / "write"])
    assert cage.attempt(layers, "attempts:highest_descriptor") == cage.attempt([], "attempts:highest_descriptor")
