"""Beside the instrumentation of redis-py: what it tells stands below, and nothing is told twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from opentelemetry.instrumentation.redis import RedisInstrumentor

from packages.integrations.opentelemetry.tests.watching import Telemetry, known, parent_of
from tiercel import Cache
from tiercel.testing.servers import RedisServer


class Plain:
    """A shared tier that somebody has written with redis-py; it counts what it is asked."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.asked = 0

    def get(self, key: str) -> Any:
        self.asked += 1
        return self._client.get(key)

    def set(self, key: str, value: bytes, ttl: float) -> None:
        self._client.set(key, value, px=int(ttl * 1000))

    def delete(self, key: str) -> None:
        self._client.delete(key)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server of these tests."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def instrumented(telemetry: Telemetry) -> Iterator[Telemetry]:
    """Telemetry to which redis-py tells its commands."""
    RedisInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    yield telemetry
    RedisInstrumentor().uninstrument()


def test_read_when_its_tier_uses_redis_py_then_each_command_stands_below_once(
    instrumented: Telemetry, server: RedisServer
) -> None:
    """A hit is current while its tier is asked, and the caller's span is again afterwards."""
    with redis.Redis.from_url(server.url) as client:
        tier = Plain(client)
        cache = Cache(backend=tier, memory=0, name="plain")
        cached: Any = cache.cached(name="tests:nested")(lambda user: user)
        cached(1)
        instrumented.forget()
        tier.asked = 0
        with instrumented.tracer.start_as_current_span("GET /"):
            cached(1)
            client.get("afterwards")
        cache.close()
    caller, read, *below, after = instrumented.spans()
    assert known(read)["tiercel.status"] == "HIT"
    assert parent_of(read, [caller]) is parent_of(after, [caller]) is caller
    assert [each.name for each in below] == ["GET"] * tier.asked
    assert [parent_of(each, [read]) for each in below] == [read] * tier.asked
    assert tier.asked > 0


def test_read_when_the_tier_is_our_own_then_is_one_span(
    instrumented: Telemetry, server: RedisServer
) -> None:
    """It does not pass through what is instrumented; what the function itself asks does."""
    with redis.Redis.from_url(server.url) as client:
        cache = Cache(f"{server.url}?memory=0&timeout=60", name="own")
        cached: Any = cache.cached(name="tests:own")(lambda user: client.get(f"user:{user}"))
        cached(1)
        miss = instrumented.spans()
        instrumented.forget()
        cached(1)
        cache.close()
    (hit,) = instrumented.spans()
    assert known(hit)["tiercel.status"] == "HIT"
    read, compute, get, fill = miss
    assert [known(each).get("tiercel.operation") for each in (read, compute, fill)] == [
        "read", "compute", "fill",
    ]  # fmt: skip
    assert get.name == "GET"
    assert parent_of(get, miss) is compute
