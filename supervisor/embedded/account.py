"""Whom the server runs as, and what that user can reach."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from supervisor.embedded.binaries import EmbeddedUnavailable

CANDIDATES = ("postgres", "nobody")


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

    def own(self, path: Path) -> None:
        """Give a file or a whole tree of ours to this user."""
        for each in (path, *path.rglob("*")):
            os.chown(each, self.uid, self.gid, follow_symlinks=False)


def choose() -> Account | None:
    """Return whom to run as: None for who we are, and as root the first of `postgres` and `nobody` that exists."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedUnavailable(
        f"PostgreSQL refuses to run as root, and neither user {' nor '.join(CANDIDATES)} exists. "
        "Run as another user, or set DATABASE_URL"
    )


def temporary_directories(account: Account | None, preferred: Path | None = None) -> Iterator[Path]:
    """Yield directories to put temporary files in, best first."""
    yield preferred or Path(tempfile.gettempdir())
    if account is not None:
        # TMPDIR may be root's own; these are made for everybody.
        yield from (Path(name) for name in ("/tmp", "/var/tmp", "/dev/shm"))  # noqa: S108 - each made private by mkdtemp
