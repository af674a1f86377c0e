"""Keeps house: old finished work is dropped, artifacts that no job refers to are collected.

A crash between publishing and acknowledging leaves an artifact without a job; a partition that was dropped leaves those of
its jobs until they are removed. Both are found by looking through the directory. A file is collected when it is old enough
and the database knows of no completed job, and no attempt under way, that wrote it.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from supervisor.artifacts import ArtifactDirectory, StoredArtifact
from supervisor.settings import Settings
from supervisor.store.retention import RetentionStore

log = structlog.get_logger()

INTERVAL_SECONDS = 6 * 3600.0
"""Between two rounds of one supervisor."""

ORPHAN_SECONDS = 3600.0
"""Age of a file before anybody asks whose it is: the artifacts of the last hour cost nothing."""

_BATCH = 500


@dataclass(slots=True)
class Kept:
    """What one round did."""

    partitions: int = 0
    artifacts: int = 0
    orphans: int = 0


def keep_house(settings: Settings, orphan_seconds: float = ORPHAN_SECONDS) -> Kept | None:
    """Do one round; None when another supervisor is at it. Raises DatabaseUnreachable. Blocks: run it in a thread."""
    artifacts = ArtifactDirectory(settings.artifacts_directory)
    done = Kept()
    with RetentionStore.open(settings.require_database()) as store:
        if store is None:
            return None
        if not store.make_weeks():
            log.warning("retention.partitions_not_made")
        if settings.retention_days > 0:
            _drop_expired(store, artifacts, settings.retention_days, done)
        _collect_orphans(store, artifacts, orphan_seconds, done)
    if done.partitions or done.artifacts or done.orphans:
        log.info("retention.done", partitions=done.partitions, artifacts=done.artifacts, orphans=done.orphans)
    return done


def _drop_expired(store: RetentionStore, artifacts: ArtifactDirectory, days: float, done: Kept) -> None:
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
            done.artifacts += sum(artifacts.remove(url.rstrip("\n")) for url in listed)
    while old := store.stragglers(days):
        done.artifacts += sum(artifacts.remove(url) for url in old if url)


def _collect_orphans(store: RetentionStore, artifacts: ArtifactDirectory, age: float, done: Kept) -> None:
    for batch in _batches(artifacts.stored(older_than=time.time() - age)):
        needed = store.referenced([(artifact.job_id, artifact.attempt) for artifact in batch])
        for artifact in batch:
            if (artifact.job_id, artifact.attempt) not in needed:
                Path(artifact.path).unlink(missing_ok=True)
                done.orphans += 1


def _batches(found: Iterator[StoredArtifact]) -> Iterator[list[StoredArtifact]]:
    while batch := list(itertools.islice(found, _BATCH)):
        yield batch
