"""Functions that several applications of one process share, each with caches of its own."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

import pytest
from flask import Flask, current_app, has_app_context

from tiercel import (
    CACHE_MISSING,
    Cache,
    InvalidationRule,
    Job,
    cache_result,
    cacheback,
    cached_for,
    changed,
    configure,
    default_cache,
)
from tiercel.configuration import use_caches
from tiercel.dispatch.schedule import Schedule
from tiercel.spi import bind_anew
from tiercel.testing import SimulatedBackend, VirtualClock
from tiercel_flask import Tiercel

PATIENCE = 30.0
"""Seconds after which something that happens in the background counts as missing."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, f"still waiting after {PATIENCE:g} s"
        sleep(0.001)


class Order:
    """Something that is computed from as long as it lives."""

    @cached_for(minutes=5, expire_when="object_is_destroyed", name="flask.apart.total")
    def total(self) -> list[int]:
        return [1]

    @cached_for(minutes=5, name="flask.apart.rate")
    @staticmethod
    def rate(year: int) -> list[int]:
        return [year]


@pytest.fixture
def apps() -> tuple[Flask, Flask]:
    """Two applications."""
    made = Flask("one"), Flask("two")
    for app in made:
        app.config["SECRET_KEY"] = "a secret of some length"
        Tiercel(app)
    return made


@pytest.fixture
def clock() -> VirtualClock:
    """Time that tests move."""
    return VirtualClock()


@pytest.fixture
def shops(clock: VirtualClock) -> tuple[Flask, Flask]:
    """Two applications, each with a shared tier of its own and keys that tell whose they are."""
    made = _shop("one", clock), _shop("two", clock)
    for app in made:
        Tiercel(app)
    return made


def _shop(name: str, clock: VirtualClock) -> Flask:
    app = Flask(name)
    app.config["SECRET_KEY"] = "a secret of some length"
    cache = Cache(backend=SimulatedBackend(clock), clock=clock, prefix=name, memory=0)
    app.config["TIERCEL_CACHES"] = {"default": cache}
    return app


def test_results_when_their_object_is_destroyed_then_they_end_in_every_application(
    apps: tuple[Flask, Flask],
) -> None:
    """Whichever application they were computed in."""
    for app in apps:
        with app.app_context():
            memory = default_cache.engine.memory
            assert memory is not None
            for _ in range(200):
                Order().total()  # gone at once
            assert len(memory) < 100  # what has ended is swept now and then


def test_function_when_it_is_cleared_in_one_application_then_the_other_keeps_its_entries(
    apps: tuple[Flask, Flask],
) -> None:
    """`clear_cached_func` drops where the running application has its entries."""
    kept = []
    for app in apps:
        with app.app_context():
            kept.append(Order.rate(2023))
    with apps[0].app_context():
        assert default_cache.clear_cached_func(Order.rate, 2023) is True
        assert Order.rate(2023) is not kept[0]
    with apps[1].app_context():
        assert Order.rate(2023) is kept[1]


@cacheback
def headlines(section: str = "news") -> list[str]:
    """Return what an application has; decorated without parentheses."""
    return [current_app.name, section]


class Names(Job):
    """A job that each application has data of."""

    refresh_timeout = 60

    def fetch(self, what: str = "name") -> str:
        return f"{what} of {current_app.name}"


def test_cacheback_when_asked_for_metadata_then_tells_of_the_running_application(
    shops: tuple[Flask, Flask],
) -> None:
    """Also where the first question is this one, and the same by way of `cached_function`."""
    one, two = shops
    itself: Any = vars(headlines)["cached_function"]
    for cached in (headlines, itself):
        with one.app_context():
            assert cached.get_cached_metadata("sport") is None
            assert headlines("sport") == ["one", "sport"]
            known = cached.get_cached_metadata("sport")
            assert known is not None
            assert known["key"].startswith("one:")
        with two.app_context():
            assert cached.get_cached_metadata("sport") is None
            assert cached.get_with_metadata("sport")[0] == ["two", "sport"]
            assert cached.get_cache_key("sport").startswith("two:")
            cached.invalidate_all()
        with one.app_context():
            assert cached.get_cache_only("sport") == ["one", "sport"]
            assert cached.stats().computations >= 1
            cached.invalidate_all()


