"""The spans of each way in which a call is served, and of each thing that is done to entries."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from packages.integrations.opentelemetry.tests.watching import (
    Telemetry,
    known,
    parent_of,
    trace_of,
)
from tiercel import ArgsKeyField, Cache, InvalidationRule, changed
from tiercel.spi import Observer
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel.testing.servers import wait_until
from tiercel_opentelemetry import TiercelInstrumentor

BY_USER = {"user": ArgsKeyField("user", partition=True)}


def test_call_when_missed_then_reads_computes_and_fills(
    telemetry: Telemetry, shared: Cache
) -> None:
    """Each step is a child of the caller's span, and says what it was about."""
    cached: Any = shared.cached(name="tests:missed", key=BY_USER)(lambda user: user)
    with telemetry.tracer.start_as_current_span("GET /"):
        cached(1)
    request, *spans = telemetry.spans()
    assert [each.name for each in spans] == [
        "tiercel.read tests:missed",
        "tiercel.compute tests:missed",
        "tiercel.fill tests:missed",
    ]
    assert {parent_of(each, [request]) for each in spans} == {request}
    assert {each.kind for each in spans} == {SpanKind.INTERNAL}
    for each in spans:
        assert known(each)["tiercel.cache"] == "shop"
        assert known(each)["tiercel.key.template"] == "tests/missed:v1:{user}:"
    read, compute, fill = map(known, spans)
    assert (read["tiercel.status"], read["tiercel.tier"]) == ("MISS", "shared")
    assert (read["tiercel.cause"], compute["tiercel.cause"]) == ("absent", "absent")
    assert fill["tiercel.size"] > 0


def test_call_when_hit_in_the_shared_tier_then_is_one_read(
    telemetry: Telemetry, shared: Cache, clock: VirtualClock
) -> None:
    """It says from where, how old and how large."""
    cached: Any = shared.cached(name="tests:hit")(lambda user: user)
    cached(1)
    clock.advance(5)
    telemetry.forget()
    cached(1)
    (read,) = map(known, telemetry.spans())
    assert (read["tiercel.status"], read["tiercel.tier"]) == ("HIT", "shared")
    assert read["tiercel.age"] == pytest.approx(5, abs=0.1)
    assert read["tiercel.size"] > 0
    assert "tiercel.cause" not in read


async def test_call_when_awaited_then_has_the_same_spans(
    telemetry: Telemetry, shared: Cache
) -> None:
    """Also in tasks side by side: each is within the span of its own caller."""

    @shared.cached(name="tests:awaited")
    async def cached(user: int) -> int:
        await asyncio.sleep(0)
        return user

    async def request(user: int) -> None:
        with telemetry.tracer.start_as_current_span(f"GET /{user}"):
            await cached(user)

    await asyncio.gather(request(1), request(2))
    spans = telemetry.spans()
    for user in (1, 2):
        caller = next(each for each in spans if each.name == f"GET /{user}")
        below = [each for each in spans if parent_of(each, [caller]) is caller]
        assert [known(each)["tiercel.operation"] for each in below] == ["read", "compute", "fill"]


