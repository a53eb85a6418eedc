"""The pytest plugin: fixtures that isolate tests, and what they cost who does not use them."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

PLUGIN = "tiercel.testing.plugin"
APPLICATION = """
import itertools
import unittest

import pytest
import tiercel

numbers = itertools.count(1)

@tiercel.cache_result
def number(key=1):
    return next(numbers)

@tiercel.cache_result(cache="reports")
def report(key=1):
    return next(numbers)
"""

ISOLATED = """
tiercel.configure(default="memory://?prefix=mine", reports="memory://")
before = tiercel.get_cache()

@pytest.mark.parametrize("run", [1, 2])
def test_isolated(tiercel_caches, run):
    assert set(tiercel_caches) == {"default", "reports"}
    assert tiercel.get_cache() is tiercel_caches["default"] is not before
    assert tiercel.get_cache("reports") is tiercel_caches["reports"]
    assert number() == number() == 2 * run - 1
    assert report() == report() == 2 * run
    tiercel.configure(default="memory://")

def test_afterwards():
    assert tiercel.get_cache() is before
"""

SHARED = """
def test_one():
    assert number() == 1

def test_two():
    assert number() == 1
"""

MARKED = """
@pytest.mark.parametrize("expected", [
    1, pytest.param(2, marks=pytest.mark.tiercel_isolate),
])
def test_number(expected):
    assert number() == number() == expected
"""

DISABLED = """
def test_off(tiercel_disabled):
    assert [number(), number()] == [1, 2]

def test_on():
    assert [number(), number()] == [3, 3]
"""

CLOCK = """
def test_an_hour(virtual_clock, tiercel_caches):
    assert number() == 1
    virtual_clock.advance(3599)
    assert number() == 1
    virtual_clock.advance(2)
    assert number() == 2
"""

EVERY_KIND = """
def test_one():
    assert number() == number() == 1

class TestTwo:
    def test_two(self):
        assert number() == number() == 2

class TestThree(unittest.TestCase):
    def test_three(self):
        assert number() == number() == 3

async def test_four():
    assert number() == number() == 4
"""


def run(pytester: pytest.Pytester, tests: dict[str, str], *arguments: str) -> pytest.RunResult:
    """Run tests of a project that uses tiercel, in a process of their own."""
    pytester.makepyfile(**{name: f"{APPLICATION}\n{text}" for name, text in tests.items()})
    pytester.makeini("[pytest]\naddopts = --strict-markers --strict-config")
    plugins = ("-p", PLUGIN, "-p", "pytest_asyncio.plugin", "-p", "no:cacheprovider")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytester.runpytest_subprocess(*plugins, *arguments)


def test_fixtures_when_used_isolate_disable_and_tell_time(pytester: pytest.Pytester) -> None:
    """Each test that asks gets what it asks for; the others share the caches of the process.

    Isolated caches are empty, in memory, and gone afterwards; the marker works on one case of a
    parametrised test; caching that is off is on again; lives end by the virtual clock.
    """
    tests = {
        "test_clock": CLOCK,
        "test_disabled": DISABLED,
        "test_marked": MARKED,
        "test_shared": SHARED,
        "test_z_isolated": ISOLATED,
    }
    run(pytester, tests).assert_outcomes(passed=10)


def test_isolate_option_when_true_isolates_every_test(pytester: pytest.Pytester) -> None:
    """`tiercel_isolate = true` saves asking for the fixture, in classes and coroutines too."""
    options = ("-o", "tiercel_isolate=true", "-o", "asyncio_mode=auto")
    run(pytester, {"test_every": EVERY_KIND}, *options).assert_outcomes(passed=4)


def test_plugin_when_loaded_makes_nothing() -> None:
    """Loading it starts no thread, makes no cache and looks for no plugins."""
    code = (
        f"import threading, {PLUGIN}\n"
        "from tiercel.plugins import default\n"
        "from tiercel.configuration import caches\n"
        "print(threading.active_count(), default._default, dict(caches()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "1 None {}\n"
