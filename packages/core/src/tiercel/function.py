"""A cached function: what a door makes of a function, and how a call of it is carried out."""

from __future__ import annotations

import inspect
import logging
import os
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, ParamSpec, TypeVar
from weakref import WeakSet

from tiercel import switch
from tiercel.apart import Twinned
from tiercel.codec.annotations import return_annotation
from tiercel.contracts.backend import Key
from tiercel.contracts.codec import Codec
from tiercel.contracts.dispatcher import Dispatcher
from tiercel.dispatch import revalidation_task, with_builds
from tiercel.engine import aio, sync
from tiercel.engine.effects import Run, Steps
from tiercel.engine.naming import claim_name
from tiercel.engine.read import fetch
from tiercel.engine.state import Call, Engine, Outcome, Subject, canonical
from tiercel.events import Status, Tier
from tiercel.hitpath import HitPath, compile_hit_path
from tiercel.invalidation import (
    InvalidationRule,
    Target,
    bind_rules,
    check_dispatchers,
    register_rules,
)
from tiercel.keys.constructor import as_constructor
from tiercel.keys.encoding import Encoders
from tiercel.keys.plan import KeyPlan, compile_plan, function_name
from tiercel.listing import keep_index, live_calls
from tiercel.living import living
from tiercel.memory.late import LateTable
from tiercel.methods import BoundCachedMethod, is_method
from tiercel.observed import observe
from tiercel.outcomes import result_of
from tiercel.policy import accepting, negated
from tiercel.settings import Home, Settings
from tiercel.tags import tag_scope, tags_of_calls

log = logging.getLogger("tiercel")

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
V = TypeVar("V")


