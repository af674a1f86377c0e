"""jobsupervisor: render jobs from PostgreSQL in sandboxed child processes.

What applications use is here by name and loaded when it is first asked for: importing the package stays cheap, and
loads no database driver into a process that only imports a plug-in.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisor.errors import DatabaseUnreachable, ExpectedError, SchemaError
    from supervisor.store.async_render_queue import AsyncRenderQueue
    from supervisor.store.job_status import JobStatus, RenderCancelled, RenderFailed, RenderTimeout, UnknownJob
    from supervisor.store.refused import Refused
    from supervisor.store.render_queue import RenderQueue
    from supervisor.store.render_worker import register_render_worker, render_plugins
    from supervisor.store.requests import RenderRequest

__version__ = "0.1.0"

PROJECT = "jobsupervisor"
"""What the launcher looks for: supervisord installs a package of this name too, and has no such mark."""

__all__ = [
    "AsyncRenderQueue",
    "DatabaseUnreachable",
    "ExpectedError",
    "JobStatus",
    "Refused",
    "RenderCancelled",
    "RenderFailed",
    "RenderQueue",
    "RenderRequest",
    "RenderTimeout",
    "SchemaError",
    "UnknownJob",
    "register_render_worker",
    "render_plugins",
]

_HOMES = {
    "AsyncRenderQueue": "store.async_render_queue",
    "DatabaseUnreachable": "errors",
    "ExpectedError": "errors",
    "JobStatus": "store.job_status",
    "Refused": "store.refused",
    "RenderCancelled": "store.job_status",
    "RenderFailed": "store.job_status",
    "RenderQueue": "store.render_queue",
    "RenderRequest": "store.requests",
    "RenderTimeout": "store.job_status",
    "SchemaError": "errors",
    "UnknownJob": "store.job_status",
    "register_render_worker": "store.render_worker",
    "render_plugins": "store.render_worker",
}


def __getattr__(name: str) -> object:
    """Load a public name from the module that has it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the names of the module, those not loaded yet included."""
    return sorted({*globals(), *__all__})
