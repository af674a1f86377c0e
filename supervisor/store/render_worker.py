"""register_render_worker: an application names its renderers in code.

A renderer runs in a child of the supervisor, which imports it by name. So to register one means three things: to see
that it can be imported by a name, to make its kind known to enqueue_render, and to say what RENDER_PLUGINS must hold.

Importing this module, and with it a plug-in that uses the decorator, loads no database driver: the fork server imports
plug-ins, and its children must not find one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar, overload

from renderer import registry
from supervisor.errors import ConfigurationError

Render = Callable[..., None]
RenderT = TypeVar("RenderT", bound=Render)

_KIND = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")

_declared: dict[str, str] = {}
"""Kind → `module:callable` of what was declared by the decorator in this process."""


@overload
def register_render_worker(kind: str) -> Callable[[RenderT], RenderT]: ...
@overload
def register_render_worker(kind: str, render: Render | str, *, url: str | None = None) -> str: ...
def register_render_worker(
    kind: str, render: Render | str | None = None, *, url: str | None = None
) -> str | Callable[[RenderT], RenderT]:
    """Register a renderer, given as a function or as "package.module:callable"; return its entry in RENDER_PLUGINS.

    With `url` its kind is made known to the database there, so that it can be enqueued before a supervisor ran; that
    takes the role that migrates. Without `render` it is a decorator, which notes the function for `render_plugins` and
    touches no database. Raises ConfigurationError for what no supervisor could import.
    """
    if _KIND.fullmatch(kind) is None:
        raise ConfigurationError(
            f"kind must be at most 63 of a-z, 0-9, _, . and -, beginning with a letter, got {kind!r}"
        )
    if render is None:

        def declare(declared: RenderT) -> RenderT:
            _declared[kind] = _name_of(kind, declared)
            return declared

        return declare
    target = _importable(kind, render)
    if url is not None:
        _make_known(url, {kind: target})
    return f"{kind}={target}"


def render_plugins(*, url: str | None = None) -> str:
    """Return the value of RENDER_PLUGINS for every renderer that was declared by the decorator in this process.

    Each is imported by its name first, as a supervisor does; with `url` their kinds are made known to the database
    there. Raises ConfigurationError.
    """
    for kind, target in _declared.items():
        _importable(kind, target)
    if url is not None:
        _make_known(url, _declared)
    return ",".join(f"{kind}={target}" for kind, target in _declared.items())


def _name_of(kind: str, render: object) -> str:
    """Return the name under which a callable can be imported, as far as it can tell itself. Raises ConfigurationError."""
    module, name = getattr(render, "__module__", None), getattr(render, "__qualname__", None)
    if not callable(render) or not isinstance(module, str) or not isinstance(name, str):
        raise ConfigurationError(
            f"the renderer of {kind!r} must be a function with a name, got {render!r}; "
            "write `def render(spec, config, out)` at the top of a module"
        )
    if "<" in name:
        raise ConfigurationError(
            f"the renderer of {kind!r} must be importable by name, got {module}:{name}: a lambda or a function inside "
            "another has no name that a supervisor could import; write it with `def` at the top of its module"
        )
    if module == "__main__":
        raise ConfigurationError(
            f"the renderer of {kind!r} must be in a module that can be imported, got __main__:{name}: a supervisor is "
            "another program; move it to a module of its own"
        )
    return f"{module}:{name}"


def _importable(kind: str, render: Render | str) -> str:
    """Return `package.module:callable` after importing it by that name. Raises ConfigurationError."""
    target = render if isinstance(render, str) else _name_of(kind, render)
    if _TARGET.fullmatch(target) is None:
        raise ConfigurationError(f"the renderer of {kind!r} must be package.module:callable, got {target!r}")
    try:
        found: Any = registry.load(kind, target).render
    except (Exception, SystemExit) as error:  # whatever a module raises when it is imported
        raise ConfigurationError(
            f"the renderer of {kind!r} must be importable, {target} is not: {type(error).__name__}: {error}; "
            "check its name, and that its module is on PYTHONPATH or installed"
        ) from error
    if not isinstance(render, str) and found is not render:
        raise ConfigurationError(
            f"the renderer of {kind!r} must be what its name says, but {target} is another object; "
            "register it under the name that its module gives it, as text"
        )
    return target


def _make_known(url: str, plugins: dict[str, str]) -> None:
    from supervisor.store.kinds import register_plugins

    register_plugins(url, plugins)
