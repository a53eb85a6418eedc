"""Why a value had to be computed: the cause, who dropped it, and a link to where that happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from packages.integrations.opentelemetry.tests.watching import (
    Telemetry,
    id_of,
    known,
    trace_of,
)
from tiercel import ArgsKeyField, Cache, InvalidationRule, changed
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel.testing.servers import RedisServer

BY_USER = {"user": ArgsKeyField("user", partition=True)}

_serial = count()


@pytest.fixture(params=["redis", "sqlite"])
def two(
    request: pytest.FixtureRequest, tmp_path: Path, telemetry: Telemetry
) -> Iterator[tuple[Cache, Cache]]:
    """Two processes' caches on one real shared tier."""
    with RedisServer() if request.param == "redis" else nullcontext() as server:
        url = f"sqlite:///{tmp_path}/shop.db" if server is None else server.url
        web, worker = (Cache(f"{url}?memory=0&timeout=60", name=name) for name in ("web", "worker"))
        yield web, worker
        web.close()
        worker.close()


def dropped_entry(telemetry: Telemetry) -> tuple[ReadableSpan, ReadableSpan]:
    """Return the drop, and the computation that it made necessary."""
    (drop,) = telemetry.spans("drop")
    return drop, telemetry.spans("compute")[-1]


def check_link(drop: ReadableSpan, compute: ReadableSpan) -> None:
    """See that a computation of another trace points to the drop."""
    assert trace_of(drop) != trace_of(compute)
    (link,) = compute.links
    assert (link.context.trace_id, link.context.span_id) == (trace_of(drop), id_of(drop))
    assert (link.attributes or {})["tiercel.link"] == "dropped_by"


def test_partition_when_dropped_by_a_rule_then_another_process_links_to_it(
    telemetry: Telemetry, two: tuple[Cache, Cache]
) -> None:
    """The stamp says who changed it: rule, source, time and trace travel in its bytes."""
    here, there = two
    serial = next(_serial)
    group, price = f"tests.Group{serial}", f"tests.Price{serial}"
    rules = [
        InvalidationRule(f"tests.User{serial}", field_mapping={"user": "id"}, name="renamed"),
        InvalidationRule(group, field_mapping={"user": "owner"}, name="regrouped"),
        InvalidationRule(price, field_mapping=InvalidationRule.ALL, name="repriced"),
    ]
    name = f"tests:linked{serial}"
    options: dict[str, Any] = {"name": name, "key": BY_USER}
    mine: Any = here.cached(**options)(lambda user: user)
    theirs: Any = there.cached(**options, invalidates_on=rules)(lambda user: user)
    theirs(2)
    mine(1)
    with telemetry.tracer.start_as_current_span("POST /"):
        changed(group, old={"owner": 1}, new={"owner": 1})
    with telemetry.tracer.start_as_current_span("GET /"):
        mine(1)
    drop, compute = dropped_entry(telemetry)
    check_link(drop, compute)
    assert known(drop)["tiercel.function"] == theirs.cached_function.name
    said = known(compute)
    assert said["tiercel.cause"] == "dropped"
    assert said["tiercel.dropped_by.rule"] == "regrouped"
    assert said["tiercel.dropped_by.source"] == group
    assert ("web", "dropped", name, "regrouped") in telemetry.points("tiercel.misses")


def test_entry_when_dropped_alone_then_another_process_links_to_it(
    telemetry: Telemetry, two: tuple[Cache, Cache]
) -> None:
    """No stamp changes, so what says who it was stands in the place of the entry."""
    here, there = two
    name = f"tests:alone{next(_serial)}"
    mine: Any = here.cached(name=name)(lambda user: user)
    theirs: Any = there.cached(name=name)(lambda user: user)
    mine(1)
    with telemetry.tracer.start_as_current_span("POST /"):
        assert theirs.delete_cache(1) is True
    assert theirs.delete_cache(1) is False, "a tombstone counts as no entry"
    telemetry_drops = telemetry.spans("drop")
    assert mine.get_cache_only(1) is not None
    with telemetry.tracer.start_as_current_span("GET /"):
        mine(1)
    compute = telemetry.spans("compute")[-1]
    check_link(telemetry_drops[0], compute)
    assert known(compute)["tiercel.cause"] == "dropped"
    telemetry.forget()
    mine(1)
    (hit,) = telemetry.spans()
    assert known(hit)["tiercel.status"] == "HIT"


def test_drop_when_nobody_traces_then_the_miss_knows_the_rule_alone(
    telemetry: Telemetry, shared: Cache
) -> None:
    """There is no link to a trace that does not exist."""
    cached: Any = shared.cached(name="tests:untraced")(lambda user: user)
    cached(1)
    cached.invalidate_all()
    cached(1)
    compute = telemetry.spans("compute")[-1]
    (link,) = compute.links  # the drop is a trace of its own
    assert link.context.trace_id == trace_of(telemetry.spans("drop")[0])
    assert "tiercel.dropped_by.rule" not in known(compute)


def causes(telemetry: Telemetry) -> list[Any]:
    """Return why the computations so far were needed; forget them."""
    found = [known(each).get("tiercel.cause") for each in telemetry.spans("compute")]
    telemetry.forget()
    return found


def test_miss_of_memory_when_expired_evicted_or_dropped_then_says_so(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    """Without a shared tier, memory knows what has become of its entries."""
    cache = Cache(memory=100, name="small", clock=clock)
    cached: Any = cache.cached(name="tests:small", ttl=10, key=BY_USER)(lambda user: user)
    cached(1)
    assert causes(telemetry) == ["absent"]
    clock.advance(11)
    cached(1)
    assert causes(telemetry) == ["expired"]
    cached.delete_by_prefix(user=1)
    cached(1)
    assert causes(telemetry) == ["dropped"]
    cached.invalidate_all()
    cached(1)
    assert causes(telemetry) == ["dropped"]
    for user in range(100, 300):
        cached(user)
    telemetry.forget()
    cached(195)
    assert causes(telemetry) == ["evicted"]


def test_miss_when_the_last_fill_was_refused_then_says_so(
    telemetry: Telemetry, shared: Cache
) -> None:
    """A drop of the key during its computation refuses what is computed, so it is missed again."""
    dropping = [True]

    def drop_first(user: int) -> int:
        if dropping.pop():
            dropping.append(False)
            cached.delete_cache(user)
        else:
            dropping.append(False)
        return user

    cached: Any = shared.cached(name="tests:refused")(drop_first)
    cached(1)
    cached(1)
    assert causes(telemetry) == ["absent", "refused"]
    assert telemetry.points("tiercel.fills.refused") == {("shop", "tests:refused"): 1}


def test_miss_when_the_entry_is_damaged_or_of_other_scopes_then_says_so(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    """Bytes that cannot be read are told from bytes that were dropped."""
    store = SimulatedBackend(clock)
    cache = Cache(backend=store, memory=0, name="damaged", clock=clock)
    cached: Any = cache.cached(name="tests:damaged")(lambda user: user)
    cached(1)
    (name,) = [each for each in store.names() if each.startswith("value/")]
    stored = store._get(name)
    store._put(name, stored[:-1] + b"\xc1", 100.0)
    cached(1)
    assert causes(telemetry) == ["absent", "undecodable"]
