"""The limits of a job that the kernel holds: set when they must be, and not once more for each job like the one before."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Run in a process of its own: who lowers a limit of this one cannot raise it again.
_PRELUDE = """
import json, resource
from renderer.sandbox.joblimits import LimitsInForce

MB = 1024 * 1024
LIMITS = {"memory": 300 * MB, "cpu": 100.0, "output": 5 * MB}
in_force = LimitsInForce()

def usage():
    return resource.getrusage(resource.RUSAGE_SELF)

def soft(limit):
    return resource.getrlimit(limit)[0]

def disturb():
    # What is set anew is not left as it is here.
    resource.setrlimit(resource.RLIMIT_CPU, (77, resource.getrlimit(resource.RLIMIT_CPU)[1]))

in_force.apply(LIMITS, usage(), final=False)
"""


def told(program: str) -> object:
    """Return what a program says, as JSON, after the limits of a first job were set."""
    command = [sys.executable, "-c", f"{_PRELUDE}\n{program}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_a_first_job_has_its_limits() -> None:
    """Memory above what is mapped, processor time above what is spent, the largest file as it is."""
    program = """
data = next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]
print(json.dumps([soft(resource.RLIMIT_DATA) - int(data) * 1024, soft(resource.RLIMIT_CPU), soft(resource.RLIMIT_FSIZE)]))
"""
    memory, cpu, output = json.loads(json.dumps(told(program)))
    assert abs(memory - 300 * 1024 * 1024) < 4 * 1024 * 1024
    assert 101 <= cpu <= 103
    assert output == 5 * 1024 * 1024


@pytest.mark.parametrize(
    ("what", "set_anew"),
    [
        ("pass", False),
        ("kept = bytearray(8 * MB)", True),
        ("while usage().ru_utime < before.ru_utime + 0.6: pass", True),
        ("LIMITS = LIMITS | {'memory': 200 * MB}", True),
    ],
    ids=["nothing", "touched memory", "spent time", "other limits"],
)
def test_they_are_set_anew_where_a_job_may_have_moved_them(what: str, *, set_anew: bool) -> None:
    """What the jobs before left behind is not the next one's: they are relative to what the process has when it begins."""
    program = f"""
disturb()
before = usage()
{what}
in_force.apply(LIMITS, usage(), final=False)
print(json.dumps(soft(resource.RLIMIT_CPU) != 77))
"""
    assert told(program) is set_anew


def test_of_a_last_job_there_is_no_way_back() -> None:
    """The hard limits fall too."""
    program = """
in_force.apply(LIMITS | {"memory": 100 * MB}, usage(), final=True)
print(json.dumps([soft(limit) == resource.getrlimit(limit)[1] for limit in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]))
"""
    assert told(program) == [True, True]
