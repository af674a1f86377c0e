"""The whole test-suite of the built-in kinds once more, each render in a real child in the full sandbox."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = (
    *("test_findings", "test_findings_svg", "test_samples", "test_scene_model", "test_scene_paint"),
    *("test_scene_video", "test_svg", "test_timeline"),
)


@pytest.mark.timeout(600)
def test_every_kind_passes_its_tests_in_the_sandbox() -> None:
    """None needs anything that the sandbox does not give."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "not in_process", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *(str(HERE / f"{name}.py") for name in FILES)],
        env={**os.environ, "KINDS_IN_A_CHILD": "1"},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 350
