"""`python -m tests.fuzz --kind svg --seconds 600 --seed 1`: one hunt; JSON of what it found, and 1 as the exit code if it did."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time

from tests.fuzz.bench import Bench
from tests.fuzz.hunt import KINDS, Hunt, until

# Each seed has rounds of its own.
_ROUNDS = 1_000_000


def main() -> int:
    """Hunt and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Have a child render what strangers send."
    )
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default: 600)")
    parser.add_argument("--seed", type=int, default=1, help="which cases (default: 1)")
    given = parser.parse_args()
    started = time.monotonic()
    with Bench() as bench:
        hunt = Hunt(given.kind, bench)
        hunt.go(given.seed * _ROUNDS, until(given.seconds))
    report = {
        "kind": given.kind,
        "seed": given.seed,
        "seconds": round(time.monotonic() - started),
        "cases": sum(hunt.outcomes.values()),
        "outcomes": dict(hunt.outcomes),
        "refusals": dict(hunt.refusals.most_common(20)),
        "slowest": round(hunt.slowest, 3),
        "findings": [dataclasses.asdict(finding) for finding in hunt.findings],
    }
    json.dump(report, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 1 if hunt.findings else 0


if __name__ == "__main__":
    sys.exit(main())
