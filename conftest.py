"""What holds for every test: under `CI=true` nothing is skipped in silence, and tests that need
settings of Django never share a process with others.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tiercel.spi import bind_anew
from tiercel.tiers import living_caches

DECLARED = "not offered:"  # how a conformance kit lists what a plugin does not claim to do
SLOW = ("tests/", "packages/core/tests/races/")
"""Folders of few and long tests; who comes to them last works on while others are done."""


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run a package with `tests/settings.py` together with anything else."""
    worlds = {_world(path) for path in _asked(config)}
    if len(worlds) > 1:
        raise pytest.UsageError(
            "settings of Django hold for a whole process, so these tests cannot share one: "
            "./dev test runs them one after the other"
        )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a package with `tests/settings.py` unless it was asked for."""
    if not _has_settings(collection_path):
        return None
    return None if all(path.is_relative_to(collection_path) for path in _asked(config)) else True


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Have no search for garbage look at what is collected: it lives to the end.

    Some tests ask for such a search, which among thousands of tests takes a fifth of a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long."""
    items.sort(key=lambda item: not item.nodeid.startswith(SLOW))


@pytest.fixture(autouse=True, scope="module")
def _leave_nothing_behind() -> Iterator[None]:
    """Have a module begin as the first one does.

    Caches that are still there have threads, which a later use starts again; functions that are
    garbage would be warmed up by the next configuration; and a suspended generator that is
    garbage takes back what it has set whenever it is found.
    """
    yield
    for cache in living_caches():
        cache.close()
    bind_anew(apart=False)
    gc.collect()


def _asked(config: pytest.Config) -> list[Path]:
    start = config.invocation_params.dir
    return [start / str(argument).partition("::")[0] for argument in config.args]


def _has_settings(package: Path) -> bool:
    return (package / "tests" / "settings.py").exists()


def _world(path: Path) -> Path | None:
    """Return the package with settings that a path is in."""
    return next((each for each in (path, *path.parents) if _has_settings(each)), None)


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
