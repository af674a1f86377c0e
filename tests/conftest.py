"""Shared fixtures: `pg_server`, `each_server`, `database`; and the checks that hold for every test.

- tests/plugins/databases.py  servers and databases
- tests/plugins/leaks.py      a test that leaves a process, a descriptor or a thread behind fails
- tests/plugins/skips.py      with JOBSUPERVISOR_FAIL_ON_SKIP=1 a skipped test fails
- tests/plugins/examples.py   what Hypothesis draws is the same in every run, however busy the machine
"""

pytest_plugins = ("tests.plugins.databases", "tests.plugins.examples", "tests.plugins.leaks", "tests.plugins.skips")