def test_call_when_stale_then_the_refresh_is_dispatched_from_the_read(
    telemetry: Telemetry, shared: Cache, clock: VirtualClock
) -> None:
    """One trace from the caller who got the old value to the computation of the new one."""
    cached: Any = shared.cached(name="tests:stale", ttl=10, stale=100, dispatcher="inline")(
        lambda user: user
    )
    cached(1)
    clock.advance(20)
    telemetry.forget()
    with telemetry.tracer.start_as_current_span("GET /") as request:
        cached(1)
    spans = telemetry.spans()
    kinds = [known(each).get("tiercel.operation") for each in spans[1:]]
    assert kinds == ["read", "dispatch", "task", "compute", "fill"]
    assert known(spans[1])["tiercel.cause"] == "expired"
    assert {trace_of(each) for each in spans} == {request.get_span_context().trace_id}
    _, _, dispatch, task, compute, fill = spans
    assert (dispatch.kind, task.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert parent_of(task, spans) is dispatch
    assert parent_of(compute, spans) is parent_of(fill, spans) is task
    assert known(task)["tiercel.task.kind"] == "refresh"
    assert known(task)["tiercel.task.id"] == known(dispatch)["tiercel.task.id"]


def test_refresh_when_done_by_a_thread_then_is_part_of_the_trace(
    telemetry: Telemetry, shared: Cache, clock: VirtualClock
) -> None:
    """What is dispatched carries its trace to the thread, which has a context of its own."""
    cached: Any = shared.cached(name="tests:thread", ttl=10, stale=100, dispatcher="threadpool")(
        lambda user: threading.current_thread().name
    )
    first = cached(1)
    clock.advance(20)
    telemetry.forget()
    with telemetry.tracer.start_as_current_span("GET /") as request:
        assert cached(1) == first
    wait_until(lambda: telemetry.spans("task") != [], "the task")
    (task,), (dispatch,) = telemetry.spans("task"), telemetry.spans("dispatch")
    assert trace_of(task) == request.get_span_context().trace_id
    assert parent_of(task, [dispatch]) is dispatch
    assert cached(1) != first


async def test_refresh_when_done_by_a_task_then_is_part_of_the_trace(
    telemetry: Telemetry, shared: Cache, clock: VirtualClock
) -> None:
    """The same on the event loop."""

    @shared.cached(name="tests:task", ttl=10, stale=100, dispatcher="asyncio")
    async def cached(user: int) -> int:
        return user

    await cached(1)
    clock.advance(20)
    telemetry.forget()
    with telemetry.tracer.start_as_current_span("GET /") as request:
        await cached(1)
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
    (task,), (dispatch,) = telemetry.spans("task"), telemetry.spans("dispatch")
    assert trace_of(task) == request.get_span_context().trace_id
    assert parent_of(task, [dispatch]) is dispatch


def test_refresh_when_asked_for_then_computes_and_fills(
    telemetry: Telemetry, shared: Cache
) -> None:
    """Nothing is read; the computation says that it was requested."""
    cached: Any = shared.cached(name="tests:refreshed")(lambda user: user)
    cached.refresh(1)
    compute, fill = telemetry.spans()
    assert known(compute)["tiercel.cause"] == "requested"
    assert known(fill)["tiercel.operation"] == "fill"


def test_call_when_another_computes_then_waits(telemetry: Telemetry, memory: Cache) -> None:
    """Who joins another's computation has a span of waiting and none of computing."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(user: int) -> int:
        begun.set()
        go_on.wait(60)
        return user

    cached = memory.cached(name="tests:waited")(slow)
    first = threading.Thread(target=cached, args=(1,))
    first.start()
    assert begun.wait(60)
    joining = threading.Thread(target=cached, args=(1,))
    joining.start()
    wait_until(lambda: _is_joined(cached), "the second caller")
    go_on.set()
    first.join(60)
    joining.join(60)
    (wait,) = telemetry.spans("wait")
    assert known(wait)["tiercel.status"] == "HIT"
    assert len(telemetry.spans("compute")) == 1
    assert telemetry.points("tiercel.coalesced") == {("near", "tests:waited"): 1}


def _is_joined(cached: Any) -> bool:
    """Tell whether somebody waits for a flight of a function."""
    flights = cached.cached_function.subject.flights
    return any(flight._wakers for flight in flights._by_key.values())


def test_call_when_another_process_computes_then_waits_once(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    """However often it looks again, it is one span, with what was looked at below it."""
    store = SimulatedBackend(clock)
    here = Cache(backend=store, memory=0, name="here", clock=clock)
    there = Cache(backend=store, memory=0, name="there", clock=clock)
    inner: list[int] = []

    def compute(user: int) -> int:
        # The other process asks while this one computes; it may wait no longer than a moment.
        inner.append(theirs(user))
        return user

    mine: Any = here.cached(name="tests:both", wait=5)(compute)
    theirs: Any = there.cached(name="tests:both", wait=0)(lambda user: -user)
    assert mine(1) == 1
    assert inner == [-1]
    (wait,) = telemetry.spans("wait")
    assert known(wait)["tiercel.cache"] == "there"
    assert "tiercel.status" not in known(wait)


def test_drop_when_by_a_rule_then_is_one_trace_from_the_change(
    telemetry: Telemetry, shared: Cache
) -> None:
    """The task and the drop say which rule, and of what."""
    rule = InvalidationRule("tests.User", field_mapping={"user": "id"}, name="renamed")
    cached: Any = shared.cached(name="tests:ruled", key=BY_USER, invalidates_on=[rule])(
        lambda user: user
    )
    cached(1)
    telemetry.forget()
    with telemetry.tracer.start_as_current_span("POST /"):
        changed("tests.User", old={"id": 1}, new={"id": 1})
    request, dispatch, task, drop = telemetry.spans()
    assert parent_of(dispatch, [request]) is request
    assert parent_of(task, [dispatch]) is dispatch
    assert parent_of(drop, [task]) is task
    assert known(task)["tiercel.rule"] == known(drop)["tiercel.rule"] == "renamed"
    assert known(drop)["tiercel.source"] == "tests.User"
    assert known(drop)["tiercel.scope.count"] == 1
    assert not [value for value in known(drop).values() if "user=" in str(value)]


def test_function_when_it_fails_then_the_error_is_recorded(
    telemetry: Telemetry, shared: Cache
) -> None:
    """As an exception of the computation's span, which ends with an error."""

    @shared.cached(name="tests:failing")
    def cached(user: int) -> int:
        raise ValueError("no such user")

    with pytest.raises(ValueError, match="no such user"):
        cached(1)
    (compute,) = telemetry.spans("compute")
    assert compute.status.status_code is StatusCode.ERROR
    (event,) = compute.events
    assert event.name == "exception"
    assert (event.attributes or {})["exception.type"] == "ValueError"


def test_tier_when_unavailable_then_reads_fail_and_the_breaker_is_noted(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    """Callers get their values; traces and figures say that the tier is not asked any more."""
    store = SimulatedBackend(clock)
    cache = Cache(backend=store, memory=0, name="remote", clock=clock)
    cached: Any = cache.cached(name="tests:alone")(lambda user: user)
    store.unreachable = True
    with telemetry.tracer.start_as_current_span("GET /"):
        assert [cached(user) for user in range(5)] == list(range(5))
    reads = telemetry.spans("read")
    assert {each.status.status_code for each in reads} == {StatusCode.ERROR}
    assert {known(each)["tiercel.cause"] for each in telemetry.spans("compute")} == {"unavailable"}
    noted = [event.name for span in telemetry.spans() for event in span.events]
    assert noted.count("tiercel.breaker_opened") == 1
    assert telemetry.points("tiercel.breaker.open")["remote",] == 1.0
    assert telemetry.points("tiercel.misses") == {
        ("remote", "unavailable", "tests:alone"): 5,
    }
    store.unreachable = False
    clock.advance(5)
    cached(1)
    noted = [event.name for span in telemetry.spans() for event in span.events]
    assert noted.count("tiercel.breaker_closed") == 1


def test_batch_when_read_then_is_one_span(telemetry: Telemetry, shared: Cache) -> None:
    """Many calls are one read of the shared tier."""
    cached: Any = shared.cached(name="tests:many")(lambda user: user)
    cached.many([1, 2, 3])
    telemetry.forget()
    cached.many([1, 2, 3])
    (read,) = telemetry.spans()
    assert known(read)["tiercel.calls"] == 3


def test_spans_when_not_sampled_then_no_attribute_is_made(clock: VirtualClock) -> None:
    """A key is not even looked at, and children belong to the trace that is not sampled."""
    telemetry = Telemetry(ALWAYS_OFF)
    shown: list[str] = []
    instrumentor = TiercelInstrumentor()
    instrumentor.instrument(tracer_provider=telemetry.tracer_provider, keys=shown.append)
    try:
        cache = Cache(name="quiet", clock=clock)
        cached: Any = cache.cached(name="tests:unsampled")(lambda user: user)
        cached(1)
        cached(1)
    finally:
        instrumentor.uninstrument()
    assert telemetry.spans() == []
    assert shown == []


def test_observer_when_listening_then_overrides_every_method() -> None:
    """What the contract offers is used; a new method of it is noticed here."""
    from tiercel_opentelemetry.observer import OBSERVER

    offered = {name for name in vars(Observer) if not name.startswith("_")}
    assert offered <= vars(type(OBSERVER)).keys()
