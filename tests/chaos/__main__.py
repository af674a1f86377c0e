"""`python -m tests.chaos --seconds 300 --seed 1`: one run, its counts, and 1 as the exit code when something is wrong."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import run


def main() -> int:
    """Run, print, and keep the logs of a run that found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Have a monkey kill what it can reach.")
    parser.add_argument("--seconds", type=float, default=300.0, help="how long the monkey works (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="what it does, and what is enqueued (default: 1)")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="js-chaos-"))
    report = run(directory, given.seed, seconds=given.seconds)
    sys.stdout.write(f"{report.text()}\n")
    if report.good:
        shutil.rmtree(directory)
    else:
        sys.stdout.write(f"the logs are in {directory}\n")
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
