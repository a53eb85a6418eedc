"""What processes tell those who watch them, and that it costs nothing while nobody does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from packages.core.tests.stages import wait_until
from tiercel import Cache, ConfigurationError
from tiercel.bulletins import Watch, publishing
from tiercel.bulletins.bulletin import MOST_EVENTS, unpack_bulletin
from tiercel.bulletins.collecting import Collector
from tiercel.contracts.backend import DropScopes
from tiercel.errors import BackendUnavailable, Undecodable
from tiercel.events import Event, EventKind, Operation, OperationKind
from tiercel.inspection.watching import Cluster
from tiercel.testing import DictBackend, SimulatedBackend

EVERY = 0.02


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Cache]]:
    """Make caches on one store, each as another process would have it; bulletins come fast."""
    monkeypatch.setattr(publishing, "EVERY", EVERY)
    backend, made = SimulatedBackend(), list[Cache]()

    def process(name: str = "told", **options: Any) -> Cache:
        made.append(Cache(backend=backend, name=name, **options))
        return made[-1]

    yield process
    for cache in made:
        cache.close()


def double_on(cache: Cache) -> Any:
    @cache.cached(name="told.double", tags=["told"])
    def double(number: int) -> int:
        return 2 * number

    return double


def heard(watch: Watch, kind: str, patience: float = 60.0) -> Any:
    """Return the first event of a kind that is told."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        watch.ask()
        for bulletin in watch.news():
            for event in bulletin.events:
                if event.kind == kind:
                    return event
        time.sleep(EVERY)
    raise AssertionError(f"nobody told of {kind}")


def test_process_when_nobody_watches_then_nothing_is_told(processes: Any) -> None:
    """No thread, no observer, no command more than the calls need."""
    cache = processes()
    double = double_on(cache)
    double(1)
    subject = double.cached_function.subject
    assert not subject.engine.observers
    assert not subject.watched
    assert Watch(processes()).news() == []


def test_process_when_somebody_watches_then_events_and_counts(processes: Any) -> None:
    """It hears through its channel that somebody watches, and stops when nobody does any more."""
    cache = processes()
    double = double_on(cache)
    double(1)
    watch = Watch(processes())
    wait_until(cache.engine.channel.trusted)
    watch.ask()
    subject = double.cached_function.subject
    wait_until(lambda: subject.watched)
    double(2)
    double(2)
    fill = heard(watch, "fill")
    assert (fill.function, fill.cache, fill.key) == (
        "told.double", "told", double.get_cache_key(2),
    )  # fmt: skip
    wait_until(lambda: bool(watch.news()) or "told.double" in _counts(watch))
    assert _counts(watch)["told.double"]["computations"] == 2
    cache.publisher.close()
    wait_until(lambda: not subject.watched)


def _counts(watch: Watch) -> Any:
    (bulletin,) = watch.latest.values()
    return bulletin.counts


def test_drop_by_hand_and_by_tag_then_told_with_what_was_dropped(processes: Any) -> None:
    """A drop of a scope names the scope."""
    cache = processes(events=True)
    double = double_on(cache)
    double(1)
    watch = Watch(processes())
    double.delete_cache(1)
    assert heard(watch, "drop").key == double.get_cache_key(1)
    cache.drop_tags("told")
    assert heard(watch, "drop").key.endswith("!tag:told")


def test_process_when_configured_then_it_tells_without_being_asked(processes: Any) -> None:
    """`events=True` needs no channel: a process without memory can be watched as well."""
    cache = processes(events=True, memory=0)
    double_on(cache)(1)
    watch = Watch(processes())
    wait_until(lambda: bool(watch.news()))
    assert set(watch.latest) == {cache.publisher.process}


def test_watch_then_each_bulletin_once_and_not_ones_own(processes: Any) -> None:
    """Whoever tells and watches does not hear itself."""
    cache = processes(events=True)
    double_on(cache)(1)
    others, all_others = Watch(cache, without=cache.publisher.process), Watch(processes())
    numbers = list[int]()

    def read_two() -> bool:
        numbers.extend(bulletin.number for bulletin in all_others.news())
        return len(numbers) > 1

    wait_until(read_two)
    assert numbers == sorted(set(numbers))
    assert others.news() == []


def test_process_when_tier_fails_then_callers_notice_nothing(processes: Any) -> None:
    """A bulletin that cannot be published is left out; later ones come."""
    cache = processes(events=True)
    double = double_on(cache)
    double(1)
    watch = Watch(processes())
    wait_until(lambda: bool(watch.news()))
    cache.shared.unreachable = True
    assert double(3) == 6
    time.sleep(3 * EVERY)
    cache.shared.unreachable = False
    before = max(each.number for each in watch.latest.values())
    wait_until(lambda: any(b.number > before + 1 for b in watch.news()))


