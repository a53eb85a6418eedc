"""What holds for every test: under `CI=true` nothing is skipped in silence."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

DECLARED = "not offered:"  # how a conformance kit lists what a plugin does not claim to do


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a skipped test under CI, where every server and library is promised to be there."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that skips itself under CI."""
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or os.environ.get("CI") != "true":
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith(DECLARED):
        report.outcome = "failed"
        report.longrepr = f"skipped, but under CI nothing may be: {reason}"
