"""With JOBSUPERVISOR_FAIL_ON_SKIP set, a skip is a failure: where everything is installed, nothing may be left out.

With the value `but-for-root`, an ordinary user's run may leave out what only root may do: the tests that skip by `needs_root`,
and no others.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import NoReturn

import pytest

VARIABLE = "JOBSUPERVISOR_FAIL_ON_SKIP"
BUT_FOR_ROOT = "but-for-root"
_NEEDS_ROOT = "needs root: "


def needs_root(what: str) -> NoReturn:
    """Skip a test that an ordinary user cannot run, saying what only root may do; root, who may, is told of the mistake."""
    if os.geteuid() == 0:
        raise AssertionError(f"a test is skipped for want of root, and this is root: {what}")
    pytest.skip(_NEEDS_ROOT + what)


def root_only(what: str) -> pytest.MarkDecorator:
    """Return the mark of a test that an ordinary user cannot run, with what only root may do."""
    return pytest.mark.skipif(os.geteuid() != 0, reason=_NEEDS_ROOT + what)


def _allowed(reason: str) -> bool:
    if os.environ[VARIABLE] != BUT_FOR_ROOT or os.geteuid() == 0:
        return False
    return reason.removeprefix("Skipped: ").startswith(_NEEDS_ROOT)


def _forbid(report: pytest.TestReport | pytest.CollectReport) -> None:
    # An expected failure is reported as skipped too, and is none.
    if os.environ.get(VARIABLE) and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if _allowed(reason):
            return
        report.outcome = "failed"
        report.longrepr = f"{VARIABLE} is set, so no test may be skipped. This one: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the report of a skipped test into a failure."""
    report = yield
    _forbid(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the report of a skipped module into a failure."""
    report = yield
    _forbid(report)
    return report
