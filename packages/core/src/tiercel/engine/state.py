"""What one cache and one cached function keep in a process, and what one call is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from msgspec import Struct

from tiercel.clock import Clock
from tiercel.contracts.backend import Backend, Capability, Key, Scope
from tiercel.contracts.codec import Codec
from tiercel.contracts.dispatcher import Dispatcher, Task
from tiercel.engine.channel import Channel, ChannelThread
from tiercel.engine.flights import Flights
from tiercel.engine.keeper import Keeper
from tiercel.engine.outage import Breaker, BreakerOpen, PendingDrops
from tiercel.engine.reports import Reports
from tiercel.engine.wakes import Wakes
from tiercel.entry import FOREVER
from tiercel.events import Cause, Event, EventKind, Operation, OperationKind, Status, Tier
from tiercel.memory import FunctionTable, MemoryTier
from tiercel.plugins.observing import Observers
from tiercel.policy import Policy

if TYPE_CHECKING:
    from tiercel.engine.places import Place

log = logging.getLogger("tiercel")

RECHECK = 60.0
"""Seconds after which an entry in memory is validated again although its channel is healthy."""


class Engine:
    """One cache in this process: its tiers and what keeps them together.

    Attributes:
        channel: How memory follows the shared tier; None where the backend has no push.
        follower: The thread that does so; None where tests step the channel themselves.
        keeper: What renews leases during long computations; None likewise.
        named: The living functions of this cache by name.
        max_lag: Seconds that memory may serve an entry after it was dropped elsewhere.
    """

    def __init__(
        self,
        name: str,
        *,
        memory: MemoryTier | None,
        backend: Backend | None,
        clock: Clock,
        observers: Observers,
        max_lag: float,
        pushes: bool = False,
    ) -> None:
        self.name = name
        self.memory = memory
        self.backend = backend
        self.clock = clock
        self.observers = observers
        self.max_lag = max_lag
        self.breaker = Breaker(clock)
        self.reports = Reports(clock)
        self.pending = PendingDrops()
        self.wakes = Wakes(backend) if backend is not None else None
        self.channel = Channel(memory, clock, max_lag) if pushes and memory is not None else None
        self.named: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self.follower: ChannelThread | None = None
        self.keeper: Keeper | None = None

    def renew_after_fork(self) -> None:
        """Forget what belongs to the parent process: threads, leases, and trust in memory."""
        self.breaker.renew_after_fork()
        self.pending.renew_after_fork()
        if self.follower is not None:
            self.follower.forget()
        if self.wakes is not None:
            self.wakes.forget_thread()
        if self.keeper is not None:
            self.keeper.forget()

    def trusts_memory(self) -> bool:
        """Tell whether what is in memory needs no validation now."""
        if self.backend is None:
            return True
        return self.channel is not None and self.channel.trusted()

    def lost(self, error: BaseException) -> None:
        """Take note that the shared tier did not answer; say so once until it does again."""
        if self.breaker.failed():
            what = "the shared tier is unavailable; its functions are computed without it"
            log.warning("cache %r: %s: %s", self.name, what, error)
            self.event(EventKind.BREAKER_OPENED, error)
            if self.wakes is not None:
                self.wakes.wake_all()

    def found(self) -> None:
        """Take note that the shared tier answered after it had failed."""
        if self.breaker.succeeded():
            log.warning("cache %r: the shared tier is available again", self.name)
            self.event(EventKind.BREAKER_CLOSED)

    def event(self, kind: EventKind, error: BaseException | None = None, **about: Any) -> None:
        """Tell the observers that something has happened."""
        if self.observers:
            self.observers.event(Event(kind, self.name, error=error, **about))


class Subject:
    """One cached function on one cache: everything a call needs besides its arguments.

    Attributes:
        name: Its name across processes, `module:qualname` unless told otherwise.
        target: The user's function.
        asynchronous: Whether it is a coroutine function.
        table: Its part of the memory tier; None with `tiers="shared"`.
        backend: The shared tier; None with `tiers="memory"` or where there is none.
        keep: Whether a result may be stored, called with it and the call; None: always.
        ttl: Life of a result, called likewise; None: `policy.ttl` is a plain value.
        refreshing: The rights under which entries are being refreshed; one is gone as soon as its
            task is, performed or not.
        refresh_task: Makes the task that refreshes a stale entry under a right already taken.
        missing: Share of the reads of the shared tier that missed, lately.
        watched: Whether anybody listens.
        ages: Whether it depends on its age what becomes of an entry.
        stamp_life: Seconds that a stamp lives at least: longer than any entry under it.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        target: Callable[..., Any],
        *,
        asynchronous: bool,
        policy: Policy,
        codec: Codec,
        function_scope: Scope,
        partitions: int,
        keep: Callable[..., Any] | None,
        ttl: Callable[..., Any] | None,
        dispatcher: Callable[[], Dispatcher],
        refresh_task: Callable[[Call, Right], Task],
    ) -> None:
        self.engine = engine
        self.name = name
        self.target = target
        self.asynchronous = asynchronous
        self.policy = policy
        self.codec = codec
        self.function_scope = function_scope
        self.keep = keep
        self.ttl = ttl
        self.dispatcher = dispatcher
        self.refresh_task = refresh_task
        self.backend = engine.backend if policy.tiers != "memory" else None
        memory = engine.memory if policy.tiers != "shared" else None
        self.table: FunctionTable | None = (
            memory.table(function_scope.name, partitions) if memory is not None else None
        )
        self.flights = Flights()
        self.refreshing: WeakValueDictionary[Hashable, Right] = WeakValueDictionary()
        self.stats = Counts()
        self.missing = 0.0
        self.watched = bool(engine.observers)
        self.ages = bool(policy.grace or policy.refresh_ahead)
        self.stamp_life = _stamp_life(policy)
        self.plain = self.backend is None and policy.is_plain
        capabilities = self.backend.capabilities if self.backend is not None else frozenset()
        self.fenced = Capability.ATOMIC in capabilities

    def start(self, kind: OperationKind, call: Call) -> Watched | None:
        """Tell the observers that an operation begins; None where nobody listens."""
        if not self.watched:
            return None
        return self._watch(Operation(kind, self.engine.name, self.name, call.key.text))

    def start_drop(self, scopes: Sequence[Scope]) -> Watched | None:
        """Tell the observers that scopes are being dropped; None where nobody listens."""
        if not self.watched:
            return None
        names = {"scopes": tuple(scope.name for scope in scopes)}
        drop = Operation(OperationKind.DROP, self.engine.name, self.name, attributes=names)
        return self._watch(drop)

    def _watch(self, operation: Operation) -> Watched:
        return Watched(operation, self.engine.observers.start(operation))

    def end(self, watched: Watched | None, error: BaseException | None = None) -> None:
        """Tell the observers that the operation has ended."""
        if watched is not None:
            watched.operation.error = error
            self.engine.observers.end(watched.operation, watched.started)

    def report(self, what: str, error: BaseException) -> None:
        """Count trouble that no caller sees, and log it, once in a while for each kind.

        That a tier is not asked any more was said when the breaker opened.
        """
        self.engine.event(EventKind.SWALLOWED_ERROR, error, function=self.name)
        if isinstance(error, BreakerOpen):
            return
        held_back = self.engine.reports.due((self.name, what, type(error)))
        if held_back is not None:
            more = f" (and {held_back} more times before)" if held_back else ""
            log.warning("%s on cache %r: %s: %s%s", self.name, self.engine.name, what, error, more)


