"""What one cache and one cached function keep in a process, and what one call is."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from msgspec import Struct

from tiercel.clock import Clock
from tiercel.contracts.backend import Backend, Begin, Capability, Key, Scope
from tiercel.contracts.codec import Codec
from tiercel.contracts.dispatcher import Dispatcher, Task
from tiercel.contracts.index import Index
from tiercel.engine.channel import Channel, ChannelThread
from tiercel.engine.flights import Flight, Flights
from tiercel.engine.keeper import Keeper
from tiercel.engine.lives import claim_life, longest_life, stamp_life
from tiercel.engine.outage import Breaker, BreakerOpen, PendingDrops
from tiercel.engine.reports import Reports
from tiercel.engine.stopped import original
from tiercel.engine.telling import LastDrops, Telling
from tiercel.engine.wakes import Wakes
from tiercel.errors import BackendRefused
from tiercel.events import Cause, Event, EventKind, Provenance, Status, Tier
from tiercel.keys.layout import FENCE
from tiercel.memory import FunctionTable, MemoryTier
from tiercel.plugins.observing import Observers
from tiercel.policy import Policy

if TYPE_CHECKING:
    from tiercel.engine.builds import Builds
    from tiercel.engine.effects import Steps
    from tiercel.engine.index import Notes
    from tiercel.engine.places import Place
    from tiercel.engine.turns import Turns

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
        dropped: Who dropped what; kept where there is no shared tier that knows it.
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
        self.dropped = LastDrops()
        self.wakes = Wakes(backend) if backend is not None else None
        self.channel = Channel(memory, clock, max_lag) if pushes and memory is not None else None
        self.named: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self.follower: ChannelThread | None = None
        self.keeper: Keeper | None = None

    def renew_after_fork(self) -> None:
        """Forget what belongs to the parent process: threads, leases, and trust in memory."""
        self.breaker.renew_after_fork()
        self.pending.renew_after_fork()
        self.dropped.renew_after_fork()
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

    def disown(self, asked: Begin, error: BaseException) -> None:
        """See to it that a lease is given back which may have been granted without an answer."""
        refused = isinstance(error, (BreakerOpen, BackendRefused))
        if not refused and self.keeper is not None and asked.token is not None:
            self.keeper.give_back(asked.token, asked.key, asked.lease, asked.claim)

    def found(self) -> None:
        """Take note that the shared tier answered after it had failed."""
        if self.breaker.succeeded():
            log.warning("cache %r: the shared tier is available again", self.name)
            self.event(EventKind.BREAKER_CLOSED)

    def event(self, kind: EventKind, error: BaseException | None = None, **about: Any) -> None:
        """Tell the observers that something has happened."""
        if self.observers:
            self.observers.event(Event(kind, self.name, error=error, **about))


class Subject(Telling):
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
        overtaken: The computations that somebody did not wait for, and got an old entry instead.
        refresh_task: Makes the task that refreshes a stale entry under a right already taken.
        missing: Share of the reads of the shared tier that missed, lately.
        limited: Whether callers wait for a limited time.
        ages: Whether it depends on its age what becomes of an entry.
        stamp_life: Seconds that a stamp lives at least: longer than any entry under it.
        notes: What its calls become in an index; None without one.
        index: Its index in the shared tier; None without one, or where the tier keeps none.
        recounts: Whether memory keeps the arguments of calls, as there is no such index.
        generation: The stamps under which a value was set last, joined, and the names of them.
        builds: What is built in the background; None where callers compute.
        claim: Seconds that a claim to the only allowed computation lives; 0: others may follow.
        usual: Whether nothing is left to decide after a computation in its shared tier: no
            predicate, no callable and no claim takes part, and its leases are exact.
        overwrites: Whether entries can be overwritten without a lease.
        turns: Whose turn it is to have entries refreshed, where that is not left to their leases.
    """

    turns: Turns
    notes: Notes | None = None
    index: Index | None = None
    recounts = False
    generation: tuple[tuple[str, ...], bytes] = ((), b"")
    builds: Builds | None = None

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
        refresh_task: Callable[[Subject, Call, Right], Task],
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
        self.overtaken: dict[Hashable, Flight] = {}
        self.stats = Counts()
        self.missing = 0.0
        self.refusals = set()
        self.observe()
        self.limited = policy.is_limited
        self.ages = bool(policy.grace or policy.refresh_ahead)
        self.stamp_life = stamp_life(policy)
        if engine.pending.journal is not None:
            engine.pending.journal.cover(function_scope, self.stamp_life)
        self.plain = self.backend is None and policy.is_plain
        capabilities = self.backend.capabilities if self.backend is not None else frozenset()
        self.fenced = Capability.ATOMIC in capabilities
        self.overwrites = Capability.OVERWRITE in capabilities
        self.claim = claim_life(f"{name} on cache {engine.name!r}", policy, capabilities)
        decided = keep is None and not callable(policy.ttl) and not self.claim
        self.usual = decided and self.fenced

    def renew_after_fork(self) -> None:
        """Forget the computations that other threads of the parent were at."""
        self.flights.clear()
        self.refreshing.clear()
        self.overtaken.clear()
        if self.builds is not None:
            self.builds.clear()

    def keep_index(self, notes: Notes, limit: int) -> None:
        """Have the entries listed, in the shared tier if that is possible, else in memory."""
        self.notes = notes
        name, capabilities = self.function_scope.name, frozenset[Capability]()
        if self.backend is not None:
            capabilities = self.backend.capabilities
        if capabilities >= {Capability.INDEX, Capability.ATOMIC}:
            longest = longest_life(self.policy)
            self.index = Index(name, f"{name}{FENCE}", limit, longest, self.stamp_life)
        else:
            self.recounts, self.plain = True, False

    def report(self, what: str, error: BaseException) -> None:
        """Count trouble that no caller sees, and log it, once in a while for each kind.

        That a tier is not asked any more was said when the breaker opened.
        """
        error = original(error)
        self.engine.event(EventKind.SWALLOWED_ERROR, error, function=self.name)
        if isinstance(error, BreakerOpen):
            return
        held_back = self.engine.reports.due((self.name, what, type(error)))
        if held_back is not None:
            more = f" (and {held_back} more times before)" if held_back else ""
            log.warning("%s on cache %r: %s: %s%s", self.name, self.engine.name, what, error, more)


