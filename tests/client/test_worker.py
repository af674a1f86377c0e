"""register_render_worker: what a supervisor can import is registered, what it cannot is refused with the way out."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor import Refused, RenderQueue, register_render_worker, render_plugins
from supervisor.errors import ConfigurationError
from supervisor.settings import load
from supervisor.store import render_worker
from tests.client.support import PATIENCE, enqueuing_role
from tests.kinds import behaviour
from tests.prepared import CHECKOUT
from tests.service.support import Service

MODULE = """
from supervisor import register_render_worker

@register_render_worker("greet")
def draw(spec, config, out):
    out.content_type = "text/plain"
    out.write(spec["text"].encode())

class Charts:
    @staticmethod
    def draw(spec, config, out): pass

renamed = draw
def hidden(spec, config, out): pass
kept, hidden = hidden, None
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Provide an application's module that declares a renderer, imported; and forget it again."""
    (tmp_path / "greetings.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("greetings")
    del sys.modules["greetings"]
    render_worker._declared.clear()  # noqa: SLF001 - a process declares once; here each test is one


def test_from_the_decorator_to_the_artifact(module: Any, database: str, tmp_path: Path) -> None:
    """A declared renderer can be enqueued before a supervisor ran, and the value that is returned makes one run it."""
    plugins = render_plugins(url=database)
    assert plugins == "greet=greetings:draw"
    with RenderQueue(database) as client:
        job_id = client.enqueue("greet", {"text": "hello"})
        path = f"{CHECKOUT}:{tmp_path}"
        with Service(database, tmp_path, RENDER_PLUGINS=plugins, PYTHONPATH=path) as service:
            service.ready()
            assert client.result(job_id, PATIENCE).output_bytes == len("hello")
            assert service.stop() == 0
    assert module.draw.__qualname__ == "draw"


def test_what_is_returned_is_what_the_setting_takes(module: Any) -> None:
    """By function, by a method of a class, and by name."""
    entries = [
        register_render_worker("a", module.draw),
        register_render_worker("b-2", module.Charts.draw),
        register_render_worker("c", "tests.kinds.behaviour:write"),
        register_render_worker("d", behaviour.gate),
    ]
    targets = ["greetings:draw", "greetings:Charts.draw", "tests.kinds.behaviour:write", "tests.kinds.behaviour:gate"]
    assert load({"RENDER_PLUGINS": ",".join(entries)}).plugins == dict(
        zip(["a", "b-2", "c", "d"], targets, strict=True)
    )


def test_a_kind_is_made_known(database: str) -> None:
    """Twice is as good as once; the role of an application may not, and is told who may."""
    with RenderQueue(database) as client:
        with pytest.raises(Refused, match="registered kind"):
            client.enqueue("gate", {})
        for _ in range(2):
            register_render_worker("gate", behaviour.gate, url=database)
        client.enqueue("gate", {})
    with enqueuing_role(database) as url, pytest.raises(Refused, match=r"permission denied.*\n.*that owns the schema"):
        register_render_worker("write", behaviour.write, url=url)


def nested() -> Callable[..., None]:
    """Return a function that has no name to import it by."""

    def draw(spec: Any, config: Any, out: Any) -> None:
        """Draw nothing."""

    return draw


class Draws:
    """An object that can be called."""

    def __call__(self, spec: Any, config: Any, out: Any) -> None:
        """Draw nothing."""


def of_main() -> Callable[..., None]:
    """Return a function that says it is the main program's."""

    @functools.wraps(behaviour.write)
    def draw(spec: Any, config: Any, out: Any) -> None:
        """Draw nothing."""

    draw.__module__ = "__main__"
    return draw


WRONG: dict[str, tuple[Any, str]] = {
    "lambda": (lambda *_: None, "a lambda or a function inside another has no name.*at the top of its module"),
    "closure": (nested(), r"nested\.<locals>\.draw: a lambda or a function inside another"),
    "main": (of_main(), "got __main__:write: a supervisor is another program; move it to a module of its own"),
    "partial": (functools.partial(behaviour.write), "must be a function with a name"),
    "object": (Draws(), "must be a function with a name"),
    "not callable": (7, "must be a function with a name, got 7"),
    "text": ("behaviour.write", "must be package.module:callable, got 'behaviour.write'"),
    "no module": ("no_such_module:draw", "no_such_module:draw is not: ModuleNotFoundError.*PYTHONPATH"),
    "no function": ("tests.kinds.behaviour:nope", "is not: AttributeError"),
    "no callable": ("tests.kinds.behaviour:Json.__args__", "is not: TypeError"),
}


@pytest.mark.parametrize(("render", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_no_supervisor_could_import(render: Any, said: str) -> None:
    """It is refused, with the reason and the way out; by the decorator too, as far as it can know."""
    with pytest.raises(ConfigurationError, match=said):
        register_render_worker("thumb", render)
    if callable(render):
        with pytest.raises(ConfigurationError, match=said):
            register_render_worker("thumb")(render)
    assert render_plugins() == ""


def test_a_name_that_is_another_object(module: Any) -> None:
    """A function that its module has under another name cannot be imported by its own."""
    with pytest.raises(ConfigurationError, match="greetings:hidden"):
        register_render_worker("thumb", module.kept)
    assert register_render_worker("thumb", "greetings:kept") == "thumb=greetings:kept"


@pytest.mark.parametrize("kind", ["", "Thumb", "1st", "a b", "a=b", "x" * 64])
def test_a_kind_that_no_setting_takes(kind: str) -> None:
    """The rule of the setting and of the database is told at once."""
    with pytest.raises(ConfigurationError, match="kind must be at most 63 of a-z"):
        register_render_worker(kind)
    with pytest.raises(ConfigurationError):
        load({"RENDER_PLUGINS": f"{kind}=tests.kinds.behaviour:write"})
