"""A cached function: what a door makes of a function, and how a call of it is carried out."""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, get_type_hints
from weakref import WeakSet

from tiercel import switch
from tiercel.contracts.backend import Key
from tiercel.contracts.codec import Codec
from tiercel.contracts.dispatcher import Dispatcher, TaskKind
from tiercel.dispatch.task import FunctionTask
from tiercel.engine import aio, sync
from tiercel.engine.effects import Run, Steps
from tiercel.engine.read import fetch
from tiercel.engine.refresh import carry_out
from tiercel.engine.state import Call, Engine, Outcome, Right, Subject
from tiercel.errors import ConfigurationError
from tiercel.events import Status, Tier
from tiercel.hitpath import HitPath, compile_hit_path
from tiercel.keys.constructor import as_constructor
from tiercel.keys.encoding import Encoders
from tiercel.keys.plan import KeyPlan, compile_plan, function_name
from tiercel.memory.late import LateTable
from tiercel.methods import BoundCachedMethod, is_method
from tiercel.outcomes import value_of
from tiercel.policy import Policy, accepting
from tiercel.tags import tag_scope, tags_of_calls

log = logging.getLogger("tiercel")

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
V = TypeVar("V")


class Home(Protocol):
    """A cache, as far as its functions need one."""

    name: str
    prefix: str
    engine: Engine
    encoders: Encoders

    def codec(self, name: str | Codec | None, compress: Any) -> Codec: ...

    def dispatcher(
        self, name: str | None, config: Mapping[str, Any] | None, asynchronous: bool
    ) -> Dispatcher: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How a function is cached: what a door makes of its arguments.

    Attributes:
        key: Anything that `as_constructor` accepts.
        policy: What may be stored and served.
        name: The function's name across processes; None: `module:qualname`.
        version: Instead of the key constructor's version; None: that one.
        codec: Instead of the cache's codec.
        compress: Instead of the cache's compression.
        dispatcher: Name of the dispatcher for refreshes; None: the cache's.
        dispatcher_config: Its options.
        tags: Names by which entries are dropped together with those of other functions.
    """

    key: Any = None
    policy: Policy = field(default_factory=Policy)
    name: str | None = None
    version: int | str | None = None
    codec: str | Codec | None = None
    compress: Any = None
    dispatcher: str | None = None
    dispatcher_config: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] | Callable[..., Sequence[str]] | None = None


class Calls(Generic[P, R, T]):
    """The part of a cached function that serves calls.

    Attributes:
        func: The user's function.
        name: Its name across processes.
        asynchronous: Whether it is a coroutine function.
        settings: How it is cached.
        hit_path: The generated function that serves hits in memory.
    """

    def __init__(
        self,
        func: Callable[P, R],
        settings: Settings,
        home: Callable[[], Home],
        *,
        shared: bool = False,
        follows: bool = False,
    ) -> None:
        """Check everything that can be checked before the first call.

        Args:
            func: The function to cache.
            settings: How to cache it.
            home: Returns the cache; called at the first call, and again after `unbind`.
            shared: Whether the cache is known to have a shared tier.
            follows: Whether another configuration may change the answer of `home`.

        Raises:
            ConfigurationError: Something in `settings` does not fit the function.
        """
        self.func = func
        self.settings = settings
        self.name = settings.name or function_name(func)
        self.asynchronous = inspect.iscoroutinefunction(func)
        self.key_constructor = as_constructor(settings.key)
        self._home = home
        self.follows_configuration = follows
        self._lock = threading.Lock()
        self._subject: Subject | None = None
        self.plan = self._compile_plan("tiercel", None)
        self._keep = self._predicate()
        self._ttl = self._callable_ttl()
        self._unless = self._bypass_predicate()
        self._prefix = "tiercel"
        self._tags_of = tags_of_calls(self.name, settings.tags, self.plan.signature)
        if shared:
            self._claim_name(home().engine)
        self._table = LateTable(len(self.plan.partition))
        self.hit_path: HitPath = self._compile_hit_path()
        self.key_constructor.register_wrapper(self)
        _functions.add(self)

    # What is decided at decoration

    def _compile_plan(self, prefix: str, encoders: Encoders | None) -> KeyPlan:
        extra = {} if encoders is None else {"encoders": encoders}
        return compile_plan(
            self.key_constructor,
            self.func,
            function=self.name,
            prefix=prefix,
            version=self.settings.version,
            **extra,
        )

    def _compile_hit_path(self) -> HitPath:
        policy = self.settings.policy
        fast = self.plan.fast_arguments
        if policy.copy or policy.unless is not None or policy.tiers == "shared":
            fast = None  # no hit can be served without a second look
        receiver = next(iter(self.plan.signature.parameters), "")
        keyed = fast is not None and receiver in fast
        if keyed and receiver == "cls":
            fast = None  # a class stands in the key by its name, which only the plan knows
        return compile_hit_path(
            self.func,
            arguments=fast,
            table=self._table,
            slow=self._aserve if self.asynchronous else self._serve,
            asynchronous=self.asynchronous,
            method=("keyed" if keyed else "shared") if is_method(self.func) else None,
            bound_type=BoundCachedMethod,
        )

    def _predicate(self) -> Callable[..., Any] | None:
        policy = self.settings.policy
        chosen = policy.cache_if or policy.cache_unless
        if chosen is None:
            return None
        self._check_synchronous("cache_if" if policy.cache_if else "cache_unless", chosen)
        asked = accepting(self.name, chosen, self.plan.signature)
        return asked if policy.cache_if else _negated(asked, inspect.iscoroutinefunction(chosen))

    def _callable_ttl(self) -> Callable[..., Any] | None:
        ttl = self.settings.policy.ttl
        if not callable(ttl):
            return None
        self._check_synchronous("ttl", ttl)
        return accepting(self.name, ttl, self.plan.signature)

    def _bypass_predicate(self) -> Callable[..., Any] | None:
        unless = self.settings.policy.unless
        if unless is None:
            return None
        if inspect.iscoroutinefunction(unless):
            raise TypeError(
                f"{self.name}: unless is a coroutine function, but it is not awaited: "
                "make unless a plain function"
            )
        return accepting(self.name, unless, self.plan.signature)

    def _check_synchronous(self, option: str, given: Callable[..., Any]) -> None:
        if inspect.iscoroutinefunction(given) and not self.asynchronous:
            raise TypeError(
                f"{self.name}: {option} is a coroutine function, but the function is not: "
                f"make {option} a plain function"
            )

    def _claim_name(self, engine: Engine) -> None:
        """Make the name this function's own on its cache.

        In memory two functions of one name are told apart by a number. A shared tier is another
        matter: there the name must mean the same in every process.

        Raises:
            ConfigurationError: Two living lambdas or closures would share entries.
        """
        if engine.named.get(self.name, self) is not self:
            gc.collect()  # a closure that nobody can call any more may live in a cycle
        if engine.named.setdefault(self.name, self) is self:
            return
        if engine.backend is None or self.settings.policy.tiers == "memory":
            self.name = f"{self.name}~{next(_serial)}"
        elif "<locals>" in self.name or "<lambda>" in self.name:
            raise ConfigurationError(
                f"another living function is called {self.name} too, so they would share entries: "
                "give each a name= of its own"
            )
        engine.named[self.name] = self

    # How a call is carried out

    @property
    def subject(self) -> Subject:
        """The function on its cache; bound at the first call."""
        return self._subject or self._bind()

    def subject_on(self, engine: Engine) -> Subject | None:
        """Return the function on its cache if it is bound to this one."""
        subject = self._subject
        return subject if subject is not None and subject.engine is engine else None

    def _bind(self) -> Subject:
        home = self._home()
        with self._lock:
            if self._subject is None:
                self._claim_name(home.engine)
                self._prefix = home.prefix
                self.plan = self._compile_plan(home.prefix, home.encoders)
                self._subject = self._make_subject(home)
                self.hit_path.set_clock(home.engine.clock.monotonic)
                self._table.attach(None if switch.is_off() else self._subject.table)
            return self._subject

    def _make_subject(self, home: Home) -> Subject:
        settings = self.settings
        codec = home.codec(settings.codec, settings.compress)
        annotation = _return_annotation(self.func)
        return Subject(
            home.engine,
            self.name,
            self.func,
            asynchronous=self.asynchronous,
            policy=settings.policy,
            codec=codec if annotation is None else codec.for_type(annotation),
            function_scope=self.plan.scope(),
            partitions=len(self.plan.partition),
            keep=self._keep,
            ttl=self._ttl,
            dispatcher=lambda: home.dispatcher(
                settings.dispatcher, settings.dispatcher_config, self.asynchronous
            ),
            refresh_task=self._refresh_task,
        )

    def unbind(self) -> None:
        """Forget the cache, as after a new configuration; the next call binds again."""
        with self._lock:
            self._subject = None
            self._table.attach(None)

    def suspend(self, off: bool) -> None:
        """Serve no hits while caching is switched off."""
        table = self._subject.table if self._subject is not None and not off else None
        self._table.attach(table)

    def renew_after_fork(self) -> None:
        """Forget the computations that other threads of the parent were at."""
        self._lock = threading.Lock()
        if self._subject is not None:
            self._subject.flights.clear()
            self._subject.refreshing.clear()

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        """Return a call with its keys."""
        key = self.plan.key(*args, **kwargs)
        memory_key = self.hit_path.key(*args, **kwargs)
        tags: tuple[str, ...] = ()
        if self._tags_of is not None:
            named = self._tags_of(*args, **kwargs)
            tags = tuple([tag_scope(self._prefix, tag).name for tag in named])
            key = Key(key.text, key.scopes + tags, key.spread)
        return Call(args, kwargs, key, key.text if memory_key is None else memory_key, tags)

    def _serve(self, *args: Any, **kwargs: Any) -> Any:
        engine = (self._subject or self._bind()).engine
        outcome = sync.run(engine, self._served(args, kwargs, described=False))
        if log.isEnabledFor(logging.DEBUG):
            self._log(outcome)
        return value_of(outcome) if outcome.error else outcome.value

    async def _aserve(self, *args: Any, **kwargs: Any) -> Any:
        steps = self._served(args, kwargs, described=False)
        outcome = await aio.run(self.subject.engine, steps)
        if log.isEnabledFor(logging.DEBUG):
            self._log(outcome)
        return value_of(outcome) if outcome.error else outcome.value

    def _served(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, described: bool = True
    ) -> Steps[Outcome]:
        if switch.is_off() or (self._unless and self._unless(self.func, *args, **kwargs)):
            return self._bypassed(args, kwargs)
        return fetch(self.subject, self.call(args, kwargs), described=described)

    def _log(self, outcome: Outcome) -> None:
        """Say how a call was served that memory did not serve by itself."""
        cache = self.subject.engine.name
        why = f", {outcome.cause}" if outcome.cause is not None else ""
        log.debug("%s on %r: %s from %s%s", self.name, cache, outcome.status, outcome.tier, why)

    def _bypassed(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Steps[Outcome]:
        value = yield Run(self.func, args, kwargs, self.asynchronous)
        return Outcome(value, Status.BYPASS, Tier.FUNCTION)

    def _run(self, steps: Steps[V]) -> V:
        """Carry out in this thread, on the cache of this function."""
        return sync.run(self.subject.engine, steps)

    async def _arun(self, steps: Steps[V]) -> V:
        """Carry out on the event loop; a plain function in a thread, so as not to block it."""
        engine = self.subject.engine
        if self.asynchronous:
            return await aio.run(engine, steps)
        return await asyncio.to_thread(sync.run, engine, steps)

    def _refresh_task(self, call: Call, right: Right) -> FunctionTask:
        subject = self.subject
        return FunctionTask(
            kind=TaskKind.REFRESH,
            function=self.name,
            run=lambda: sync.run(subject.engine, carry_out(subject, call, right)),
            arun=lambda: aio.run(subject.engine, carry_out(subject, call, right)),
            asynchronous=self.asynchronous,
        )


def _return_annotation(function: Callable[..., Any]) -> Any:
    """Return what a function is annotated to return; None without, or if a name is unknown."""
    try:
        return get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):
        return None


_functions: WeakSet[Calls[Any, Any, Any]] = WeakSet()
_serial = itertools.count(2)


def living_functions() -> list[Calls[Any, Any, Any]]:
    """Return the cached functions of this process."""
    return list(_functions)


def _renew_after_fork() -> None:
    for function in living_functions():
        function.renew_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)


def _suspend_all(off: bool) -> None:
    for function in living_functions():
        function.suspend(off)


switch.on_change(_suspend_all)


def _negated(predicate: Callable[..., Any], asynchronous: bool) -> Callable[..., Any]:
    async def anot(*args: Any, **kwargs: Any) -> bool:
        return not await predicate(*args, **kwargs)

    return anot if asynchronous else lambda *args, **kwargs: not predicate(*args, **kwargs)
