"""Old work is dropped a week at a time, artifacts without a job are collected, and nothing that is needed goes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psycopg
import pytest

from supervisor.artifacts import ArtifactDirectory
from supervisor.errors import DatabaseUnreachable
from supervisor.retention import Kept, keep_house
from supervisor.settings import Settings, load
from tests.queue.support import Queue, ack_of, house_kept

OLD_WEEK = """
create table jobsupervisor.{0}_2001w02 partition of jobsupervisor.{0}
for values from ('2001-01-08T00:00:00Z') to ('2001-01-15T00:00:00Z')
"""
AGE = """
update jobsupervisor.finished_job set finished_at = '2001-01-10T00:00:00Z' where id = %s;
update jobsupervisor.attempt set finished_at = '2001-01-10T00:00:00Z' where job_id = %s;
"""


def settings(url: str, directory: Path, days: float = 30) -> Settings:
    """Return the settings of a supervisor that keeps house in a directory."""
    return load({"DATABASE_URL": url, "RENDER_ARTIFACTS_URL": f"file://{directory}", "RENDER_RETENTION_DAYS": days})


class House:
    """A queue with artifacts: real files, published as a supervisor does."""

    def __init__(self, queue: Queue, directory: Path) -> None:
        self.queue = queue
        self.supervisor = queue.supervisor()
        self.store = ArtifactDirectory(directory)
        self.store.prepare()
        queue.at_end(lambda: queue.run(self.store.close()))

    def publish(self, job_id: str, attempt: int) -> Path:
        """Publish a file for an attempt; return its path."""
        output = self.store.open_output()
        os.write(output.fd, b"bytes")
        self.artifact = asyncio.run(self.store.publish(output, job_id, attempt, "text/plain"))
        output.close()
        return Path(self.artifact.url.removeprefix("file://"))

    def complete(self, **options: str) -> tuple[str, Path]:
        """Enqueue, claim, publish, acknowledge; return the job and its file."""
        job_id = self.queue.enqueue(**options)
        claim = self.supervisor.claim_one()
        path = self.publish(job_id, claim.token.attempt)
        self.supervisor.exchange(ack_of(claim, artifact=self.artifact))
        return job_id, path

    def complete_at_second(self) -> tuple[str, Path, Path]:
        """Complete a job whose first attempt published a file and was lost; return the job, the lost file and the one that counts."""
        job_id = self.queue.enqueue()
        claim = self.supervisor.claim_one()
        lost = self.publish(job_id, claim.token.attempt)
        assert self.supervisor.ack(claim, "lost") == "queued"
        claim = self.supervisor.claim_one()
        path = self.publish(job_id, claim.token.attempt)
        self.supervisor.exchange(ack_of(claim, artifact=self.artifact))
        return job_id, lost, path

    def age(self, job_id: str) -> None:
        """Make a finished job as old as the week of 2001."""
        with psycopg.ClientCursor(self.queue.client) as cursor:
            cursor.execute(AGE, [job_id, job_id])


@pytest.mark.each_server
def test_an_old_week_is_dropped_with_its_artifacts_and_keys(database: str, tmp_path: Path) -> None:
    """The partition, the files and the idempotency keys of its jobs go; a job of this week keeps all of them."""
    with Queue(database) as queue:
        house = House(queue, tmp_path)
        for parent in ("finished_job", "attempt"):
            queue.client.execute(OLD_WEEK.format(parent).encode())
        old, old_file = house.complete(idempotency_key="old")
        new, new_file = house.complete(idempotency_key="new")
        house.age(old)
        kept = keep_house(settings(database, tmp_path))
        assert kept is not None
        assert (kept.partitions, kept.artifacts, kept.orphans) == (2, 1, 0)
        assert (old_file.exists(), new_file.exists()) == (False, True)
        assert [str(row["id"]) for row in queue.rows("select id from render_jobs")] == [new]
        assert [str(row["job_id"]) for row in queue.rows("select job_id from render_attempts")] == [new]
        assert queue.rows("select key from jobsupervisor.idempotency") == [{"key": "new"}]
        assert queue.enqueue(idempotency_key="old") != old


def test_what_no_week_took_is_deleted_by_age(database: str, tmp_path: Path) -> None:
    """Rows in the default partition go too, and only the old ones."""
    with Queue(database) as queue:
        house = House(queue, tmp_path)
        old, old_file = house.complete()
        new, new_file = house.complete()
        house.age(old)
        kept = keep_house(settings(database, tmp_path))
        assert kept is not None
        assert (kept.partitions, kept.artifacts) == (0, 1)
        assert (old_file.exists(), new_file.exists()) == (False, True)
        assert [str(row["id"]) for row in queue.rows("select id from render_jobs")] == [new]


def test_a_poll_tells_of_work_for_retention_where_it_asks(database: str) -> None:
    """Of a row that no week took, of an old week, and of one that is to be made; not of anything young, nor unasked."""
    with Queue(database) as queue:
        supervisor = queue.supervisor()
        done = queue.enqueue()
        supervisor.ack(supervisor.claim_one())
        assert not supervisor.poll(old=True).old
        with psycopg.ClientCursor(queue.client) as cursor:
            cursor.execute(AGE, [done, done])
        assert supervisor.poll(old=True).old
        assert not supervisor.poll().old
        queue.client.execute("delete from jobsupervisor.finished_job")
        assert supervisor.poll(old=True).old, "its attempt is still there"
        queue.client.execute("delete from jobsupervisor.attempt")
        assert not supervisor.poll(old=True).old
        for parent in ("finished_job", "attempt"):
            queue.client.execute(OLD_WEEK.format(parent).encode())
            assert supervisor.poll(old=True).old
            queue.client.execute(f"drop table jobsupervisor.{parent}_2001w02".encode())
            assert not supervisor.poll(old=True).old
            last = queue.value(
                "select max(inhrelid::regclass::text) from pg_inherits where inhparent = %s::regclass"
                " and inhrelid::regclass::text ~ '_[0-9]{4}w[0-9]{2}$'",
                f"jobsupervisor.{parent}",
            )
            queue.client.execute(f"drop table {last}".encode())
            assert supervisor.poll(old=True).old
            queue.client.execute("select jobsupervisor.make_weeks(now() + interval '8 weeks')")
            assert not supervisor.poll(old=True).old


def test_where_there_is_nothing_to_do_nobody_connects(database: str, tmp_path: Path) -> None:
    """With neither old rows nor an old artifact a round needs no database; an old artifact alone is asked about."""
    nobody = settings("postgresql://nobody@127.0.0.1:1/none", tmp_path)
    with Queue(database) as queue:
        house = House(queue, tmp_path)
        assert house_kept(settings(database, tmp_path)) == Kept()  # the store is marked
        stray = house.publish("00000000-0000-7000-8000-000000000000", 1)
        assert keep_house(nobody, old=False) == Kept()
        with pytest.raises(DatabaseUnreachable):
            keep_house(nobody, orphan_seconds=-1, old=False)
        assert house_kept(settings(database, tmp_path), orphan_seconds=-1, old=False) == Kept(orphans=1)
        assert not stray.exists()


def test_zero_days_keep_everything(database: str, tmp_path: Path) -> None:
    """RENDER_RETENTION_DAYS=0 drops nothing, however old."""
    with Queue(database) as queue:
        house = House(queue, tmp_path)
        old, file = house.complete()
        house.age(old)
        assert keep_house(settings(database, tmp_path, days=0)) == Kept()
        assert file.exists()


def test_artifacts_that_no_job_refers_to_are_collected(database: str, tmp_path: Path) -> None:
    """Those of attempts that do not count and of jobs long gone go; what a job needs or an attempt writes stays, as do strangers."""
    with Queue(database) as queue:
        house = House(queue, tmp_path)
        _, stale, needed = house.complete_at_second()
        running_job = queue.enqueue()
        claim = house.supervisor.claim_one()
        running = house.publish(running_job, claim.token.attempt)
        assert house_kept(settings(database, tmp_path)) == Kept()
        gone = house.publish("00000000-0000-7000-8000-000000000000", 1)
        foreign = tmp_path / "00" / "readme.txt"
        foreign.write_text("not ours")
        assert house_kept(settings(database, tmp_path)) == Kept()
        assert stale.exists()
        kept = house_kept(settings(database, tmp_path), orphan_seconds=-1)
        assert kept == Kept(orphans=2)
        assert [path.exists() for path in (needed, running, foreign, stale, gone)] == [
            True,
            True,
            True,
            False,
            False,
        ]


def test_one_supervisor_keeps_house_at_a_time(database: str, tmp_path: Path) -> None:
    """While another session has the lock, a round does nothing and says so."""
    with Queue(database) as queue:
        (row,) = queue.rows("select pg_try_advisory_lock(hashtextextended('jobsupervisor retention', 0)) as taken")
        assert row["taken"]
        assert keep_house(settings(database, tmp_path)) is None


def test_a_table_in_use_is_left_for_the_next_round(database: str, tmp_path: Path) -> None:
    """A reader's open transaction keeps the partition, and the round ends instead of standing in everybody's way."""
    with Queue(database) as queue, queue.connect(autocommit=False) as reader:
        house = House(queue, tmp_path)
        for parent in ("finished_job", "attempt"):
            queue.client.execute(OLD_WEEK.format(parent).encode())
        old, file = house.complete(idempotency_key="k")
        house.age(old)
        reader.execute("select count(*) from render_jobs")
        kept = keep_house(settings(database, tmp_path))
        assert kept is not None
        assert kept.artifacts == 0
        assert file.exists()
        assert queue.job(old)["status"] == "completed"
        assert queue.enqueue(idempotency_key="k") == old


def test_weeks_are_made_ahead(database: str) -> None:
    """Eight weeks from now there is a partition for the job that finishes then, and asking again makes none."""
    with Queue(database) as queue:
        weeks = queue.value("select count(*) from pg_inherits where inhparent = 'jobsupervisor.finished_job'::regclass")
        assert weeks >= 9
        assert queue.value("select jobsupervisor.make_weeks(now() + interval '8 weeks')") == 0
        assert queue.value("select jobsupervisor.make_weeks(now() + interval '10 weeks')") in {4, 6}
