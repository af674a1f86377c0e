"""Specs as strangers write them, thousands of them, each through a real child in its sandbox.

`scenes` and `svgs` generate cases, `bench` has them rendered, `judge` says what is wrong with an end, `hunt` looks for
cases with a wrong end and makes them small. `python -m tests.fuzz --kind scene --seconds 600 --seed 1` is one hunt;
what was found is kept in tests/renderer/test_findings*.py.
"""