class Counts:
    """How the calls of one function were served, as plain integers."""

    __slots__ = (
        "coalesced",
        "computations",
        "errors",
        "memory_hits",
        "refused",
        "seconds",
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
    seconds: float


class Call(Struct, gc=False):
    """One call of a cached function.

    Attributes:
        args: As given.
        kwargs: As given.
        key: Its identity in the shared tier.
        memory_key: Its identity in the memory tier: typed arguments, or what `canonical` returns.
        tags: Names of the scopes of its tags; they stand last among the scopes of the key.
        dropped_by: Who dropped what was stored for it, once a look at the tiers has shown that.
    """

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    key: Key
    memory_key: Hashable
    tags: tuple[str, ...] = ()
    dropped_by: Provenance | None = None


def canonical(text: str) -> Hashable:
    """Return the identity in memory of a call that has no fast key; equal to no fast key."""
    return (text,)


class Right(Struct, weakref=True, eq=False):
    """The right to fill one key, taken before anything was computed.

    Attributes:
        place: Where the value goes in memory.
        token: The lease in the shared tier; None without one, empty where it is known under which
            stamps to overwrite an entry, which takes none.
        stamps: The stamps in force when it was taken, joined.
        written: What the entry will say of how it was written.
        announce: Whether other processes must forget what they have in memory.
        outdated: Whether what was known of the stamps was wrong, so that nothing was stored.
        refused: Whether the fill was refused, because something was dropped meanwhile.
        lost: Whether the fill failed, so that the shared tier does not have the value.
        floor: Seconds of life from which the stored entry counts as refreshed by another.
        until: Monotonic time from which its lease is not renewed any more.
        given_up: Called with what was raised, or None for a result that may not be stored, before
            the right is given back unused.
    """

    place: Place
    token: bytes | None = None
    stamps: bytes = b""
    written: Status = Status.MISS
    announce: bool = False
    outdated: bool = False
    refused: bool = False
    lost: bool = False
    floor: float = 0.0
    until: float = math.inf
    given_up: Callable[[BaseException | None], Steps[None]] | None = None


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


class NotedOrigin(Origin, gc=True, kw_only=True):
    """The same, with the call that the value is the result of.

    Attributes:
        args: As given.
        kwargs: As given.
        key: The identity of the call.
    """

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    key: Key


class Outcome(Struct, gc=False):
    """How a call ended.

    Attributes:
        value: What the function returned, now or earlier.
        status: How this call was served.
        tier: Where the value came from.
        cause: Why it had to be computed; None for hits.
        age: Seconds since the entry was filled; 0 if just computed.
        left: Seconds until the entry ends; infinite without expiry; 0 if it is not to be stored.
        written: How the entry was written.
        error: Whether `value` is a cached exception to raise.
        stored: Whether any tier has taken it, if it was just computed.
    """

    value: Any
    status: Status
    tier: Tier
    cause: Cause | None = None
    age: float = 0.0
    left: float = 0.0
    written: Status = Status.MISS
    error: bool = False
    stored: bool = False
