"""Whose a store of artifacts is: nothing is deleted from one that is another database's, or that this one does not know whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from supervisor.artifacts import ArtifactDirectory, ownership
from supervisor.artifacts.ownership import NotOurs
from supervisor.artifacts.root import MARKER
from supervisor.doctor import examine
from supervisor.embedded import EmbeddedServer
from supervisor.errors import ConfigurationError
from supervisor.retention import Kept, keep_house
from supervisor.settings import load
from supervisor.store.installation import Installation
from tests.commands import command, succeeds
from tests.plugins.databases import TEMPLATE, create_database, drop_database
from tests.queue.support import Queue, house_kept
from tests.queue.test_retention import House, settings

OTHER = "5f0c8a3e-9d3b-4c36-8e0e-2f6f3d0c9a11"
LONG_AGO = "00000000-0000-7000-8000-000000000000"
SOON = "7fffffff-ffff-7000-8000-000000000000"
"""A job's id of a time that has not come: nobody's."""


def start(url: str, directory: Path) -> None:
    """Do what a supervisor does at its start."""
    store = ArtifactDirectory(directory)
    store.prepare()
    with Installation.open(url, store.place, 30) as records:
        ownership.require_owned(store, records)


def everything(house: House, directory: Path) -> Kept:
    """Keep house, whatever the age of what is there."""
    return house_kept(settings(house.queue.url, directory), orphan_seconds=-1)


def _anothers(directory: Path) -> None:
    (directory / MARKER).write_text(f'{{"installation": "{OTHER}"}}')


def _unreadable(directory: Path) -> None:
    (directory / MARKER).write_bytes(b"\xff\0{")


def _gone(directory: Path) -> None:
    (directory / MARKER).unlink()


FAULTS = {
    "another's": (_anothers, rf"is that of installation {OTHER}.*jobsupervisor artifacts adopt --from {OTHER}"),
    "unreadable": (_unreadable, r"is that of installation unreadable.*adopt --from unreadable"),
    "gone": (
        _gone,
        r"has no \.jobsupervisor-installation\. Is its volume not mounted\?.*jobsupervisor artifacts adopt",
    ),
}


@pytest.mark.parametrize(("spoil", "told"), FAULTS.values(), ids=FAULTS.keys())
def test_a_store_that_is_not_ours(spoil: Callable[[Path], None], told: str, database: str, tmp_path: Path) -> None:
    """It is refused at the start and by retention, which deletes nothing; doctor says so; `adopt` is the way out."""
    with Queue(database) as queue:
        house = House(queue, tmp_path / "store")
        start(database, tmp_path / "store")
        _, stale, needed = house.complete_at_second()
        spoil(tmp_path / "store")
        with pytest.raises(NotOurs, match=told):
            start(database, tmp_path / "store")
        with pytest.raises(NotOurs, match=told):
            everything(house, tmp_path / "store")
        assert (stale.exists(), needed.exists()) == (True, True)
        (check,) = (each for each in examine(settings(database, tmp_path / "store")) if each.name == "artifacts")
        assert check.state == "missing"
        environment = {"DATABASE_URL": database, "RENDER_ARTIFACTS_URL": f"file://{tmp_path}/store"}
        owner = {"another's": OTHER, "unreadable": "unreadable"}
        extra = [
            part
            for name, (each, _) in FAULTS.items()
            if each is spoil and name in owner
            for part in ("--from", owner[name])
        ]
        if extra:
            refused = command(tmp_path, "artifacts", "adopt", **environment)
            assert refused.returncode == 1
            assert "two live databases with one store delete each other's artifacts" in refused.stderr
        succeeds(tmp_path, "artifacts", "adopt", *extra, **environment)
        assert "is this database's" in succeeds(tmp_path, "artifacts", "check", **environment)
        start(database, tmp_path / "store")
        assert everything(house, tmp_path / "store") == Kept(orphans=1)
        assert (stale.exists(), needed.exists()) == (False, True)


def test_anothers_store_is_a_wrong_setting(database: str, tmp_path: Path) -> None:
    """No later try can help, so that a service manager need not try; a volume may be mounted later."""
    start(database, tmp_path)
    _anothers(tmp_path)
    with pytest.raises(ConfigurationError):
        start(database, tmp_path)
    _gone(tmp_path)
    with pytest.raises(NotOurs) as refused:
        start(database, tmp_path)
    assert refused.value.exit_code == 1


@pytest.fixture
def other(pg_server: EmbeddedServer, database: str) -> Iterator[str]:
    """Provide another migrated database on the same server, made of the same template."""
    assert database
    create_database(pg_server, "another", TEMPLATE)
    yield pg_server.url("another")
    drop_database(pg_server, "another")


def test_two_databases_with_one_directory(database: str, other: str, tmp_path: Path) -> None:
    """The second one is refused before it can do anything, and the first one's artifacts stay."""
    with Queue(database) as queue:
        house = House(queue, tmp_path)
        start(database, tmp_path)
        _, path = house.complete()
        with pytest.raises(NotOurs, match="must be this database's alone"):
            start(other, tmp_path)
        with pytest.raises(NotOurs, match="must be this database's alone"):
            keep_house(settings(other, tmp_path), orphan_seconds=-1)
        assert path.exists()


