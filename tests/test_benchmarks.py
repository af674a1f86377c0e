"""Every benchmark runs: in a tiny form, whose figures say nothing but that there are some."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks import charts, trace
from benchmarks.__main__ import QUESTIONS
from benchmarks.figure import Figure, Goal, number, percentile
from benchmarks.results import newest, write
from tests.plugins.databases import fast_directory

CHECKOUT = Path(__file__).parent.parent
MACHINE = {
    "taken_at": "2030-01-02T03:04:05",
    "cpus": 2,
    "cpu_model": "a",
    "kernel": "b",
    "postgresql": "c",
    "python": "d",
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmarks as `make bench` does."""
    # They sync their servers to disk, as a real one does; whether the disk is quick is not what is tested.
    temporary = str(fast_directory() or tempfile.gettempdir())
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "TMPDIR": temporary},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_benchmark_yields_figures(name: str, tmp_path: Path) -> None:
    """It measures, prints a table, and writes figures with the machine's description."""
    done = run(name, "--size", "tiny", "--results", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("*.json")
    found = json.loads(path.read_text())
    assert found["machine"]["cpus"] > 0
    assert found["machine"]["postgresql"].startswith("postgres")
    figures: list[dict[str, Any]] = found["figures"][name]
    assert figures
    if name == "memory":  # an ordinary user is told why there is one figure less
        assert ("only root may read its share" in done.stderr) == (len(figures) == 1 and os.geteuid() != 0)
    for figure in figures:
        assert figure["value"] >= 0
        assert figure["question"] in " ".join(done.stdout.split()) or figure["unit"]


def test_an_unknown_benchmark_is_refused() -> None:
    """The answer names those that there are."""
    done = run("speed")
    assert done.returncode == 2
    assert "latency" in done.stderr


def test_goals_are_judged() -> None:
    """On the value, the ratio to the floor, and a detail; what was not measured is neither met nor missed."""
    goals = (Goal("value", at_most=5), Goal("ratio", at_least=0.9), Goal("p99", at_most=1), Goal("other", at_most=1))
    figure = Figure("?", 4.0, "ms", 8.0, {"p99": 2.0}, goals)
    assert list(figure.verdicts().values()) == [True, False, False, None]


def test_numbers_for_people() -> None:
    """Three or four places that mean something."""
    assert [number(value) for value in (12345.6, 12.34, 1.5, 0.0123, 0.0, 40.0, 100.0)] == [
        "12,346", "12.3", "1.5", "0.0123", "0", "40", "100",
    ]  # fmt: skip
    assert percentile([3.0], 0.99) == 3.0


def test_results_are_not_overwritten(tmp_path: Path) -> None:
    """Two runs of a day are two files; plans are written beside theirs."""
    figure = Figure("?", 1.0, "ms", notes={"plans": {"exchange": "Seq Scan"}})
    first, second = (write(MACHINE, "tiny", {"scale": [figure]}, tmp_path) for _ in range(2))
    assert first != second
    assert "Seq Scan" in first.with_suffix(".plans.txt").read_text()
    assert newest(tmp_path) in {first, second}


def test_a_chart_is_drawn() -> None:
    """By our own renderer, with values that lie far apart and texts that are no XML."""
    records = [Figure("a < b & c", value, "ms", floor).record() for value, floor in ((0.001, 2.0), (5000.0, None))]
    picture = charts.draw(charts.chart("latency", records, charts.caption(MACHINE)))
    assert picture.startswith(b"\x89PNG")


def test_growth_is_drawn_as_curves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A panel for what is queued and one for what is finished, a line for each statement, its ratio over the rows."""
    figures = [
        Figure(f"{what} with {rows:,} {state}", rows / 1e6, "ms", 1.0, {"p99 ratio": rows / 5e5, "rows": rows})
        for state in ("queued", "finished")
        for what in ("enqueue", "exchange")
        for rows in (1_000, 1_000_000, 3_000_000)
    ]
    text = charts.curves("growth", [figure.record() for figure in figures], charts.caption(MACHINE))
    assert text.count("<polyline") == 8
    assert "jobs queued" in text
    assert "jobs finished" in text
    assert "3 M" in text
    written = write(MACHINE, "tiny", {"growth": figures}, tmp_path)
    monkeypatch.setattr(sys, "argv", ["charts", str(written), "--out", str(tmp_path / "pictures")])
    assert charts.main() == 0
    assert (tmp_path / "pictures" / "bench-growth.png").read_bytes().startswith(b"\x89PNG")
    assert "bench-growth.png" in capsys.readouterr().out


def test_the_day_is_the_same_each_time() -> None:
    """It has a quiet night, bursts and jobs for later, all of them due within it."""
    day = trace.day()
    assert day == trace.day()
    assert any(arrival.jobs > 1 for arrival in day)
    assert any(arrival.delay for arrival in day)
    assert all(arrival.second + arrival.delay < 24 * trace.HOUR for arrival in day)
    assert len(trace.between(day, 2, 3)) < len(trace.between(day, 10, 11))
