"""What a worker makes of a message: the right function, the right surroundings, clear errors."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packages.core.tests.brokers import made, message
from tiercel import Cache
from tiercel.spi import (
    BadMessage,
    TiercelError,
    UnknownFunction,
    aperform_message,
    perform_message,
)

_serial = count(1)


# Which function


def test_message_is_for_the_function_of_its_name() -> None:
    """The function is found by name, and computes."""
    calls: list[int] = []
    function, _ = made(calls.append), made(lambda x: calls.append(-x))
    perform_message(message(function, 7))
    assert calls == [7]


def test_message_when_two_caches_have_the_name_is_for_the_right_one() -> None:
    """The same name on two caches is two functions."""
    calls: list[str] = []
    name = f"worker:twice{next(_serial)}"
    one = made(lambda: calls.append("one"), name, Cache(name="one"))
    two = made(lambda: calls.append("two"), name, Cache(name="two"))
    perform_message(message(two))
    perform_message(message(one))
    assert calls == ["two", "one"]


def test_message_for_an_unknown_function_is_loud_and_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The broker keeps the task, and the log says what this worker lacks."""
    text = message(made(lambda: None), function="worker:no_such_function")
    with pytest.raises(UnknownFunction, match=r"worker:no_such_function on cache 'default'"):
        perform_message(text)
    record = caplog.records[-1]
    assert record.levelno == logging.ERROR
    assert "worker:no_such_function" in record.getMessage()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make a package with a function in a module that nobody has imported yet."""
    name = f"lazy_shop{next(_serial)}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    lines = ["from tiercel import Cache", "cache = Cache()", "calls = []"]
    lines += ["@cache.cached", "def price(product):", "    calls.append(product)"]
    (tmp_path / name / "prices.py").write_text("\n".join(lines))
    (tmp_path / name / "broken.py").write_text("raise OSError('no disk')")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    for each in [each for each in sys.modules if each.partition(".")[0] == name]:
        del sys.modules[each]


def test_message_when_its_module_is_not_imported_yet_imports_it(package: str) -> None:
    """A worker needs not have imported everything, if it knows the package."""
    text = message(made(lambda product: None), 3, function=f"{package}.prices:price")
    __import__(package)
    perform_message(text)
    assert sys.modules[f"{package}.prices"].calls == [3]


def test_message_when_its_package_is_unknown_imports_nothing(package: str) -> None:
    """A message cannot make a worker import what the application does not use."""
    text = message(made(lambda product: None), 3, function=f"{package}.prices:price")
    with pytest.raises(UnknownFunction):
        perform_message(text)
    assert package not in sys.modules


def test_message_when_its_module_is_broken_says_so(
    package: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback of the import is in the log, and the broker keeps the task."""
    __import__(package)
    text = message(made(lambda: None), function=f"{package}.broken:price")
    with pytest.raises(UnknownFunction, match="cannot be imported"):
        perform_message(text)
    assert "no disk" in caplog.text


@pytest.mark.parametrize(
    "name", ["..os:system", "os.path/../x:f", "os:", ":f", "", "os;sys:f", "\u00fc..x:f", "json"]
)
def test_message_when_the_name_is_odd_is_for_nobody(name: str) -> None:
    """A name is looked up, never evaluated."""
    with pytest.raises(UnknownFunction):
        perform_message(message(made(lambda: None), function=name))


def test_message_when_the_call_does_not_fit_is_no_task() -> None:
    """After a change of the signature, no retry would help."""
    with pytest.raises(BadMessage, match=r"TypeError: .*too many|TypeError: .*takes"):
        perform_message(message(made(lambda: None), payload={"args": [1, 2], "kwargs": {}}))


# Sync and async


async def test_coroutine_function_when_the_worker_is_asynchronous_runs_on_its_loop() -> None:
    """No thread and no second loop are needed."""
    loops: list[Any] = []

    async def function() -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    await aperform_message(message(made(function)))
    assert loops == [asyncio.get_running_loop()]


async def test_plain_function_when_the_worker_is_asynchronous_runs_in_a_thread() -> None:
    """Blocking work does not block the loop."""
    threads: list[threading.Thread] = []
    await aperform_message(message(made(lambda: threads.append(threading.current_thread()))))
    assert threads != [threading.current_thread()]
    assert len(threads) == 1


def test_coroutine_function_when_the_worker_is_plain_gets_a_loop() -> None:
    """Each task may be of either kind."""
    done: list[str] = []

    async def function() -> None:
        await asyncio.sleep(0)
        done.append("async")

    perform_message(message(made(function)))
    assert done == ["async"]


async def test_coroutine_function_when_the_thread_runs_a_loop_is_refused() -> None:
    """The error says what to call instead."""

    async def function() -> None:
        """Do nothing."""

    with pytest.raises(RuntimeError, match="this thread runs an event loop"):
        perform_message(message(made(function)))


async def test_work_that_fails_raises_either_way() -> None:
    """What the function raised is what the broker gets."""

    def fail() -> None:
        raise ValueError("no stock")

    async def afail() -> None:
        raise ValueError("no stock")

    for function in (fail, afail):
        with pytest.raises(ValueError, match="no stock"):
            await aperform_message(message(made(function)))


# Hostile messages

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["args", "kwargs", "works", "token", "floor", "$tuple", "$object"])
            | st.text(),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "args": json_values,
        "kwargs": json_values,
        "works": json_values,
        "token": json_values,
        "floor": json_values,
    },
)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.sampled_from(["refresh", "warm", "invalidate"]), payloads)
def test_message_when_its_payload_is_forged_is_refused_or_performed(
    kind: str, payload: dict[str, Any]
) -> None:
    """Whatever stands in a message for a real function, a worker gets over it."""
    text = message(FORGED, 1, kind=kind, payload=payload)
    with suppress(TiercelError):
        perform_message(text)


def _any_call(*args: Any, **kwargs: Any) -> None:
    """Take whatever comes."""


FORGED = made(_any_call)
