"""Whose a store of artifacts is. Retention deletes what its database does not need, so that it must be sure of that.

Each database has an identity, a random number that it was installed with, and each store a marker with the identity of the
database whose artifacts it holds. The database lists the stores that it marked. That gives four cases:

- the marker is ours: all is well
- the marker is another's: two databases were given one store; each would delete the artifacts of the other
- no marker, and we marked this store, or our newest jobs have artifacts there that are not there: its volume is not mounted, or it was
  wiped; a job would be completed with bytes that go below the mount point
- no marker otherwise: a new store, or one from before there were markers. It is ours if it holds nothing that our database does
  not know

In the second and third case the service does not start and retention does nothing. The way out is `adopt`, on purpose.

A database that was restored to an earlier time has the right identity. What its jobs wrote after the dump it does not know: that
is found file by file, by retention (sql/queries/retention_referenced.sql), which then collects nothing until `adopt`, however old
the files get meanwhile.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Protocol

from supervisor.artifacts import ArtifactStore, StoredArtifact
from supervisor.artifacts.root import MARKER
from supervisor.errors import ConfigurationError, ExpectedError

_SAMPLE = 2000
"""Artifacts of a store without a marker that are asked about before it is marked. Their names are spread by chance."""
_BATCH = 500


class Records(Protocol):
    """What a database knows of a store. Everything blocks."""

    @property
    def installation(self) -> str:
        """The database's identity."""

    @property
    def marked(self) -> bool:
        """Whether it lists the store."""

    @property
    def disputed(self) -> bool:
        """Whether the store was found to hold what no job of the database wrote."""

    def newest(self) -> list[str]:
        """Return the URLs of some artifacts of jobs that completed last."""

    def mark(self) -> None:
        """List it."""

    def adopt(self) -> None:
        """List it, and take all that is stored there by now for its own."""

    def dispute(self) -> None:
        """Take note that it holds what no job of the database wrote."""

    def standing(self, artifacts: Sequence[StoredArtifact]) -> dict[tuple[str, int], str]:
        """Return, by job and attempt, which artifacts are `needed` and which `unknown`; the rest are orphans."""


class NotOurs(ExpectedError):  # noqa: N818 - reads as the state it is
    """The store is not this database's, or cannot be told to be."""


class AnothersStore(NotOurs, ConfigurationError):  # noqa: N818 - as above
    """The store is marked as another database's: no later try can help."""


def require_owned(store: ArtifactStore, records: Records) -> None:
    """Make sure that the store is this database's; mark it where it is new. Blocks.

    Raises NotOurs, with the way out; OSError for a store that does not answer.
    """
    marker = store.marker()
    if marker is None and not records.marked and store.holds(records.newest()) is not False:
        _require_known(store, records)
        # The store first: should this end in between, the next start finds a mark of its own. Another supervisor of ours may do
        # the same at this moment: whoever was first, it is the same mark.
        store.mark(_text(records))
        marker = store.marker()
    owner = None if marker is None else _owner(marker)
    if owner == records.installation:
        if not records.marked:
            records.mark()
        return
    if owner is None:
        raise NotOurs(
            f"RENDER_ARTIFACTS_URL: the store must have the marker that this database gave it: {store.place} has no {MARKER}. "
            "Is its volume not mounted? Mount it; or, if the store was emptied or moved on purpose, run "
            "`jobsupervisor artifacts adopt`"
        )
    raise AnothersStore(
        f"RENDER_ARTIFACTS_URL: the store must be this database's alone: {store.place} is that of installation {owner}, this "
        f"is installation {records.installation}. Give this one another store; or, if the other is gone for good, run "
        f"`jobsupervisor artifacts adopt --from {owner}`"
    )


def adopt(store: ArtifactStore, records: Records, previous: str | None) -> None:
    """Take a store over, with all that it holds; `previous` names the installation that it was marked as that of.

    Blocks. Raises NotOurs where it is marked as that of another than that one.
    """
    marker = store.marker()
    owner = None if marker is None else _owner(marker)
    if owner not in {None, records.installation, previous}:
        raise NotOurs(
            f"the store must be that of the installation to adopt it from: {store.place} is that of {owner}, "
            f"got {previous or 'no --from'}; two live databases with one store delete each other's artifacts, so make sure "
            f"that the other is gone, then run `jobsupervisor artifacts adopt --from {owner}`"
        )
    records.adopt()
    if owner != records.installation:
        store.mark(_text(records), replace=True)


def unknown(store: ArtifactStore, records: Records, most: int = _SAMPLE) -> list[str]:
    """Return names of artifacts that the database does not know, of so many that it is asked about. Blocks."""
    found: list[str] = []
    stored = itertools.islice(store.stored(older_than=float("inf")), most)
    while batch := list(itertools.islice(stored, _BATCH)):
        standing = records.standing(batch)
        found += [each.name for each in batch if standing.get((each.job_id, each.attempt)) == "unknown"]
    return found


def _require_known(store: ArtifactStore, records: Records) -> None:
    """Raise NotOurs where a store without a marker holds what this database does not know."""
    if strangers := unknown(store, records):
        raise NotOurs(
            f"RENDER_ARTIFACTS_URL: a store without a marker must hold nothing but this database's artifacts: {store.place} has "
            f"{len(strangers)} of jobs that it does not know, {strangers[0]} among them. Give this database another store; "
            "or, if they are its own from before a restore, run `jobsupervisor artifacts adopt`"
        )


def _text(records: Records) -> str:
    return json.dumps({"installation": records.installation}) + "\n"


def _owner(marker: str) -> str:
    """Return whose marker it is; a text that nobody here can read is somebody's all the same."""
    try:
        return str(json.loads(marker)["installation"])
    except (ValueError, TypeError, KeyError):
        return "unreadable"
