"""`cached_for` and `request_cached`: all patterns of their users in one application."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from packages.core.tests.stages import wait_until
from tiercel import AsyncValueBeingBuiltException, Cache, cached_for, request_cached, request_scope
from tiercel.dispatch.schedule import Schedule
from tiercel.testing import SimulatedBackend, VirtualClock

HOUR = 3600.0


class Application:
    """Functions of all kinds on one cache.

    Attributes:
        runs: How often each of them ran.
        go_on: Lets builds in the background end.
    """

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.runs: dict[str, int] = {}
        self.go_on = threading.Event()
        self.page = page_of(self)
        self.plain = plain_functions(self)
        self.special = special_functions(self)

    def ran(self, name: str) -> int:
        """Count a run."""
        self.runs[name] = self.runs.get(name, 0) + 1
        return self.runs[name]


def page_of(app: Application) -> Any:
    """Return an object with a method whose results it owns."""

    class Page:
        @cached_for(minutes=30, expire_when="object_is_destroyed", cache=app.cache)
        def computed(self) -> int:
            return app.ran("object")

    return Page()


def plain_functions(app: Application) -> Any:
    """Return functions of patterns 1 to 4 and 9."""
    cache = app.cache

    @cached_for(hours=1, cache=cache, cache_key_with_full_args=True)
    def catalog(shop: int, page: int) -> int:
        return app.ran("catalog")

    @cached_for(minutes=30, cache=cache, unless=lambda func, user, *args, **kwargs: user is None)
    def preferences(user: int | None) -> int:
        return app.ran("preferences")

    @cached_for(minutes=5, cache=cache, local_ram_cache_only=True)
    def session(number: str) -> int:
        return app.ran("session")

    @cached_for(hours=2, cache=cache, shared_redis_cache_only=True)
    def dataset(query: dict[str, int]) -> int:
        return app.ran("dataset")

    @cached_for(hours=1, cache=cache, cache_key_prefix=lambda func, version, *a, **k: f"v{version}")
    def api(version: str, endpoint: str) -> int:
        return app.ran("api")

    return SimpleNamespace(
        catalog=catalog, preferences=preferences, session=session, dataset=dataset, api=api
    )


def special_functions(app: Application) -> Any:
    """Return functions of patterns 5 to 7 and 10."""
    cache = app.cache

    @cached_for(hours=2, cache=cache, async_compute=True)
    def report(company: int) -> int:
        assert app.go_on.wait(60)
        return app.ran("report")

    @cached_for(hours=6, cache=cache, async_refresh_every=4 * HOUR, warmup_on_startup=True)
    def settings() -> int:
        return app.ran("settings")

    @request_cached(for_http_methods={"GET", "POST"})
    def context() -> int:
        return app.ran("context")

    @cached_for(minutes=30, cache=cache, atomic_writes="at_least_once")
    def external(endpoint: str) -> int:
        return app.ran("external")

    @cached_for(hours=1, cache=cache, atomic_writes="at_most_once")
    def resource() -> int:
        return app.ran("resource")

    return SimpleNamespace(
        report=report, settings=settings, context=context, external=external, resource=resource
    )


@pytest.fixture
def clock() -> VirtualClock:
    """Time of the cache and of its repetitions."""
    return VirtualClock(time=1_800_000_000.0)


@pytest.fixture
def schedule(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Schedule:
    """The repetitions of this process, which are looked at when a test says so."""
    schedule = Schedule(clock, threaded=False)
    monkeypatch.setattr("tiercel.cached.SCHEDULE", schedule)
    return schedule


@pytest.fixture
def app(clock: VirtualClock, schedule: Schedule) -> Iterator[Application]:
    """The application."""
    cache = Cache(backend=SimulatedBackend(clock), clock=clock, max_lag=0.01)
    cache.get("nothing")  # opens the channel, which empties memory at its first position
    assert cache.engine.channel is not None
    wait_until(cache.engine.channel.trusted)
    app = Application(cache)
    yield app
    app.go_on.set()
    cache.close()


def visit(app: Application) -> None:
    """Serve one request that needs everything."""
    plain, special = app.plain, app.special
    with request_scope("GET"):
        assert special.context() == special.context()
    assert plain.catalog(1, 1) == plain.catalog(1, page=1)
    plain.preferences(1), plain.preferences(None), plain.session("s"), plain.dataset({"a": 1})
    plain.api("1", "/a"), special.external("/b"), special.resource(), app.page.computed()
    with pytest.raises(AsyncValueBeingBuiltException):
        special.report(7)


def test_all_patterns_together(app: Application, clock: VirtualClock, schedule: Schedule) -> None:
    """One application uses all ten patterns at once, and none is in the way of another."""
    for _ in range(3):
        visit(app)
    app.go_on.set()
    report, settings, catalog = app.special.report, app.special.settings, app.plain.catalog
    wait_until(lambda: report.get_cache_only(7) == 1)
    wait_until(lambda: settings.get_cache_only() == 1)
    assert report(7) == 1
    once = ["object", "catalog", "session", "dataset", "report", "settings", "api", "external"]
    assert app.runs == {**dict.fromkeys(once, 1), "resource": 1, "preferences": 4, "context": 3}
    clock.advance(4 * HOUR)
    schedule.tick()
    wait_until(lambda: settings.get_cache_only() == 2)
    assert app.cache.clear_cached_func_some(catalog, 1)[1] is False
    catalog(1, 1)
    assert app.runs["catalog"] == 2
    assert app.cache.stats()[catalog.cached_function.name].computations == 2
