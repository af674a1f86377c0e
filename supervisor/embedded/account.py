"""Whom the server runs as, and what that user can reach.

PostgreSQL refuses to run as root, so root starts it as somebody else. Not as `postgres` or `nobody`: other programs run as
these, and whoever has the server's number may read its files, change who may connect, and trace it. The server gets a number
of its own, one that no user of this machine and no process has.

It is none of those that systemd gives to services for the time that they run (DynamicUser=, 61184 to 65519): data that is kept
would belong to whichever service gets the number next. It is out of a range that systemd's table of numbers ("Users, Groups, UIDs
and GIDs on systemd Systems") leaves to nobody, below those of containers. Nothing reserves a number. Two servers of root's that choose the same one
by chance can enter each other, and both are root's; everybody else would have to be root to become it.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from supervisor.embedded.binaries import EmbeddedUnavailable
from supervisor.embedded.files import hand_over

CANDIDATES = ("postgres", "nobody")
"""Whom it runs as where root may not become somebody without a name, as in some containers."""
NUMBERS = range(60578, 61184)
"""Numbers that belong to nobody."""
_TRIES = 50


@dataclass(frozen=True, slots=True)
class Account:
    """A user that is not us, by number; `None` in its place means: run as who we are."""

    uid: int
    gid: int

    def can(self, command: str, *arguments: str | Path) -> bool:
        """Say whether a shell command succeeds as this user. Asking the kernel covers ACLs and mount options too."""
        try:
            said = subprocess.run(
                ["/bin/sh", "-c", command, "sh", *arguments],
                user=self.uid,
                group=self.gid,
                extra_groups=[],
                cwd="/",
                # Whoever has this number may read it in /proc: root's own holds secrets.
                env={"PATH": os.defpath, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedUnavailable(
                f"PostgreSQL refuses to run as root, and root cannot become uid {self.uid} here ({error}). "
                "Run as another user, or set DATABASE_URL"
            ) from error
        return said.returncode == 0

    def is_possible(self) -> bool:
        """Whether root can become this user: in a container not every number is mapped."""
        try:
            return self.can("true")
        except EmbeddedUnavailable:
            return False

    def own(self, path: Path) -> None:
        """Give a file or a whole tree to this user; nobody else enters its directories then. Raises EmbeddedUnavailable."""
        hand_over(path, self.uid, self.gid)


def choose(kept: Path | None = None) -> Account | None:
    """Return whom to run as: None for who we are, and as root a user that is nobody else.

    `kept` is a data directory that may be there already: its owner, where that is nobody else. Raises EmbeddedUnavailable.
    """
    if os.geteuid() != 0:
        return None
    if kept is not None and kept.is_dir() and (owner := kept.lstat()).st_uid in NUMBERS and not _has_name(owner.st_uid):
        return Account(owner.st_uid, owner.st_gid)
    number = _unused()
    if number is not None and (account := Account(number, number)).is_possible():
        return account
    return shared()


def shared(gid: int | None = None) -> Account:
    """Return the first of `postgres` and `nobody` that exists. Raises EmbeddedUnavailable.

    With a group that nobody else has, where there is one: others of that user can neither trace it then (ptrace(2) compares
    groups too) nor follow it into a directory that only the group may enter.
    """
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid if gid is None else gid)
    raise EmbeddedUnavailable(
        f"PostgreSQL refuses to run as root, and neither user {' nor '.join(CANDIDATES)} exists. "
        "Run as another user, or set DATABASE_URL"
    )


def _unused() -> int | None:
    """Return a number that no user, no group and no process has; None where none was found."""
    running = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            running.add(process.stat().st_uid)
    for _ in range(_TRIES):
        number = secrets.choice(NUMBERS)
        if number not in running and not _has_name(number):
            return number
    return None


def _has_name(number: int) -> bool:
    """Whether a user or a group has this number."""
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwuid(number))
    with contextlib.suppress(KeyError):
        return bool(grp.getgrgid(number))
    return False


def temporary_directories(account: Account | None, preferred: Path | None = None) -> Iterator[Path]:
    """Yield directories to put temporary files in, best first."""
    yield preferred or Path(tempfile.gettempdir())
    if account is not None:
        # TMPDIR may be root's own; these are made for everybody.
        yield from (Path(name) for name in ("/tmp", "/var/tmp", "/dev/shm"))  # noqa: S108 - each made private by mkdtemp