def test_a_store_from_before_there_were_markers(database: str, tmp_path: Path) -> None:
    """What this database wrote, crashed attempts included, is its own: it is marked, and goes on; later, weeks that were dropped."""
    with Queue(database) as queue:
        house = House(queue, tmp_path)
        _, stale, needed = house.complete_at_second()
        start(database, tmp_path)
        old = house.publish(LONG_AGO, 1)
        assert everything(house, tmp_path) == Kept(orphans=2)
        assert [path.exists() for path in (stale, old, needed)] == [False, False, True]


def test_a_volume_that_was_not_mounted_before_there_were_markers(database: str, tmp_path: Path) -> None:
    """An empty directory at the place where the newest jobs have their artifacts is not a new store: it is not marked."""
    with Queue(database) as queue:
        house = House(queue, tmp_path / "store")
        house.complete()
        (tmp_path / "store").rename(tmp_path / "volume")
        (tmp_path / "store").mkdir()
        with pytest.raises(NotOurs, match="Is its volume not mounted"):
            start(database, tmp_path / "store")
        assert list((tmp_path / "store").iterdir()) == []
        (tmp_path / "store").rmdir()
        (tmp_path / "volume").rename(tmp_path / "store")
        start(database, tmp_path / "store")


def test_a_start_that_is_cut_short(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark that could not be made, or was made and not noted, keeps no later start from going well."""
    with monkeypatch.context() as broken:
        broken.setattr(ArtifactDirectory, "mark", lambda *_, **__: (_ for _ in ()).throw(OSError("no room")))
        with pytest.raises(OSError, match="no room"):
            start(database, tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(Installation, "mark", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            start(database, tmp_path)
    start(database, tmp_path)


@pytest.mark.parametrize("with_ours", [False, True])
@pytest.mark.parametrize("whose", [SOON, LONG_AGO])
def test_a_store_of_somebody_without_a_marker(
    whose: str,
    with_ours: bool,  # noqa: FBT001 - a parameter
    database: str,
    tmp_path: Path,
) -> None:
    """One artifact of a job that this database does not know, however old: it is not marked, also beside our own."""
    with Queue(database) as queue:
        house = House(queue, tmp_path)
        if with_ours:
            house.complete()
        strange = house.publish(whose, 1)
        for _ in range(2):
            with pytest.raises(NotOurs, match="has 1 of jobs that it does not know"):
                start(database, tmp_path)
        assert not (tmp_path / MARKER).exists()
        assert strange.exists()


def test_a_database_restored_to_an_earlier_time(database: str, tmp_path: Path) -> None:
    """What its jobs wrote after the dump is collected by nothing but `adopt`, however old it gets; jobs go on meanwhile."""
    with Queue(database) as queue:
        house = House(queue, tmp_path)
        start(database, tmp_path)
        _, stale, _ = house.complete_at_second()
        known, of_a_known_job = house.complete()
        newer, of_a_newer_job = house.complete()
        # As the dump has it: one job is not there, of another it does not know the attempt.
        queue.client.execute("delete from jobsupervisor.finished_job where id = any(%s::uuid[])", [[known, newer]])
        queue.client.execute("delete from jobsupervisor.attempt where job_id = any(%s::uuid[])", [[known, newer]])
        queue.client.execute(
            "insert into jobsupervisor.job (id, kind, spec, config) values (%s, 'noop', '{}', '{}')", [known]
        )
        start(database, tmp_path)
        assert everything(house, tmp_path) == Kept(unknown=1)
        (check,) = (each for each in examine(settings(database, tmp_path)) if each.name == "artifacts")
        assert check.state == "degraded"
        # Retention of a moment: by then every id is older than what is kept.
        assert house_kept(settings(database, tmp_path, days=1e-9), orphan_seconds=-1).orphans == 0
        assert all(path.exists() for path in (stale, of_a_known_job, of_a_newer_job))
        environment = {"DATABASE_URL": database, "RENDER_ARTIFACTS_URL": f"file://{tmp_path}"}
        assert command(tmp_path, "artifacts", "check", **environment).returncode == 1
        succeeds(tmp_path, "artifacts", "adopt", **environment)
        assert everything(house, tmp_path) == Kept(orphans=2)
        assert [path.exists() for path in (stale, of_a_known_job, of_a_newer_job)] == [False, True, False]


def test_a_claim_that_was_forgotten_in_a_crash(database: str, tmp_path: Path) -> None:
    """A claim does not wait for the disk: its artifact may be there before the database knows of the attempt. It is kept."""
    with Queue(database) as queue:
        house = House(queue, tmp_path)
        start(database, tmp_path)
        job = queue.enqueue()
        early = house.publish(job, 1)
        assert everything(house, tmp_path) == Kept()
        assert early.exists()


def test_a_letter_that_was_purged(database: str, tmp_path: Path) -> None:
    """What its attempts left is an orphan, and no stranger's."""
    with Queue(database) as queue:
        house = House(queue, tmp_path)
        start(database, tmp_path)
        job = queue.enqueue(max_attempts=1)
        claim = house.supervisor.claim_one()
        left = house.publish(job, claim.token.attempt)
        house.supervisor.ack(claim, "bad_output")
        queue.client.execute("select purge_dead_letters(interval '0')")
        assert everything(house, tmp_path) == Kept(orphans=1)
        assert not left.exists()


def test_supervisors_that_start_at_once(database: str, tmp_path: Path) -> None:
    """They agree on whose a new store is: the mark is made once, and names the same database."""
    problems: list[Exception] = []

    def begin() -> None:
        try:
            start(database, tmp_path / "new")
        except Exception as error:  # noqa: BLE001 - told below
            problems.append(error)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with psycopg.connect(database) as connection:
        row = connection.execute("select id::text from jobsupervisor.installation").fetchone()
    assert row is not None
    assert (tmp_path / "new" / MARKER).read_text() == f'{{"installation": "{row[0]}"}}\n'


def test_another_store_is_taken_as_well(database: str, tmp_path: Path) -> None:
    """A setting that changes leads to a new store, which is marked; the first one stays ours."""
    for name in ("one", "two", "one"):
        start(database, tmp_path / name)
    assert (tmp_path / "one" / MARKER).read_bytes() == (tmp_path / "two" / MARKER).read_bytes()
    assert load({"RENDER_ARTIFACTS_MODE": "0640"}).artifacts_mode == 0o640


@pytest.mark.parametrize("mode", ["0666", "777", "0400", "rw", "-1", "0o600", "06000", "0620"])
def test_a_mode_that_lets_others_write(mode: str) -> None:
    """Others may read what is published, or not; the setting says how."""
    with pytest.raises(ConfigurationError, match=r"RENDER_ARTIFACTS_MODE.*0600, 0640 or 0644"):
        load({"RENDER_ARTIFACTS_MODE": mode})
