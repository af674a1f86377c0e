"""What a child says of an exception: whose fault it was, in one outcome, with the field or the place."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from renderer.child import explain
from renderer.errors import InvalidSpec, LimitExceeded
from renderer.kinds.scene.model import SceneSpec
from renderer.outcome import Outcome


def caught(work: Callable[[], object]) -> BaseException:
    """Return what `work` raises, with the traceback that it has when a child catches it."""
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - as the child does
        return error
    pytest.fail("nothing was raised")


def raiser(error: BaseException, cause: BaseException | None = None) -> Callable[[], None]:
    """Return a function that raises `error`, from `cause` where there is one."""

    def work() -> None:
        raise error from cause

    return work


def while_handling(first: BaseException, then: BaseException) -> Callable[[], None]:
    """Return a function that raises `then` while it handles `first`."""

    def work() -> None:
        try:
            raiser(first)()
        except type(first):
            raise then  # noqa: B904 - the implicit context is what is looked at

    return work


def test_an_invalid_spec() -> None:
    """Our own exception is invalid, and names the field."""
    assert explain(InvalidSpec("must be positive", field="objects[3].width")) == (
        Outcome.INVALID,
        "objects[3].width: must be positive",
    )
    assert explain(InvalidSpec("no such font")) == (Outcome.INVALID, "no such font")


def test_an_invalid_spec_of_a_plug_in() -> None:
    """A class of that name is enough, a subclass of it too: a plug-in need not import anything of ours."""
    foreign = type("InvalidSpec", (ValueError,), {})
    narrower = type("NoSuchTemplate", (foreign,), {})
    assert explain(caught(raiser(foreign("no")))) == (Outcome.INVALID, "no")
    assert explain(caught(raiser(narrower("unknown")))) == (Outcome.INVALID, "unknown")


class Box(BaseModel):
    """A model such as a plug-in declares."""

    width: int = Field(ge=1)


class Picture(BaseModel):
    """A model with a list, to have an index in a path."""

    objects: list[Box]


def test_a_validation_error_names_the_field() -> None:
    """The path is written as a person would, and of several mistakes the first is told and the rest counted."""
    boxes = [{"width": 1}] * 3
    outcome, message = explain(caught(lambda: Picture.model_validate({"objects": [*boxes, {"width": 0}]})))
    assert outcome is Outcome.INVALID
    assert message.startswith("objects[3].width: ")
    _, message = explain(caught(lambda: Picture.model_validate({"objects": [{"width": 0}, {}, {"width": "x"}]})))
    assert message.startswith("objects[0].width: ")
    assert message.endswith(" (and 2 more)")


def test_a_validation_error_of_the_scene_kind() -> None:
    """The built-in model names the same path, although it chooses among kinds of object on the way."""
    rect = {"id": "a", "type": "rectangle", "x": 0, "y": 0, "width": 1, "height": 1}
    objects = [rect | {"id": str(number)} for number in range(3)] + [rect | {"id": "b", "width": -1}]
    error = caught(lambda: SceneSpec.model_validate({"objects": objects, "duration": 1}))
    assert isinstance(error, ValidationError)
    assert explain(error)[1].startswith("objects[3].width: ")


def test_a_validation_error_without_a_field() -> None:
    """A spec that is no object at all has no field to name; the message stands alone, without the value."""
    outcome, message = explain(caught(lambda: Picture.model_validate("secret")))
    assert outcome is Outcome.INVALID
    assert message[0] != ":"
    assert "secret" not in message


@pytest.mark.parametrize(
    "work",
    [
        raiser(MemoryError()),
        raiser(OSError(errno.ENOMEM, "Cannot allocate memory")),
        raiser(ValueError("cannot decode"), MemoryError()),
        raiser(RuntimeError("no surface"), OSError(errno.ENOMEM, "mmap")),
        while_handling(MemoryError(), KeyError("cache")),
        while_handling(MemoryError(), OSError(errno.ENOSPC, "no space")),
        lambda: bytearray(1 << 62),
    ],
)
def test_a_lack_of_memory(work: Callable[[], object]) -> None:
    """MemoryError or ENOMEM, raised or somewhere in what led to it, is memory, and the place is told."""
    outcome, message = explain(caught(work))
    assert outcome is Outcome.MEMORY
    assert message.startswith("out of memory under the job's limit (test_explain.py:")


def test_a_chain_that_bites_its_tail() -> None:
    """Exceptions that name each other as their cause do not hold the child up."""
    one, two = ValueError("one"), KeyError("two")
    one.__cause__, two.__cause__ = two, one
    assert explain(one)[0] is Outcome.RENDER_ERROR


@pytest.mark.parametrize(
    ("number", "outcome", "words"),
    [
        (errno.EFBIG, Outcome.LIMIT, "over the limit of the output"),
        (errno.EMFILE, Outcome.LIMIT, "too many open files"),
        (errno.ENFILE, Outcome.LIMIT, "too many open files"),
        (errno.EAGAIN, Outcome.LIMIT, "too many processes"),
        (errno.ENOSPC, Outcome.LIMIT, "over the space for temporary files"),
        (errno.EDQUOT, Outcome.LIMIT, "over the space for temporary files"),
        (errno.ENOENT, Outcome.RENDER_ERROR, "FileNotFoundError"),
        (errno.EPERM, Outcome.VIOLATION, "the sandbox forbids it"),
        (errno.EACCES, Outcome.VIOLATION, "the sandbox forbids it"),
        (errno.EROFS, Outcome.VIOLATION, "the sandbox forbids it"),
    ],
)
def test_errors_of_the_system(number: int, outcome: Outcome, words: str) -> None:
    """Limits are the job's, what the sandbox refuses is a violation, the rest is an error of the renderer."""
    found, message = explain(caught(raiser(OSError(number, os.strerror(number)))))
    assert found is outcome
    assert words in message
    assert os.strerror(number) in message
    assert "(test_explain.py:" in message


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_of_the_artifacts(number: int) -> None:
    """It is ours and never charged, where it is that one that is full."""
    found, message = explain(caught(raiser(OSError(number, os.strerror(number)))), disk_is_full=True)
    assert found is Outcome.INTERNAL
    assert "disk of the artifacts is full" in message


