"""Which files a child may see: what the interpreter needs, the system's libraries and fonts, and the code of the kinds.

Of a directory that is on the import path only what was imported from it is shown, by whole packages: a checkout or a working
directory may hold anything besides, an `.env` file among them. Directories of installed packages are shown whole, since
libraries import parts of themselves late.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/fonts",
    "/usr/share/fontconfig",
    "/usr/share/zoneinfo",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/localtime",
)
_PROGRAMS = ("/bin", "/usr/bin", "/usr/local/bin")
_PACKAGES = {"site-packages", "dist-packages"}


def visible(*, programs: bool) -> list[Path]:
    """Return the files and directories to show, none of them inside another; `programs` adds the system's."""
    paths = [Path(path) for path in (*_SYSTEM, *(_PROGRAMS if programs else ()))]
    paths.append(Path(sys.base_prefix) / "lib")
    paths += [Path(entry) for entry in sys.path if Path(entry).name in _PACKAGES or Path(entry).is_file()]
    shown = outermost(path for path in paths if path.exists())
    return outermost([*shown, *(path for path in _imported() if not _is_below(path, shown))])


def outermost(paths: Iterable[Path]) -> list[Path]:
    """Return the paths that are not inside another one."""
    found: list[Path] = []
    for path in sorted({path.absolute() for path in paths}):
        if not _is_below(path, found):
            found.append(path)
    return found


def _is_below(path: Path, others: Iterable[Path]) -> bool:
    return any(path.is_relative_to(other) for other in others)


def _imported() -> Iterator[Path]:
    """Yield where each imported module lies: the directory of its outermost package, or its own file."""
    for name, module in list(sys.modules.items()):
        parts = name.split(".")
        ancestors = [sys.modules.get(".".join(parts[: depth + 1])) for depth in range(len(parts))]
        # A namespace package has no file: its directory may belong to many.
        outer = next((found for found in ancestors if _file(found)), None)
        file = _file(outer)
        if file is not None and file.exists() and _file(module) is not None:
            yield file.parent if file.stem == "__init__" else file


def _file(module: ModuleType | None) -> Path | None:
    name = getattr(module, "__file__", None)
    return Path(name) if isinstance(name, str) and Path(name).is_absolute() else None