def _stamp_life(policy: Policy) -> float:
    ttl = policy.ttl
    longest = FOREVER if ttl is None or callable(ttl) else ttl + policy.grace
    return min(FOREVER, max(2 * longest, 86_400.0))


class Watched(Struct, gc=False):
    """An operation that observers were told of, with what they want back at its end."""

    operation: Operation
    started: tuple[Any, ...]


class Counts:
    """How the calls of one function were served, as plain integers."""

    __slots__ = (
        "coalesced",
        "computations",
        "errors",
        "memory_hits",
        "refused",
        "shared_hits",
        "stale",
    )

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)

    memory_hits: int
    shared_hits: int
    stale: int
    computations: int
    coalesced: int
    refused: int
    errors: int


class Call(Struct, gc=False):
    """One call of a cached function.

    Attributes:
        args: As given.
        kwargs: As given.
        key: Its identity in the shared tier.
        memory_key: Its identity in the memory tier: typed arguments, or the key's text.
        tags: Names of the scopes of its tags; they stand last among the scopes of the key.
    """

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    key: Key
    memory_key: Hashable
    tags: tuple[str, ...] = ()


class Right(Struct, weakref=True, eq=False):
    """The right to fill one key, taken before anything was computed.

    Attributes:
        place: Where the value goes in memory.
        token: The lease in the shared tier; None without one.
        stamps: The stamps in force when it was taken, joined.
        written: What the entry will say of how it was written.
        announce: Whether other processes must forget what they have in memory.
        refused: Whether the fill was refused, because something was dropped meanwhile.
    """

    place: Place
    token: bytes | None = None
    stamps: bytes = b""
    written: Status = Status.MISS
    announce: bool = False
    refused: bool = False


class Origin(Struct, gc=False):
    """Where a value in memory came from.

    Attributes:
        born: Monotonic time at which it was filled.
        soft_end: Monotonic time at which it becomes stale.
        recheck_at: Monotonic time from which it must be read from the shared tier again.
        ahead_at: Monotonic time from which it should be refreshed ahead of its end.
        followed: Whether it may be served only while the push channel is trusted.
        written: MISS or REFRESH.
        error: Whether the value is an exception to raise.
    """

    born: float
    soft_end: float
    recheck_at: float
    ahead_at: float
    followed: bool = False
    written: Status = Status.MISS
    error: bool = False


class Outcome(Struct, gc=False):
    """How a call ended.

    Attributes:
        value: What the function returned, now or earlier.
        status: How this call was served.
        tier: Where the value came from.
        cause: Why it had to be computed; None for hits.
        age: Seconds since the entry was filled; 0 if just computed.
        left: Seconds until the entry ends; infinite without expiry; 0 if it was not stored.
        written: How the entry was written.
        error: Whether `value` is a cached exception to raise.
    """

    value: Any
    status: Status
    tier: Tier
    cause: Cause | None = None
    age: float = 0.0
    left: float = 0.0
    written: Status = Status.MISS
    error: bool = False