class Calls(Twinned, Generic[P, R, T]):
    """The part of a cached function that serves calls.

    Attributes:
        func: The user's function.
        name: Its name across processes.
        asynchronous: Whether it is a coroutine function.
        settings: How it is cached.
        hit_path: The generated function that serves hits in memory.
        has_fast_hits: Whether it may do so; else each call goes the long way.
    """

    has_fast_hits = True

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
        self.asynchronous: bool = inspect.iscoroutinefunction(func)
        self.key_constructor = as_constructor(settings.key)
        self._home = home
        self.follows_configuration = follows
        self._lock = threading.Lock()
        self._subject: Subject | None = None
        self.plan = self._compile_plan("tiercel", None)
        self._keep = self._predicate()
        self._ttl = self._callable_ttl()
        unless = settings.policy.unless
        self._unless = unless and self._accepting("unless", unless, awaited=False)
        self._prefix = "tiercel"
        self._tags_of = tags_of_calls(self.name, settings.tags, self.plan.signature)
        self.rules = bind_rules(self, settings.invalidates_on)
        if self.rules:
            self._check_rule_dispatchers(None if shared or follows else home())
        if shared:
            self._claim_name(home().engine)
        self._table = LateTable(len(self.plan.partition))
        self.hit_path: HitPath = self._compile_hit_path()
        self._fast_key = None if settings.policy.tiers == "shared" else self.hit_path.key
        self.key_constructor.register_wrapper(self)
        _functions.add(self)
        register_rules(self.rules)

    # What is decided at decoration

    def _compile_plan(self, prefix: str, encoders: Encoders | None) -> KeyPlan:
        return self._planned(prefix, encoders)

    def _planned(
        self, prefix: str, encoders: Encoders | None, request: Callable[[], Any] | None = None
    ) -> KeyPlan:
        extra = {} if encoders is None else {"encoders": encoders}
        return compile_plan(
            self.key_constructor,
            self.func,
            function=self.name,
            prefix=prefix,
            version=self.settings.version,
            request=request,
            **extra,
        )

    def _target(self) -> Callable[..., Any]:
        """What is called for a value."""
        return self.func

    def _glance(self) -> Callable[..., Any] | None:
        """What serves hits in memory where the hit path cannot, and returns None for all else."""
        return None

    def _compile_hit_path(self) -> HitPath:
        policy = self.settings.policy
        fast = self.plan.fast_arguments if self.has_fast_hits else None
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
            glance=self._glance(),
            asynchronous=self.asynchronous,
            method=("keyed" if keyed else "shared") if is_method(self.func) else None,
            bound_type=BoundCachedMethod,
        )

    def _predicate(self) -> Callable[..., Any] | None:
        policy = self.settings.policy
        chosen = policy.cache_if or policy.cache_unless
        if chosen is None:
            return None
        option = "cache_if" if policy.cache_if else "cache_unless"
        asked = self._accepting(option, chosen, awaited=self.asynchronous)
        return asked if policy.cache_if else negated(asked, inspect.iscoroutinefunction(chosen))

    def _callable_ttl(self) -> Callable[..., Any] | None:
        ttl = self.settings.policy.ttl
        return self._accepting("ttl", ttl, awaited=self.asynchronous) if callable(ttl) else None

    def _accepting(self, option: str, given: Any, *, awaited: bool) -> Callable[..., Any]:
        """Return what calls an option with as many of a call's arguments as it takes."""
        if inspect.iscoroutinefunction(given) and not awaited:
            raise TypeError(
                f"{self.name}: {option} is a coroutine function, and nothing would await it: "
                f"make {option} a plain function"
            )
        return accepting(self.name, given, self.plan.signature)

    def _check_rule_dispatchers(self, home: Home | None) -> None:
        """Refuse dispatchers of rules that cannot reach this function's entries."""
        check = home.check_dispatcher if home is not None else None
        check_dispatchers(self.rules, self.settings.policy.tiers == "memory", check)

    def _claim_name(self, engine: Engine) -> None:
        """Make the name this function's own on its cache; in memory it may get another."""
        alone = engine.backend is None or self.settings.policy.tiers == "memory"
        self.name = claim_name(engine, self.name, self, alone=alone)

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
        if self.is_apart:
            return self.here().subject
        home = self._home()
        with self._lock:
            if self._subject is None:
                home.check_dispatcher(self.name, self.settings.dispatcher)
                self._check_rule_dispatchers(home)
                self._dispatcher_for = home.dispatcher
                self._claim_name(home.engine)
                self._prefix = home.prefix
                self.plan = self._compile_plan(home.prefix, home.encoders)
                self._subject = self._make_subject(home)
                self.hit_path.set_clock(home.engine.clock.monotonic)
                observe(self._subject, self.hit_path, self.plan.readable_template)
                self.suspend(switch.is_off())
                home.in_use()
            return self._subject

    def _make_subject(self, home: Home) -> Subject:
        settings, otherwise = self.settings, "asyncio" if self.asynchronous else "threadpool"
        choice = (settings.dispatcher, settings.dispatcher_config, otherwise)
        subject = Subject(
            home.engine,
            self.name,
            self._target(),
            asynchronous=self.asynchronous,
            policy=settings.policy,
            codec=self._codec(home),
            function_scope=self.plan.scope(),
            partitions=len(self.plan.partition),
            keep=self._keep,
            ttl=self._ttl,
            dispatcher=lambda: home.dispatcher(*choice),
            refresh_task=revalidation_task,
        )
        return keep_index(with_builds(subject, lambda: home.ledger()), self)

    def _codec(self, home: Home) -> Codec:
        codec = home.codec(self.settings.codec, self.settings.compress)
        if self.settings.policy.tiers == "memory":
            return codec  # nothing is encoded
        annotation = return_annotation(self.func)
        return codec if annotation is None else codec.for_type(annotation)

    def unbind(self) -> None:
        """Forget the cache, as after a new configuration; the next call binds again."""
        with self._lock:
            self._subject = None
            self._table.attach(None)
            self.forget_twins()

    def suspend(self, off: bool) -> None:
        """Serve no hits while caching is switched off, nor in place of a twin."""
        subject = None if off or self.is_apart else self._subject
        self._table.attach(None if subject is None else subject.table)

    def renew_after_fork(self) -> None:
        """Forget the computations that other threads of the parent were at."""
        self._lock = threading.Lock()
        if self._subject is not None:
            self._subject.renew_after_fork()

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        """Return a call with its keys."""
        if self._subject is None:
            if self.is_apart:
                return self.here().call(args, kwargs)
            self._bind()  # until then the keys lack the prefix of the cache
        key = self.plan.key(*args, **kwargs)
        tags: tuple[str, ...] = ()
        if self._tags_of is not None:
            named = self._tags_of(*args, **kwargs)
            tags = tuple([tag_scope(self._prefix, tag).name for tag in named])
            key = Key(key.text, key.scopes + tags, key.spread)
        return Call(args, kwargs, key, self._memory_key(key.text, args, kwargs), tags)

    def entry(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        """Return a call to drop the entry of, for which its tags need not be known."""
        key = self.plan.key(*args, **kwargs)
        return Call(args, kwargs, key, self._memory_key(key.text, args, kwargs))

    def _memory_key(self, text: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hashable:
        fast = None if self._fast_key is None else self._fast_key(*args, **kwargs)
        return canonical(text) if fast is None else fast

    def live_in(self, targets: Sequence[Target]) -> Steps[Sequence[Call]]:
        """Return the calls whose entries are live in these partitions, as far as is known."""
        live = yield from live_calls(self, [target.scope for target in targets])
        return [self.call(*each) for each in live]

    def rule_dispatcher(self, rule: InvalidationRule | None) -> Dispatcher:
        """Return what carries the work of a rule; without one, what it would be by default."""
        _ = self.subject
        name, config = (None, None) if rule is None else (rule.dispatcher, rule.dispatcher_config)
        return self._dispatcher_for(name, config, "inline")

    def _serve(self, /, *args: Any, **kwargs: Any) -> Any:
        if self.is_apart:
            return self.here().hit_path.function(*args, **kwargs)
        engine = (self._subject or self._bind()).engine
        outcome = sync.run(engine, self._served(args, kwargs, described=False))
        if log.isEnabledFor(logging.DEBUG):
            self._log(outcome)
        return result_of(outcome) if outcome.error else outcome.value

    async def _aserve(self, /, *args: Any, **kwargs: Any) -> Any:
        if self.is_apart:
            return await self.here().hit_path.function(*args, **kwargs)
        outcome = await aio.run(self.subject.engine, self._served(args, kwargs, described=False))
        if log.isEnabledFor(logging.DEBUG):
            self._log(outcome)
        return result_of(outcome) if outcome.error else outcome.value

    def _served(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, described: bool = True
    ) -> Steps[Outcome]:
        if self._is_bypassed(args, kwargs):
            return self._bypassed(args, kwargs)
        subject = self._subject or self._bind()
        return fetch(subject, self.call(args, kwargs), described=described)

    def _is_bypassed(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Tell whether a call neither reads nor writes."""
        return switch.is_off() or bool(self._unless and self._unless(self.func, *args, **kwargs))

    def _log(self, outcome: Outcome) -> None:
        """Say how a call was served that memory did not serve by itself."""
        said = self.name, self.subject.engine.name, outcome.status, outcome.tier
        log.debug("%s on %r: %s from %s%s", *said, f", {outcome.cause}" if outcome.cause else "")

    def _bypassed(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Steps[Outcome]:
        value = yield Run(self.func, args, kwargs, self.asynchronous)
        return Outcome(value, Status.BYPASS, Tier.FUNCTION)

    def _run(self, steps: Steps[V]) -> V:
        """Carry out in this thread, on the cache of this function."""
        return sync.run(self.subject.engine, steps)

    async def _arun(self, steps: Steps[V]) -> V:
        """Carry out on the event loop; a plain function in a thread, so as not to block it."""
        if self.asynchronous:
            return await aio.run(self.subject.engine, steps)
        return await aio.in_thread(sync.run_aside, self.subject.engine, steps)


_functions: WeakSet[Calls[Any, Any, Any]] = WeakSet()


def living_functions() -> list[Calls[Any, Any, Any]]:
    """Return the cached functions of this process."""
    return living(_functions)


def _renew_after_fork() -> None:
    for function in living_functions():
        function.renew_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)


def _suspend_all(off: bool) -> None:
    for function in living_functions():
        function.suspend(off)


switch.on_change(_suspend_all)
