"""Keeps house: old finished work is dropped, artifacts that no job refers to are collected.

A crash between publishing and acknowledging leaves an artifact without a job; a partition that was dropped leaves those of
its jobs until they are removed. Both are found by looking through the store. An artifact is collected when it is old enough
and the database knows of no completed job, and no attempt under way, that wrote it.

Nothing is deleted from a store that is not this database's (supervisor/artifacts/ownership.py), and no orphan is collected from one
that holds artifacts which this database never heard of: it was restored to an earlier time, or the store has another user.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import orjson
import structlog

from supervisor.artifacts import ArtifactStore, StoredArtifact, artifact_store
from supervisor.artifacts.ownership import Records, require_owned
from supervisor.settings import Settings
from supervisor.store.retention import RetentionStore

log = structlog.get_logger()

INTERVAL_SECONDS = 6 * 3600.0
"""Between two rounds of one supervisor."""

ORPHAN_SECONDS = 3600.0
"""Age of an artifact before anybody asks whose it is: the artifacts of the last hour cost nothing."""

_BATCH = 500
_T = TypeVar("_T")


@dataclass(slots=True)
class Kept:
    """What one round did."""

    partitions: int = 0
    artifacts: int = 0
    orphans: int = 0
    unknown: int = 0
    """Artifacts that this database never heard of; with one of them no orphan is collected."""


def keep_house(
    settings: Settings,
    artifacts: ArtifactStore | None = None,
    orphan_seconds: float = ORPHAN_SECONDS,
    *,
    old: bool = True,
) -> Kept | None:
    """Do one round; None when another supervisor is at it. Blocks: run it in a thread.

    `old` says whether there may be work in the database. Where there is none, and no artifact to ask about, nobody connects.
    Raises DatabaseUnreachable, OSError for the store of the artifacts, NotOurs for one that is not this database's: what a
    round left is found by the next.
    """
    store = artifacts or artifact_store(settings)
    try:
        return _round(settings, store, orphan_seconds, old=old)
    finally:
        if artifacts is None:
            store.release()


def _round(settings: Settings, artifacts: ArtifactStore, orphan_seconds: float, *, old: bool) -> Kept | None:
    done = Kept()
    if not old and not any(True for _ in artifacts.stored(older_than=time.time() - orphan_seconds)):
        return done
    with RetentionStore.open(settings.require_database()) as store:
        if store is None:
            return None
        if old and not store.make_weeks():
            log.warning("retention.partitions_not_made")
        records = store.installation(artifacts.place, settings.retention_days)
        require_owned(artifacts, records)
        if old and settings.retention_days > 0:
            _drop_expired(store, artifacts, settings.retention_days, done)
        _collect_orphans(records, artifacts, orphan_seconds, done)
    if done.partitions or done.artifacts or done.orphans:
        log.info("retention.done", partitions=done.partitions, artifacts=done.artifacts, orphans=done.orphans)
    return done


def _drop_expired(store: RetentionStore, artifacts: ArtifactStore, days: float, done: Kept) -> None:
    for partition, parent in store.expired(days):
        finished = parent == "finished_job"
        # Listed before the drop, removed after it: never a completed job without its bytes. What a crash in between
        # leaves is collected like any other orphan.
        with tempfile.TemporaryFile("w+") as listed:
            if finished:
                listed.writelines(f"{url}\n" for url in store.outputs(partition))
            if not store.drop(partition, keys=finished):
                log.warning("retention.partition_in_use", partition=partition)
                continue
            done.partitions += 1
            listed.seek(0)
            for batch in _batches(line.rstrip("\n") for line in listed):
                done.artifacts += artifacts.remove(batch)
    while old := store.stragglers(days):
        done.artifacts += artifacts.remove(filter(None, old))


def _collect_orphans(records: Records, artifacts: ArtifactStore, age: float, done: Kept) -> None:
    """Collect the orphans, once all artifacts are known to be this database's: they are listed first, and removed then."""
    older_than, example = time.time() - age, None
    with tempfile.TemporaryFile("w+b") as listed:
        for batch in _batches(artifacts.stored(older_than)):
            standing = records.standing(batch)
            for artifact in batch:
                match standing.get((artifact.job_id, artifact.attempt)):
                    case None:
                        listed.write(orjson.dumps(artifact, option=orjson.OPT_APPEND_NEWLINE))
                    case "unknown":
                        done.unknown += 1
                        example = artifact.name
        if done.unknown:
            records.dispute()
        if records.disputed:
            log.warning(
                "retention.unknown_artifacts",
                place=artifacts.place,
                count=done.unknown,
                example=example,
                advice="this database was restored to an earlier time, or the store has another user: nothing is collected "
                "until `jobsupervisor artifacts adopt`",
            )
            return
        listed.seek(0)
        for lines in _batches(iter(listed)):
            done.orphans += artifacts.discard([StoredArtifact(**orjson.loads(line)) for line in lines])


def _batches(found: Iterator[_T]) -> Iterator[list[_T]]:
    while batch := list(itertools.islice(found, _BATCH)):
        yield batch
