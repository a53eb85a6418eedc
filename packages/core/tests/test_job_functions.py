"""`FunctionJob` and `cacheback`: functions as jobs, with everything that cached functions have."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, cast

import pytest

from packages.core.tests.brokers import ListBroker, plugged
from packages.core.tests.jobbing import Source, job_class
from packages.core.tests.stages import Stage, wait_until
from tiercel import (
    ArgsKeyField,
    Cache,
    CachedFunction,
    ConfigurationError,
    FunctionJob,
    InvalidationRule,
    Job,
    cacheback,
    changed,
    configure,
)
from tiercel.function import living_functions
from tiercel.spi import perform_message
from tiercel.testing import SimulatedBackend, VirtualClock

_serial = count(1)


def name() -> str:
    """Return a name that no other test uses."""
    return f"tests:function{next(_serial)}"


@pytest.fixture
def broker() -> Iterator[ListBroker]:
    """A broker, known as dispatcher `list`."""
    broker = ListBroker()
    with plugged(broker):
        yield broker


def test_cacheback_when_decorated_then_serves_stale_and_refreshes(stage: Stage) -> None:
    """Calling it is `get`; arguments count as those of the function, however they are written."""
    calls: list[Any] = []

    @cacheback(lifetime=60, cache=stage.cache, name=name(), dispatcher="inline")
    def tweets(user: str, page: int = 1) -> int:
        calls.append((user, page))
        return len(calls)

    assert [tweets("ann"), tweets(user="ann"), tweets("ann", 1), tweets("ann", page=2)] == [
        1, 1, 1, 2,
    ]  # fmt: skip
    stage.advance(61)
    assert [tweets("ann"), tweets("ann")] == [1, 3]


def test_cacheback_when_decorated_then_its_job_manages_it(stage: Stage) -> None:
    """`job` takes the decorated function, or the plain one, before the arguments."""

    @cacheback(lifetime=60, cache_alias=stage.cache, name=name(), dispatcher="inline")
    def tweets(user: str) -> Any:
        return next(numbers)

    numbers = count(1)
    assert isinstance(tweets.job, FunctionJob)
    assert tweets.fn("x") == 1
    job = cast("Any", tweets.job)
    assert tweets("ann") == 2
    assert job.get(tweets, "ann") == 2
    assert job.raw_get(tweets.fn, "ann")[1] == 2
    assert job.invalidate(tweets, "ann")
    assert tweets("ann") == 3
    assert job.set(tweets, "ann", "given")
    assert job.set(tweets, "bob", data="named")
    assert (tweets("ann"), tweets("bob")) == ("given", "named")
    assert job.delete(tweets, "ann")
    assert job.refresh(tweets, "ann") == 4
    assert job.key(tweets, "ann") == tweets.get_cache_key("ann")
    assert job.store(job.key(tweets, "eve"), job.expiry(tweets, "eve"), "stored")
    assert tweets("eve") == "stored"
    with pytest.raises(ConfigurationError, match="'nothing' is no key that key"):
        job.store("nothing", 0, "stored")


def test_cacheback_when_decorated_then_is_a_cached_function(stage: Stage) -> None:
    """Every method of one works on it, and it is listed with the others."""

    @cacheback(lifetime=60, cache=stage.cache, name=(own := name()))
    def tweets(user: str) -> str:
        return f"of {user}"

    assert tweets.get_with_metadata("ann")[1]["cache_status"] == "MISS"
    assert tweets.get_with_metadata("ann")[1]["cache_status"] == "HIT"
    assert tweets.get_cache_only("ann") == "of ann"
    assert tweets.many(["ann", "bob"]) == ["of ann", "of bob"]
    tweets.invalidate_all()
    assert tweets.stats().computations == 2
    assert own in {each.name for each in living_functions()}


def test_cacheback_when_it_has_rules_and_tags_then_they_drop_its_entries(
    stage: Stage, own_rules: None
) -> None:
    """As those of every function; entries dropped are not served stale."""
    numbers = count(1)

    @cacheback(
        lifetime=60,
        cache=stage.cache,
        name=name(),
        key={"user": ArgsKeyField("user", partition=True)},
        tags=["tweets"],
        invalidates_on=[InvalidationRule("user", field_mapping={"user": "name"})],
    )
    def tweets(user: str) -> int:
        return next(numbers)

    assert (tweets("ann"), tweets("bob")) == (1, 2)
    changed("user", new={"name": "ann"})
    assert (tweets("ann"), tweets("bob")) == (3, 2)
    stage.cache.drop_tags("tweets")
    assert (tweets("ann"), tweets("bob")) == (4, 5)


def test_job_when_its_class_has_rules_then_they_name_arguments_of_fetch(
    stage: Stage, own_rules: None
) -> None:
    """The rule of a class drops the entries of its jobs; one without keys drops exactly one."""
    source = Source()
    for key in ({"what": ArgsKeyField("what", partition=True)}, None):
        rule = InvalidationRule("thing", field_mapping={"what": "id", "other": "id"}, name=name())
        if key is not None:
            rule = InvalidationRule("thing", field_mapping={"what": "id"}, name=name())
        job = job_class(stage.cache, source, options={"key": key, "invalidates_on": [rule]})
        job().get("ann", "ann")
        job().get("bob", "bob")
        changed("thing", new={"id": "ann"})
        assert job().raw_get("ann", "ann") is None
        assert job().raw_get("bob", "bob") is not None


def test_job_when_its_entries_are_listed_then_they_are_there(memory: Stage) -> None:
    """With `index=True`, like those of every function."""
    job = job_class(memory.cache, Source(), options={"index": True})
    job().get("ann", 1)
    assert job().function.live_calls() == [(("ann", 1), {})]
    assert isinstance(job().function, CachedFunction)


async def test_cacheback_when_the_function_is_a_coroutine_function_then_is_awaited(
    stage: Stage,
) -> None:
    """The decorated function is one, too."""

    @cacheback(lifetime=60, cache=stage.cache, name=name(), dispatcher="inline")
    async def tweets(user: str) -> int:
        return next(numbers)

    numbers = count(1)
    job: Any = tweets.job
    assert (await tweets("ann"), await tweets("ann")) == (1, 1)
    assert await job.ainvalidate(tweets, "ann")
    assert await job.aget(tweets, "ann") == 2


def test_cacheback_when_it_stands_on_methods_then_they_are_told_apart(memory: Stage) -> None:
    """Methods of the same name in two classes, class methods, and functions in functions."""

    class First:
        def __cache_key__(self) -> str:
            return "1"

        @cacheback(cache=memory.cache)
        def who(self, what: int) -> str:
            return f"first {what}"

        @cacheback(cache=memory.cache)
        @classmethod
        def which(cls, what: int) -> str:
            return f"{cls.__name__} {what}"

    class Second:
        def __cache_key__(self) -> str:
            return "1"

        @cacheback(cache=memory.cache)
        def who(self, what: int) -> str:
            return f"second {what}"

    assert [First().who(1), Second().who(1), First().who(1)] == ["first 1", "second 1", "first 1"]
    kind: Any = First
    assert kind.which(1) == "First 1"
    first = kind()
    assert first.who.job.raw_get(first.who, 1)[1] == "first 1"
    assert first.which.job.delete(kind.which, 1)

    def make(by: int) -> Any:
        @cacheback(cache=memory.cache)
        def add(what: int) -> int:
            return what + by

        return add

    one, two = make(1), make(2)
    assert [one(1), two(1), one(1)] == [2, 3, 2]


def test_cacheback_when_without_parentheses_then_has_the_defaults(memory: Stage) -> None:
    """As every decorator of a cache."""
    configure(default=memory.cache)
    try:

        @cacheback
        def tweets(user: str) -> str:
            return user

        assert tweets("ann") == "ann"
        job: Any = tweets.job
        assert job.raw_get(tweets, "ann")[0] == pytest.approx(memory.clock.time() + 600, abs=1)
    finally:
        configure()


def test_cacheback_when_it_has_a_job_class_then_its_hooks_get_the_name_of_the_function(
    memory: Stage,
) -> None:
    """Hooks, and keywords of its own, as cacheback passes them."""
    told: list[Any] = []

    class Own(FunctionJob):
        def __init__(self, suffix: str = "", **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.suffix = suffix

        def fetch(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
            return super().fetch(function, *args, **kwargs) + self.suffix

        def expiry(self, *args: Any, **kwargs: Any) -> float:
            told.append(args)
            return super().expiry(*args, **kwargs)

        def key(self, *args: Any, **kwargs: Any) -> str:
            return f"mine:{args[1]}"

    @cacheback(lifetime=60, job_class=Own, suffix="!", set_data_kwarg="value", cache=memory.cache)
    def tweets(user: str) -> str:
        return user

    job: Any = tweets.job
    assert tweets("ann") == "ann!"
    assert told == [(f"{__name__}:{tweets.fn.__qualname__}", "ann")]
    assert job.set(tweets, "ann", value="given")
    assert tweets("ann") == "given"


def test_cacheback_when_its_job_prepares_arguments_then_every_way_to_call_means_the_same(
    memory: Stage,
) -> None:
    """The function itself, its methods and those of its job use one entry."""

    class Lowering(FunctionJob):
        def prepare_args(self, *args: Any) -> tuple[Any, ...]:
            function, *users = super().prepare_args(*args)
            return (function, *(user.lower() for user in users))

        def prepare_kwargs(self, **kwargs: Any) -> dict[str, Any]:
            return {name: each.lower() for name, each in kwargs.items()}

    @cacheback(job_class=Lowering, cache=memory.cache)
    def tweets(user: str, *, country: str = "IT") -> Any:
        return [user, country]

    first = tweets("ANN")
    assert first == ["ann", "it"]
    assert tweets(user="Ann", country="it") is first
    assert tweets.job.get(tweets, user="ANN") is first
    assert tweets.job.raw_get(tweets, "ann") is not None
    assert tweets.delete_cache("ANN")
    assert tweets.job.raw_get(tweets, "ann") is None


def test_function_job_when_functions_are_not_decorated_then_keeps_them_apart(
    stage: Stage,
) -> None:
    """One job serves many functions, in this process."""
    job = FunctionJob(lifetime=60, cache_alias=stage.cache)
    assert (job.get(_double, 2), job.get(_triple, 2)) == (4, 6)
    assert job.raw_get(_double, 2) is not None
    assert job.raw_get("packages.core.tests.test_job_functions:_double", 2) is not None
    stage.advance(61)
    assert job.get(_double, 2) == 4
    wait_until(lambda: not job.should_refresh(_double, 2))


def test_function_job_when_two_functions_have_one_name_then_is_refused(memory: Stage) -> None:
    """Their data would be mixed up."""
    job = FunctionJob(cache_alias=memory.cache)
    first, second = (lambda x: x), (lambda x: -x)
    assert job.get(first, 1) == 1
    with pytest.raises(TypeError, match=r"two functions are called .*<lambda>"):
        job.get(second, 1)
    with pytest.raises(TypeError, match="7 is no function"):
        job.get(7)
    with pytest.raises(TypeError, match="the first argument is the function"):
        job.get()


def test_function_job_when_a_worker_would_have_to_call_a_function_by_name_then_is_refused(
    broker: ListBroker,
) -> None:
    """A queue must not be able to call whatever is installed; decorated functions are known."""
    clock = VirtualClock()
    cache = Cache(backend=SimulatedBackend(clock), clock=clock, dispatcher="list")
    with pytest.raises(TypeError, match="_double is not decorated, so no worker knows"):
        FunctionJob(cache_alias=cache).get(_double, 2)
    decorated = cacheback(lifetime=5, cache=cache, name=name())(_double)
    assert decorated(2) == 4
    clock.advance(6)
    decorated(2)
    perform_message(broker.take())
    job: Any = decorated.job
    assert not job.should_refresh(decorated, 2)
    with pytest.raises(LookupError, match="no job of this process was given the function os:"):
        FunctionJob().fetch("os:getcwd")
    cache.close()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ttl": 5}, "a job takes no option 'ttl': say lifetime instead"),
        ({"lifetime": -1}, "lifetime=-1 must be"),
        ({"refresh_timeout": 0}, "refresh_timeout=0 must be"),
        ({"job_class": Job}, "must be a subclass of FunctionJob"),
        ({"cache": "a", "cache_alias": "b"}, "mean the same: give one"),
        ({"lifetme": 5}, "FunctionJob cannot be made: .*lifetme"),
        ({"dispatcher": "threadpool", "task_options": {"queue": "q"}}, "no option 'queue'"),
        ({"key": {"x": ArgsKeyField("nobody")}}, "names the argument 'nobody'"),
    ],
)
def test_cacheback_when_an_option_is_wrong_then_is_refused_at_decoration(
    options: dict[str, Any], error: str
) -> None:
    """The error says what is wrong and what to do."""
    with pytest.raises(ConfigurationError, match=error):
        cacheback(**options)(lambda user: user)


def _double(x: int) -> int:
    return 2 * x


def _triple(x: int) -> int:
    return 3 * x
