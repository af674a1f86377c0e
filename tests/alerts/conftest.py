"""Fixtures of the alerts' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.alerts.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Provide a receiver that is up."""
    with Receiver().serving() as serving:
        yield serving