def test_fork_then_the_child_is_a_process_of_its_own(processes: Any) -> None:
    """It has another name, and its functions are observed by nobody until it is asked to tell."""
    cache = processes()
    double = double_on(cache)
    double(1)
    parent = cache.publisher.process
    cache.publisher.publish_for(60)
    subject = double.cached_function.subject
    wait_until(lambda: subject.watched)
    cache.renew_after_fork()
    assert cache.publisher.process != parent
    assert not subject.watched


def test_collector_when_there_is_too_much_then_bounded_and_counted() -> None:
    """The last events are kept, and it is said how many were not."""
    collector = Collector(time.time)
    for number in range(MOST_EVENTS + 7):
        collector.on_event(Event(EventKind.EVICTION, "told", count=number))
    events, lost = collector.take()
    assert (len(events), lost) == (MOST_EVENTS, 7)
    assert events[-1].count == MOST_EVENTS + 6
    assert collector.take() == ([], 0)


def test_collector_when_something_fails_then_only_the_type_is_told() -> None:
    """The text of an error may hold what others should not read."""
    collector = Collector(time.time)
    operation = Operation(OperationKind.COMPUTE, "told", "f", error=ValueError("password"))
    collector.on_end(operation, collector.on_start(operation))
    ((event,), _) = collector.take()
    assert (event.error, event.kind) == ("ValueError", "compute")
    assert event.seconds >= 0


def test_watch_when_tier_cannot_list_then_refused() -> None:
    """It says which tiers can."""
    for cache in (Cache(name="told"), Cache(backend=DictBackend(), name="told")):
        with pytest.raises(ConfigurationError, match="as redis and sqlite can"):
            Watch(cache)


def test_option_when_it_is_no_truth_value_then_refused() -> None:
    """`events` stands in a URL as true or false."""
    assert Cache("memory://?events=false").publisher is not None
    with pytest.raises(ConfigurationError, match="events='maybe' must be true or false"):
        Cache("memory://?events=maybe")


@pytest.mark.parametrize("data", [b"", b"\xc1", "text", None, b"\x81\xa7process\xa1a"])
def test_bulletin_when_damaged_then_undecodable(data: Any) -> None:
    """Another version, or anything else, is told from a bulletin."""
    with pytest.raises(Undecodable):
        unpack_bulletin(data)


class Silent(SimulatedBackend):
    """A server that answers nothing, and lets the first who asks wait until all others have one."""

    def __init__(self, all_waiting: threading.Barrier) -> None:
        super().__init__()
        self._all_waiting = all_waiting
        self._asked = False

    def execute(self, command: Any) -> Any:
        if isinstance(command, DropScopes) and not self._asked:
            self._asked = True
            self._all_waiting.wait(60)
        raise BackendUnavailable("no answer in time")


def test_look_when_several_caches_are_dead_then_all_are_waited_for_at_once(processes: Any) -> None:
    """Their time-outs do not add up, and whoever answers is no failure."""
    all_waiting = threading.Barrier(3)
    names = ["dead0", "dead1", "dead2"]
    dead = [Cache(backend=Silent(all_waiting), name=name, memory=0) for name in names]
    cluster = Cluster([*names, processes("look.watched").name])
    cluster.look()
    assert sorted(cluster.failed) == names
    assert not all_waiting.broken
    for each in dead:
        each.close()


WATCHING_TO_THE_END = """
import atexit
from tiercel import Cache
from tiercel.inspection.watching import Cluster
from tiercel.testing import SimulatedBackend

caches = [Cache(backend=SimulatedBackend(), name=name) for name in ("one", "two")]
cluster = Cluster(["one", "two"])
cluster.look()
atexit.register(lambda: print("looked", cluster.look(), cluster.failed))
"""


def test_look_when_the_interpreter_shuts_down_then_no_error() -> None:
    """A console may be watching until the end, where no pool of threads takes work any more."""
    command = [sys.executable, "-c", WATCHING_TO_THE_END]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    assert (run.stdout.decode().split(), run.stderr.decode()) == (["looked", "[]", "{}"], "")


def test_rates_then_what_happened_between_two_bulletins(processes: Any) -> None:
    """Calls of all processes in each second; kept until the next bulletin, and busiest first."""
    cache = processes(events=True)
    double = double_on(cache)
    double(0)
    watcher = processes("rates.watched")
    cluster = Cluster([watcher.name])
    wait_until(lambda: bool(cluster.look()))
    cluster.rates()
    for number in range(20):
        double(number % 4)
    wait_until(lambda: bool(cluster.look()) and bool(cluster.rates("told.double")))
    (rate,) = cluster.rates("told.double")
    assert rate.calls >= rate.computations >= 0
    assert rate == cluster.rates("told.double")[0]