def test_job_when_it_is_used_then_works_on_the_data_of_the_running_application(
    shops: tuple[Flask, Flask],
) -> None:
    """All methods, of a class and of a decorated function."""
    for job, first in ((Names(), ()), (headlines.job, (headlines,))):
        for app in shops:
            with app.app_context():
                assert job.raw_get(*first, "x") is None
                assert app.name in job.get(*first, "x")
        with shops[0].app_context():
            assert job.set(*first, "x", "set")
            assert job.store(job.key(*first, "y"), job.expiry(*first, "y"), "stored")
            assert not job.should_refresh(*first, "x")
        with shops[1].app_context():
            assert "two" in job.get(*first, "x")
            assert job.raw_get(*first, "y") is None
            assert job.delete(*first, "x")
        with shops[0].app_context():
            assert (job.get(*first, "x"), job.get(*first, "y")) == ("set", "stored")
            assert job.invalidate(*first, "x")
    assert Names().function.name.endswith("Names")
    with shops[1].app_context():
        assert Names().many(["x"]) == ["x of two"]
        assert Names().function.get_cached_metadata("x") is not None
    with shops[0].app_context():
        assert Names().function.get_cached_metadata("z") is None


def test_cache_when_all_of_it_is_cleared_then_functions_stay_those_of_their_application(
    shops: tuple[Flask, Flask],
) -> None:
    """`clear_all_cache` reaches what only other processes have used so far."""
    with shops[0].app_context():
        default_cache.clear_all_cache()
        assert headlines("home") == ["one", "home"]
        default_cache.clear_all_cache()
        assert headlines.get_cache_only("home") is CACHE_MISSING
    with shops[1].app_context():
        assert headlines("home") == ["two", "home"]
        assert headlines.get_cache_key("home") == "two:" + KEY


KEY = headlines.get_cache_key("home").partition(":")[2]


def test_rule_when_a_change_is_reported_then_it_drops_in_the_running_application(
    shops: tuple[Flask, Flask],
) -> None:
    """Also entries that only another process has filled."""

    @cache_result(
        name="flask.apart.ruled",
        invalidates_on=InvalidationRule("row", field_mapping={"number": "id"}),
    )
    def ruled(number: int) -> str:
        return current_app.name

    for app in shops:
        with app.app_context():
            assert ruled(1) == app.name
    bind_anew(apart=True)  # as if another process had filled them
    for app in shops:
        with app.app_context():
            changed("row", new={"id": 1})
            assert ruled.get_cache_only(1) is CACHE_MISSING


def test_refresh_when_it_is_repeated_then_each_application_that_uses_it_has_it_done(
    shops: tuple[Flask, Flask], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its own cache; an application that has never called the function is left alone."""
    schedule = Schedule(clock, threaded=False)
    monkeypatch.setattr("tiercel.cached.SCHEDULE", schedule)
    computed: list[int] = []

    @cached_for(minutes=5, async_refresh_every=60, name="flask.apart.again")
    def again() -> int:
        computed.append(1)
        return len(computed)

    Tiercel(_shop("idle", clock))
    for app in shops:
        with app.app_context():
            again()
    clock.advance(60)
    schedule.tick()
    wait_until(lambda: len(computed) == 4)
    for app in shops:
        with app.app_context():
            wait_until(lambda: again.get_cache_only() in {3, 4})
            known = again.get_cached_metadata()
            assert known is not None
            assert known["key"].startswith(f"{app.name}:")
            assert known["cache_status"] == "REFRESH"


def test_warmup_when_applications_start_then_each_is_warmed_up(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its own cache, and running; a configuration besides them changes nothing of that."""
    monkeypatch.setenv("TIERCEL_DEPLOY", "1")

    @cached_for(minutes=5, warmup_on_startup=True, name="flask.apart.start")
    def start() -> str:
        return current_app.name if has_app_context() else "nobody"

    Tiercel(_shop("other", clock))  # so that there are several from the first one on
    shops = [_shop(name, clock) for name in ("one", "two")]
    for app in shops:
        Tiercel(app)
    former = use_caches({})
    try:
        configure(default={"clock": clock}, reports={"clock": clock})
        for app in shops:
            with app.app_context():
                wait_until(lambda: start.get_cache_only() is not CACHE_MISSING)
                assert start.get_cache_only() == app.name
                known = start.get_cached_metadata()
                assert known is not None
                assert known["key"].startswith(f"{app.name}:")
    finally:
        use_caches(former)
