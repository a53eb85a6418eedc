"""The tiers of a cache, and what its functions need of it: codec, dispatchers, guarantee."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any, Protocol
from weakref import WeakSet

from tiercel.clock import SYSTEM_CLOCK, Clock
from tiercel.codec import BUILTIN_CODECS, build_codec
from tiercel.contracts.backend import Backend, BackendLocation, Capability, Scope
from tiercel.contracts.codec import Codec
from tiercel.contracts.dispatcher import Dispatcher
from tiercel.dispatch import (
    configured_dispatcher,
    configured_options,
    crosses_processes,
    make_dispatcher,
    out_of_reach,
)
from tiercel.engine.builds import Ledger
from tiercel.engine.channel import ChannelThread
from tiercel.engine.ending import settle_at_end
from tiercel.engine.keeper import Keeper
from tiercel.engine.keyvalue import adapt
from tiercel.engine.reversal import watch_reversals
from tiercel.engine.state import Engine
from tiercel.engine.sync import run
from tiercel.errors import ConfigurationError
from tiercel.events import EventKind
from tiercel.keys.constructor import KeyOptions
from tiercel.keys.encoding import Encoders
from tiercel.keys.layout import call_to_all, make_layout
from tiercel.living import living
from tiercel.location import Location, parse_location
from tiercel.memory import MemoryTier
from tiercel.plugins import Observers, default_registry

GUARANTEES = ("G0", "G1", "G2", "G3")
"""Best effort; stamps; fenced fills; fenced and push-coherent. Each includes those before it."""


class Companion(Protocol):
    """What runs beside a cache."""

    def close(self) -> None:
        """End the thread."""
        ...

    def forget(self) -> None:
        """Forget the thread, which belongs to the parent process."""
        ...


class CacheTiers:
    """One cache, as its functions see it.

    Attributes:
        name: What `cache=` and traces call it.
        prefix: First part of every key in the shared tier.
        shared: The shared tier, or None.
        guarantee: The level that the shared tier can carry: one of `GUARANTEES`.
        stands_in: Whether it takes the place of another cache while a test runs. Work that would
            cross processes is then done inline.
    """

    stands_in = False

    def __init__(
        self,
        url: str | None = None,
        *,
        name: str = "default",
        backend: object | None = None,
        clock: Clock = SYSTEM_CLOCK,
        **options: Any,
    ) -> None:
        location = parse_location(name, url, options)
        registry = default_registry()
        self.name = name
        self.prefix = location.prefix
        self._clearing = Scope(call_to_all(location.prefix, "memory"))
        self.clock = clock
        self._location = location
        self.shared = _shared_tier(location, backend, clock)
        self.guarantee = _guarantee(self.shared)
        self._check_guarantee(location.guarantee)
        self.engine = self._build_engine(registry.observers)
        self.encoders = Encoders(
            {
                kind: add
                for spec in registry.key_fields.values()
                for kind, add in spec.encoders.items()
            }
        )
        self._dispatchers: dict[tuple[str, str], Dispatcher] = {}
        self._companions: list[Companion] = []
        self._check_choices()
        _living.add(self)

    def _check_choices(self) -> None:
        """Refuse now what the first call of a function would stumble over."""
        location = self._location
        make_layout(location.prefix, self.name, None, KeyOptions(), ())
        if location.codec != "safe" or location.compress is not None or location.encryption_keys:
            self.codec(None, None)
        if location.dispatcher is not None:
            default_registry().dispatcher(location.dispatcher)
            self.check_dispatcher(f"cache {self.name!r}", location.dispatcher)

    def _check_guarantee(self, wanted: str | None) -> None:
        if wanted is None:
            return
        if wanted not in GUARANTEES:
            raise ConfigurationError(
                f"cache {self.name!r}: guarantee={wanted!r} must be one of {', '.join(GUARANTEES)}"
            )
        if GUARANTEES.index(wanted) > GUARANTEES.index(self.guarantee):
            raise ConfigurationError(
                f"cache {self.name!r} asks for guarantee {wanted}, but {self._location.scheme!r} "
                f"carries {self.guarantee} only: choose another backend or a weaker guarantee"
            )

    def _build_engine(self, observers: Observers) -> Engine:
        location, shared = self._location, self.shared
        memory = None
        if location.memory:
            by_text = shared is not None
            memory = MemoryTier(location.memory, location.memory_bytes, self.clock, by_text=by_text)
        pushes = shared is not None and Capability.PUSH in shared.capabilities
        engine = Engine(
            self.name,
            memory=memory,
            backend=shared,
            clock=self.clock,
            observers=observers,
            max_lag=location.max_lag,
            pushes=pushes,
        )
        if shared is not None:
            engine.keeper = Keeper(self.clock, lambda steps: run(engine, steps), engine.pending)
            watch_reversals(engine, location.replay_window)
            settle_at_end(engine)
        if engine.channel is not None:
            engine.channel.listeners = (self._hear,)
            engine.follower = ChannelThread(
                engine.channel, lambda steps: run(engine, steps), engine.event
            )
        if memory is not None and observers.exist:
            memory.on_evict = lambda count: engine.event(EventKind.EVICTION, count=count)
        return engine

    def codec(self, name: str | Codec | None, compress: Any) -> Codec:
        """Return the codec of a function: its own choice or the cache's.

        Raises:
            ConfigurationError: The name is unknown, or a signing key is missing.
        """
        location = self._location
        chosen = name if name is not None else location.codec
        if isinstance(chosen, str) and chosen not in {spec.name for spec in BUILTIN_CODECS}:
            chosen = default_registry().codec(chosen).factory({})
        return build_codec(
            chosen,
            signing_keys=location.signing_keys or _plugin_signing_keys(),
            compress=compress if compress is not None else location.compress,
            encryption_keys=location.encryption_keys,
        )

    def dispatcher(
        self, name: str | None, config: Mapping[str, Any] | None, otherwise: str
    ) -> Dispatcher:
        """Return the dispatcher for background work, made at its first use.

        Args:
            name: Who wants it has chosen this one; None: the cache's, or the framework's, which
                must not cross processes where this cache has no shared tier.
            config: Its options, over those that the framework is configured with.
            otherwise: The one to take where nobody has chosen one.

        Raises:
            PluginError: Nobody provides the name.
            ConfigurationError: An option is unknown or wrong, or its tasks could not reach the
                entries of this cache.
        """
        chosen = name or self._location.dispatcher or self._configured_dispatcher() or otherwise
        if self.stands_in and crosses_processes(chosen):
            chosen, config = "inline", None
        options = {**configured_options(chosen), **(config or {})}
        identity = (chosen, repr(sorted(options.items())) if options else "")
        dispatcher = self._dispatchers.get(identity)
        if dispatcher is None:
            made = make_dispatcher(chosen, options)
            if made.crosses_processes and self.shared is None:
                raise out_of_reach(f"cache {self.name!r}", chosen, self.name)
            dispatcher = self._dispatchers.setdefault(identity, made)
        return dispatcher

    def _hear(self, announced: str) -> None:
        """Empty memory if somebody, in whichever process, has asked all processes to."""
        if announced == self._clearing.name and self.engine.memory is not None:
            self.engine.memory.clear()

    def in_use(self) -> None:
        """Take note that a function has begun to use this cache."""

    def ledger(self) -> Ledger | None:
        """Return where processes tell each other what they build; None if nothing is shared."""
        return None

    def check_dispatcher(self, owner: str, name: str | None) -> None:
        """Refuse a dispatcher whose tasks could not reach the entries of this cache.

        Args:
            owner: Who has chosen it, for the error.
            name: The dispatcher; None: nobody has chosen one.

        Raises:
            ConfigurationError: It performs tasks elsewhere, and nothing is shared with there.
        """
        if name and self.shared is None and not self.stands_in and crosses_processes(name):
            raise out_of_reach(owner, name, self.name)

    def _configured_dispatcher(self) -> str | None:
        name = configured_dispatcher()
        reaches = name is None or self.shared is not None or not crosses_processes(name)
        return name if reaches else None

    def close(self) -> None:
        """End background threads and close connections; a later use opens them again."""
        for companion in self._companions:
            companion.close()
        if self.engine.follower is not None:
            self.engine.follower.close()
        if self.engine.keeper is not None:
            self.engine.keeper.close()
        if self.engine.wakes is not None:
            self.engine.wakes.close()
        if self.shared is not None:
            self.shared.close()

    async def aclose(self, timeout: float = 5.0) -> None:
        """Finish background work, then do what `close` does, without blocking the event loop.

        Args:
            timeout: Seconds that the work of each dispatcher may take.
        """
        dispatchers, self._dispatchers = self._dispatchers, {}
        for dispatcher in dispatchers.values():
            await dispatcher.aclose(timeout)
        if self.shared is not None:
            await self.shared.aclose()
        await asyncio.to_thread(self.close)

    def renew_after_fork(self) -> None:
        """Forget what belongs to the parent process: threads, leases, and trust in memory."""
        self.engine.renew_after_fork()
        for companion in self._companions:
            companion.forget()

    def __repr__(self) -> str:
        tiers = [f"memory={self._location.memory}"] if self.engine.memory is not None else []
        if self.shared is not None:
            given = self._location.scheme == "memory"
            tiers.append(type(self.shared).__name__ if given else self._location.scheme)
        return f"<{type(self).__name__} {self.name!r}: {', '.join(tiers)}>"


_living: WeakSet[CacheTiers] = WeakSet()


def living_caches() -> list[CacheTiers]:
    """Return the caches of this process."""
    return living(_living)


def _renew_after_fork() -> None:
    for cache in living_caches():
        cache.renew_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)


def _shared_tier(location: Location, backend: object | None, clock: Clock) -> Backend | None:
    if backend is not None:
        if location.scheme != "memory":
            raise ConfigurationError("give a url or a backend, not both")
        return adapt(backend, clock)
    if location.scheme == "memory":
        return None
    spec = default_registry().backend(location.scheme)
    unknown = sorted(location.options.keys() - spec.options)
    if unknown:
        raise ConfigurationError(
            f"backend {location.scheme!r} has no option {unknown[0]!r}; it has: "
            f"{', '.join(sorted(spec.options)) or 'none'}, and all have: memory, memory_bytes, "
            "max_lag, timeout, replay_window, prefix, codec, guarantee"
        )
    made = spec.factory(
        BackendLocation(location.url, location.prefix, location.timeout, location.options)
    )
    return adapt(made, clock)


def _guarantee(shared: Backend | None) -> str:
    if shared is None or shared.capabilities >= {Capability.ATOMIC, Capability.PUSH}:
        return "G3"
    return "G2" if Capability.ATOMIC in shared.capabilities else "G1"


def _plugin_signing_keys() -> tuple[bytes, ...]:
    given = os.environ.get("TIERCEL_SIGNING_KEY")
    if given:
        return (given.encode(),)
    for integration in default_registry().integrations.values():
        keys = integration.signing_keys()
        if keys:
            return keys
    return ()
