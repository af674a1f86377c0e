"""With KINDS_IN_A_CHILD set, what these tests render is rendered by a real child in its sandbox: see test_in_a_child.py."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fuzz.bench import Bench
from tests.renderer import drawing

if os.environ.get("KINDS_IN_A_CHILD"):

    @pytest.fixture(scope="session", autouse=True)
    def a_child() -> Iterator[None]:
        """Have one child, and its successors, for all tests."""
        with Bench() as bench:
            drawing.bench = bench
            yield

    @pytest.fixture(autouse=True)
    def no_leaks() -> None:
        """Let the pool be: a child of it may end and be replaced within a test."""
