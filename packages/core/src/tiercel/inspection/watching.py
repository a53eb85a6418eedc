"""What all processes do with the caches of an application: counts, rates, events."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tiercel.bulletins import Bulletin, Happening, Watch, sum_counts
from tiercel.bulletins.board import LIFE, can_publish
from tiercel.engine.dispatching import around_tasks
from tiercel.errors import BackendError
from tiercel.inspection.caches import known_cache, known_caches
from tiercel.inspection.functions import known_functions
from tiercel.inspection.records import Explanation

T = TypeVar("T")
R = TypeVar("R")

PAUSE = 0.25
"""Seconds between two looks for new bulletins."""

_SERVED = ("memory_hits", "shared_hits", "stale", "coalesced")


class FunctionCounts(Struct, frozen=True):
    """How the calls of one function were served, by all processes that said so.

    Attributes:
        function: Its name.
        processes: How many processes these are.
        memory_hits: Served from memory.
        shared_hits: Served from the shared tier.
        stale: Served after their ttl, from either.
        coalesced: Got the result of a computation that another caller had begun.
        computations: How often the function ran.
        errors: How often it raised.
        refused: Results that were not stored, since something was dropped meanwhile.
        entries: Entries in the memory of these processes.
        seconds: Time spent in computations that returned.
        hit_ratio: Share of the calls that were served without running the function; None without
            calls.
        saved: Seconds that computing what was served would have taken, at the mean of those that
            were computed; None if none was.
    """

    function: str
    processes: int
    memory_hits: int
    shared_hits: int
    stale: int
    coalesced: int
    computations: int
    errors: int
    refused: int
    entries: int
    seconds: float
    hit_ratio: float | None
    saved: float | None

    @property
    def served(self) -> int:
        """Calls that did not run the function."""
        return sum(getattr(self, kind) for kind in _SERVED)

    @property
    def calls(self) -> int:
        """All calls."""
        return self.served + self.computations


class FunctionRates(Struct, frozen=True):
    """What was done with one function lately, in all processes.

    Attributes:
        function: Its name.
        processes: How many processes have said so.
        calls: Calls in each second.
        computations: Computations in each second.
        hit_ratio: Share of the calls that were served without running the function; None without
            calls.
        entries: Entries in the memory of these processes.
    """

    function: str
    processes: int
    calls: float
    computations: float
    hit_ratio: float | None
    entries: int


class Cluster:
    """All processes that use the caches of this application.

    This process counts, too, though it does not tell itself.

    Attributes:
        watched: The names of the caches that can be watched.
        failed: Why the shared tier of one did not answer the last time, by name of the cache.
    """

    def __init__(self, names: Sequence[str] = (), *, own_events: bool = False) -> None:
        """Prepare to watch.

        Args:
            names: The caches; none: all.
            own_events: Whether this process tells of itself, too, where it can be watched.

        Raises:
            ConfigurationError: One does not exist; or was named, and cannot be watched.
        """
        self._caches = [known_cache(each) for each in names] or list(known_caches().values())
        chosen = [each for each in self._caches if names or can_publish(each)]
        self._watches = [
            Watch(each, without="" if own_events else each.publisher.process) for each in chosen
        ]
        self.watched = [each.name for each in chosen]
        self.failed: dict[str, BackendError] = {}
        self._before: dict[str, Bulletin] = {}
        self._rates: dict[str, Mapping[str, Mapping[str, float]]] = {}

    def look(self) -> list[Bulletin]:
        """Ask for bulletins and return new ones, in the order of their time.

        All caches are asked at the same time, so several that do not answer cost as much time as
        one. Such a shared tier is noted in `failed`, and asked again the next time.
        """
        heard = _at_once(_heard, self._watches)
        self.failed = {
            name: each
            for name, each in zip(self.watched, heard, strict=True)
            if isinstance(each, BackendError)
        }
        new = [each for news in heard if not isinstance(news, BackendError) for each in news]
        return sorted(new, key=lambda bulletin: bulletin.at)

    def gather(self, seconds: float, pattern: str = "") -> list[FunctionCounts]:
        """Wait for bulletins for so long, and return the counts of functions by name.

        Args:
            seconds: How long; without a cache that can be watched, nothing is waited for.
            pattern: What the names contain.
        """
        end = time.monotonic() + seconds
        while self._watches:
            self.look()
            if time.monotonic() >= end:
                break
            time.sleep(PAUSE)
        return self.counts(pattern)

    def counts(self, pattern: str = "") -> list[FunctionCounts]:
        """Return the counts of functions whose name contains a text, as far as they are known."""
        latest = self._latest()
        told = [bulletin.counts for bulletin in latest.values()]
        told += [e.publisher.counts() for e in self._caches if e.publisher.process not in latest]
        totals = sum_counts([{each.name: {} for each in known_functions()}, *told])
        present = Counter(name for counts in told for name in counts)
        return [
            _counts(name, present[name], totals[name]) for name in sorted(totals) if pattern in name
        ]

    def rates(self, pattern: str = "") -> list[FunctionRates]:
        """Return what other processes did between their last bulletins, busiest first.

        Of a process whose second bulletin has not come yet, or that tells nothing any more,
        nothing is known.
        """
        for process, bulletin in self._latest().items():
            before = self._before.get(process)
            if before is not None and bulletin.at > before.at:
                self._rates[process] = _gained(before, bulletin)
            self._before[process] = bulletin
        newest = max((each.at for each in self._before.values()), default=0.0)
        rates: dict[str, list[Mapping[str, float]]] = {}
        for process, gained in self._rates.items():
            if self._before[process].at > newest - LIFE:
                for name, each in gained.items():
                    rates.setdefault(name, []).append(each)
        found = [_rates(name, each) for name, each in rates.items() if pattern in name]
        return sorted(found, key=lambda each: (-each.calls, each.function))

    def _latest(self) -> dict[str, Bulletin]:
        return {name: each for watch in self._watches for name, each in watch.latest.items()}


def with_counts_of_all(explanation: Explanation, seconds: float) -> Explanation:
    """Return an explanation with the counts of all processes instead of those of this one.

    Args:
        explanation: The explanation.
        seconds: How long other processes have to answer; 0: it stays as it is.
    """
    if not seconds or not can_publish(known_cache(explanation.cache)):
        return explanation
    cluster = Cluster([explanation.cache])
    for each in cluster.gather(seconds, explanation.function):
        if each.function == explanation.function:
            counts = {name: getattr(each, name) for name in explanation.calls}
            return replace(explanation, calls=counts, hit_ratio=each.hit_ratio)
    return explanation


def events_in(bulletins: Iterable[Bulletin]) -> list[tuple[str, Happening]]:
    """Return the events of bulletins with the processes that they are from, in order."""
    events = [(each.process, event) for each in bulletins for event in each.events]
    return sorted(events, key=lambda pair: pair[1].at)


def _heard(watch: Watch) -> list[Bulletin] | BackendError:
    """Return what is new of one cache, or why it does not answer."""
    try:
        watch.ask()
        return watch.news()
    except BackendError as error:
        return error


def _at_once(ask: Callable[[T], R], several: Sequence[T]) -> list[R]:
    """Return what `ask` returns for each of several, in threads if there is more than one."""
    if len(several) < 2:
        return [ask(each) for each in several]

    def aside(each: T) -> R:
        with around_tasks():
            return ask(each)

    try:
        with ThreadPoolExecutor(len(several), "tiercel-watch") as pool:
            asked = [pool.submit(aside, each) for each in several]
    except RuntimeError:  # the interpreter is shutting down, or the system is out of threads
        return [ask(each) for each in several]
    return [each.result() for each in asked]


def _counts(name: str, processes: int, total: Counter[str]) -> FunctionCounts:
    counts: dict[str, Any] = {each: total[each] for each in FunctionCounts.__struct_fields__[2:-2]}
    computed = total["computations"] - total["errors"]
    saved = _served(total) * total["seconds"] / computed if computed else None
    ratio = _ratio(total)
    return FunctionCounts(
        function=name, processes=processes, hit_ratio=ratio, saved=saved, **counts
    )


def _served(counts: Mapping[str, float]) -> float:
    return sum(counts.get(kind, 0) for kind in _SERVED)


def _ratio(counts: Mapping[str, float]) -> float | None:
    served = _served(counts)
    calls = served + counts.get("computations", 0)
    return served / calls if calls else None


def _gained(before: Bulletin, now: Bulletin) -> dict[str, Mapping[str, float]]:
    """Return for each function what its counts grew by in each second; of entries, how many."""
    seconds = now.at - before.at
    gained: dict[str, Mapping[str, float]] = {}
    for name, counts in now.counts.items():
        former = before.counts.get(name, {})
        each = {kind: (counts[kind] - former.get(kind, 0)) / seconds for kind in counts}
        gained[name] = {**each, "entries": counts.get("entries", 0)}
    return gained


def _rates(name: str, several: Sequence[Mapping[str, float]]) -> FunctionRates:
    total: Counter[str] = Counter()
    for each in several:
        total.update(each)
    return FunctionRates(
        function=name,
        processes=len(several),
        calls=_served(total) + total["computations"],
        computations=total["computations"],
        hit_ratio=_ratio(total),
        entries=int(total["entries"]),
    )
