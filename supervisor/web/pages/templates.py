"""The templates, and how values are written in them."""

from __future__ import annotations

import asyncio
import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import HTMLResponse

from supervisor.web.pages.static import static_url

if TYPE_CHECKING:
    from jinja2 import Environment

_DIRECTORY = Path(__file__).parent.parent / "templates"


_UNITS = ("B", "KB", "MB", "GB", "TB")
_STEP = 1024
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def bytes_text(count: float | None) -> str:
    """Return a number of bytes for people."""
    if count is None:
        return "-"
    power = 0
    while count >= _STEP and power < len(_UNITS) - 1:
        count /= _STEP
        power += 1
    return f"{count:.3g} {_UNITS[power]}" if count < _STEP - 1 else f"{count:.0f} {_UNITS[power]}"


def seconds_text(seconds: float | None) -> str:
    """Return a duration for people, in its two largest units."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    for unit, name, smaller, smaller_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if seconds >= unit:
            whole, rest = divmod(round(seconds / smaller), unit // smaller)
            return f"{whole} {name} {rest} {smaller_name}" if rest else f"{whole} {name}"
    raise AssertionError(seconds)


def time_text(moment: datetime | float | None) -> str:
    """Return a time for people, in UTC: the reader's zone is not known here."""
    if moment is None:
        return "-"
    if isinstance(moment, int | float):
        moment = datetime.fromtimestamp(moment, UTC)
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_DIRECTORY),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "bytes": bytes_text,
        "seconds": seconds_text,
        "time": time_text,
        "quoted": lambda text: quote(text, safe=""),
    }
    environment.globals["static"] = static_url
    return environment


def _compile() -> None:
    for name in _environment().list_templates():
        _environment().get_template(name)


async def prepare() -> None:
    """Have the templates there, before the first of them is asked for.

    To import and compile them takes a fifth of a second, once: not at the start of a service at which nobody may ever look, and not in the
    loop, which has jobs to see to.
    """
    if not _environment.cache_info().currsize:
        await asyncio.to_thread(_compile)


def render(template: str, /, **values: object) -> str:
    """Return a template, filled in."""
    return _environment().get_template(template).render(values)


def page(template: str, status: int = 200, /, **values: object) -> HTMLResponse:
    """Return a template as an answer, with its status."""
    return HTMLResponse(render(template, **values), status_code=status)
