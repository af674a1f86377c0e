"""Kinds of job: which callable renders which kind, and what it declares about itself.

A kind is named in one of three places: here (built in), in the setting RENDER_PLUGINS as `kind=package.module:callable`,
or as an entry point of the group `jobsupervisor.renderers`. A callable needs nothing of ours; `render_kind` adds
declarations to it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from renderer.needs import NONE, Needs

if TYPE_CHECKING:
    from pydantic import BaseModel

ENTRY_POINT_GROUP = "jobsupervisor.renderers"

Render = Callable[..., None]
RenderT = TypeVar("RenderT", bound=Render)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a renderer says of itself.

    `spec` and `config` are pydantic models: the child validates with them and hands the renderer the model's instance
    in place of the dict. `writes_output` is False for a kind that produces no artifact. `reusable` says that a child
    may go on to another job after one of this kind; it is for renderers that run no code of strangers. `needs` is what it
    needs beyond what every child has: without the operator's leave the kind is not available.
    """

    spec: type[BaseModel] | None = None
    config: type[BaseModel] | None = None
    writes_output: bool = True
    reusable: bool = False
    needs: Needs = NONE


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind that can be rendered: its name, its callable and what that declares."""

    name: str
    render: Render
    declared: Declaration


def render_kind(
    *,
    spec: type[BaseModel] | None = None,
    config: type[BaseModel] | None = None,
    writes_output: bool = True,
    reusable: bool = False,
    needs: Needs = NONE,
) -> Callable[[RenderT], RenderT]:
    """Declare what a renderer takes and does; see `Declaration`."""

    def declare(render: RenderT) -> RenderT:
        declared = Declaration(spec, config, writes_output, reusable, needs)
        render.__render_declaration__ = declared  # type: ignore[attr-defined]
        return render

    return declare


BUILT_IN: Mapping[str, str] = {
    "noop": "renderer.kinds.noop:render",
    "scene": "renderer.kinds.scene:render",
    "svg": "renderer.kinds.svg:render",
}


def entry_points() -> dict[str, str]:
    """Return kind → `package.module:callable` of the installed plug-ins."""
    return {point.name: point.value for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}


def load(name: str, target: str) -> Kind:
    """Import `package.module:callable` as the kind `name`.

    Raises ImportError or AttributeError as the import does, and TypeError where the target cannot be called as a renderer is.
    """
    module_name, _, attribute = target.partition(":")
    found: Any = importlib.import_module(module_name)
    for part in (attribute or "render").split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{target} is not callable; name a function render(spec, config, out)")
    _require_a_renderer(target, found)
    declared = getattr(found, "__render_declaration__", None)
    return Kind(name, found, declared if isinstance(declared, Declaration) else Declaration())


def _require_a_renderer(target: str, found: Callable[..., Any]) -> None:
    """Raise TypeError for what could be called, and would never render."""
    body = found if inspect.isroutine(found) else getattr(found, "__call__", found)  # noqa: B004 - that is where its code is
    if inspect.iscoroutinefunction(body) or inspect.isasyncgenfunction(body) or inspect.isgeneratorfunction(body):
        raise TypeError(
            f"{target} must be a plain function, it is asynchronous or a generator; a child renders one job at a time"
        )
    try:
        signature = inspect.signature(found)
    except ValueError:
        return  # a function of native code, which does not tell
    try:
        signature.bind({}, {}, None)
    except TypeError as error:
        raise TypeError(f"{target} must take (spec, config, out), it takes {signature}: {error}") from None
