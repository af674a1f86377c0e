"""The chaos run in its short form: as many actions of the monkey as fit into a minute or so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import run

ACTIONS = 25


@pytest.mark.timeout(300)
def test_nothing_is_lost_nor_done_twice(tmp_path: Path) -> None:
    """Whatever is killed, stopped and cut off: each job ends once, with its own bytes, and nothing is left behind."""
    report = run(tmp_path, seed=1, actions=ACTIONS)
    assert report.good, report.text()
    assert sum(report.actions.values()) >= ACTIONS
    assert report.statuses["completed"] > ACTIONS
    assert report.kills > 0
    assert report.rescues > 0
