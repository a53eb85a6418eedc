"""Hits in memory: what is done at each, as chosen, and that nothing is done if nobody listens."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from packages.integrations.opentelemetry.tests.watching import Telemetry, known
from tiercel import Cache
from tiercel.testing import VirtualClock
from tiercel_opentelemetry import TiercelInstrumentor

Choose = Callable[..., Any]

_serial = count()


@pytest.fixture
def choose(telemetry: Telemetry, clock: VirtualClock) -> Iterator[Choose]:
    """Choose what becomes of hits, and get a function with one entry."""
    made: list[Cache] = []

    def chosen(**options: Any) -> Any:
        TiercelInstrumentor().instrument(**options)
        cache = Cache(name="near", clock=clock)
        made.append(cache)
        cached: Any = cache.cached(name=f"tests:hits{next(_serial)}", ttl=60)(lambda user: user)
        cached(1)
        telemetry.forget()
        return cached

    yield chosen
    for cache in made:
        cache.close()


def test_hits_when_within_a_span_then_are_counted_in_an_attribute(
    telemetry: Telemetry, choose: Choose
) -> None:
    """By default: an integer on each span during which there were some, and no other span."""
    cached = choose()
    with telemetry.tracer.start_as_current_span("one"):
        cached(1)
        cached(1)
        with telemetry.tracer.start_as_current_span("two"):
            cached(1)
    cached(1)
    counts = {each.name: known(each).get("tiercel.memory_hits") for each in telemetry.spans()}
    assert counts == {"one": 2, "two": 1}


def test_hits_when_only_counted_then_the_code_is_that_of_no_observer(
    telemetry: Telemetry, choose: Choose
) -> None:
    """Figures come from the integer that the generated code keeps anyway."""
    cached = choose(memory_hits="count")
    code = cached.__code__
    with telemetry.tracer.start_as_current_span("one"):
        cached(1)
    (one,) = telemetry.spans()
    assert known(one) == {}
    TiercelInstrumentor().uninstrument()
    assert cached.__code__ is code
    name = cached.cached_function.name
    TiercelInstrumentor().instrument(meter_provider=telemetry.meter_provider)
    assert telemetry.points("tiercel.memory.hits")["near", name] == 1


def test_hits_when_events_are_chosen_then_each_is_one(telemetry: Telemetry, choose: Choose) -> None:
    """An event says of which function."""
    cached = choose(memory_hits="event")
    with telemetry.tracer.start_as_current_span("one"):
        cached(1)
        cached(1)
    (one,) = telemetry.spans()
    assert [event.name for event in one.events] == ["tiercel.memory_hit"] * 2
    assert (one.events[0].attributes or {})["tiercel.function"] == cached.cached_function.name


def test_hits_when_spans_are_chosen_then_each_is_one_within_a_trace(
    telemetry: Telemetry, choose: Choose
) -> None:
    """Outside of any trace there is nothing that they could be part of."""
    cached = choose(memory_hits="span")
    cached(1)
    assert telemetry.spans() == []
    with telemetry.tracer.start_as_current_span("one"):
        cached(1)
    one, hit = telemetry.spans()
    assert hit.parent == one.context
    assert (known(hit)["tiercel.tier"], known(hit)["tiercel.status"]) == ("memory", "HIT")


def test_hits_when_they_take_the_slow_path_then_are_noted_as_well(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    """Copies cannot be served by the generated code."""
    cache = Cache(name="copies", clock=clock)
    cached: Any = cache.cached(name="tests:copied", copy=True)(lambda user: [user])
    cached(1)
    with telemetry.tracer.start_as_current_span("one"):
        cached(1)
    one = next(each for each in telemetry.spans() if each.name == "one")
    assert known(one)["tiercel.memory_hits"] == 1


async def test_hits_of_coroutines_and_methods_when_told_then_change_nothing_else(
    telemetry: Telemetry, choose: Choose, clock: VirtualClock
) -> None:
    """The variant that tells returns the same, also where somebody holds the function already."""
    cache = Cache(name="kinds", clock=clock)

    @cache.cached(name="tests:coroutine")
    async def awaited(user: int) -> int:
        return user

    class Shop:
        def __cache_key__(self) -> str:
            return "shop"

        @cache.cached(name="tests:method")
        def price(self, user: int) -> int:
            return user

    TiercelInstrumentor().uninstrument()
    method = Shop().price
    assert await awaited(1) == method(1) == 1
    TiercelInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    with telemetry.tracer.start_as_current_span("one"):
        assert await awaited(1) == method(1) == 1
    one = next(each for each in telemetry.spans() if each.name == "one")
    assert known(one)["tiercel.memory_hits"] == 2


def test_code_when_nobody_listens_then_is_identical_to_the_byte(clock: VirtualClock) -> None:
    """The plugin is installed here; without providers it leaves no trace in the code."""
    cache = Cache(name="silent", clock=clock)
    cached: Any = cache.cached(name="tests:silent", ttl=60)(lambda user: user)
    before = cached.__code__
    cached(1)
    assert cached.__code__ is before
    assert cached.cached_function.subject.watched is False
    provider = TracerProvider(shutdown_on_exit=False)
    TiercelInstrumentor().instrument(tracer_provider=provider)
    assert cached.__code__ is not before
    assert cached.__code__.co_freevars == before.co_freevars
    TiercelInstrumentor().uninstrument()
    assert cached.__code__ is before
    assert inspect.getsource(cached) != ""