def test_too_many_files_for_real() -> None:
    """The error that the kernel and Python make of one open file too many is understood."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        error = caught(lambda: os.open("/dev/null", os.O_RDONLY))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert explain(error)[0] is Outcome.LIMIT


def test_a_limit_of_ours_and_of_threads() -> None:
    """A renderer that counts for itself says `limit`; so does Python, in words, when a thread cannot start."""
    assert explain(LimitExceeded("at most 10 pages")) == (Outcome.LIMIT, "at most 10 pages")
    assert explain(RuntimeError("can't start new thread"))[0] is Outcome.LIMIT
    assert explain(RuntimeError("no surface"))[0] is Outcome.RENDER_ERROR


@pytest.mark.parametrize("code", [0, 1, None, "bye"])
def test_sys_exit_is_an_error(code: Any) -> None:
    """A renderer that calls sys.exit() did not finish its work, whatever code it gave."""
    outcome, message = explain(caught(raiser(SystemExit(code))))
    assert outcome is Outcome.RENDER_ERROR
    assert message.startswith(f"the renderer called sys.exit({code!r}) (test_explain.py:")


def test_a_panic_is_an_error() -> None:
    """Libraries in Rust raise a BaseException when they panic: an error with a place, no end of the child."""
    panic = type("PanicException", (BaseException,), {})
    outcome, message = explain(caught(raiser(panic("index out of bounds"))))
    assert outcome is Outcome.RENDER_ERROR
    assert message.startswith("PanicException: index out of bounds (test_explain.py:")


def test_the_place_is_where_it_was_raised() -> None:
    """The innermost frame is named, by its file's name and line; no directory of the machine is told."""
    line = raiser.__code__.co_firstlineno + 4
    outcome, message = explain(caught(raiser(ZeroDivisionError("by zero"))))
    assert (outcome, message) == (Outcome.RENDER_ERROR, f"ZeroDivisionError: by zero (test_explain.py:{line})")


class Mute(Exception):  # noqa: N818 - it has no words
    """An exception that cannot be compared or turned into text."""

    __hash__ = Exception.__hash__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_exception_that_misbehaves_itself() -> None:
    """An exception whose own methods raise is still an error of the renderer with a place, and ends nothing."""
    for work in (raiser(Mute()), raiser(ValueError("x"), Mute()), while_handling(KeyError(), Mute())):
        outcome, message = explain(caught(work))
        assert outcome is Outcome.RENDER_ERROR
        assert "(test_explain.py:" in message
