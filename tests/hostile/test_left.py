"""After all the hostile jobs: the honest ones are done, and nothing is left of the others."""

from __future__ import annotations

import pytest

from tests.hostile.aftermath import CHILDREN, Aftermath

pytestmark = pytest.mark.timeout(300)


def test_honest_jobs_completed(aftermath: Aftermath) -> None:
    """Each neighbour completed in its first attempt; none was charged for what a hostile job did (case 26)."""
    for ended in aftermath.honest:
        assert (ended.job["status"], ended.job["attempts"]) == ("completed", 1)
        assert [attempt["outcome"] for attempt in ended.attempts] == ["ok"]
        assert ended.artifact


def test_children_were_replaced(aftermath: Aftermath) -> None:
    """There are as many processes as before: fork server, its parent, children and keepers, a spare."""
    assert set(aftermath.left.processes) == {2 + 2 * (CHILDREN + 1)}


def test_supervisor_holds_nothing(aftermath: Aftermath) -> None:
    """It has the same descriptors as before, kind by kind, and its memory has not grown with what it was told."""
    before, after = aftermath.left.descriptors
    assert after == before
    first, last = aftermath.left.resident
    assert last - first < 64 << 20


def test_no_file_is_left(aftermath: Aftermath) -> None:
    """The artifact directory holds what completed jobs refer to; nothing of a hostile job's lies elsewhere."""
    assert aftermath.left.files == []
    assert aftermath.left.elsewhere == []


def test_the_service_ended_as_asked(aftermath: Aftermath) -> None:
    """It lived through all of it, saw nothing that it calls an error, and stopped with success."""
    assert aftermath.left.exit_code == 0
    assert aftermath.left.errors == []
    assert aftermath.left.log_bytes < 8 << 20


def test_children_know_nothing_of_the_database(aftermath: Aftermath) -> None:
    """No process under the supervisor has its address in the environment or title, or the code that speaks to it."""
    assert aftermath.left.secrets == []
