"""A cached view: a cached function that knows of requests and responses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, ParamSpec, TypeVar

from msgspec import structs

from tiercel import switch
from tiercel.contracts.codec import Codec
from tiercel.contracts.web import StoredResponse, WebFramework, WebRequest
from tiercel.engine import aio, sync
from tiercel.engine.drop import drop_scopes
from tiercel.engine.effects import Run, Steps
from tiercel.engine.read import fetch
from tiercel.engine.refresh import refresh
from tiercel.engine.state import Call, Outcome
from tiercel.errors import SkipViewCaching, ViewCachingError
from tiercel.events import Status, Tier
from tiercel.methods import METHODS
from tiercel.outcomes import value_of
from tiercel.policy import returned_life
from tiercel.settings import Home
from tiercel.web.asking import (
    asking,
    hook_arguments,
    is_keyed,
)
from tiercel.web.conditional import is_unchanged, not_modified, without_body
from tiercel.web.fields import ASKED, Asked, asked
from tiercel.web.headers import X_CACHE, with_status
from tiercel.web.judging import (
    CachedResponse,
    Passed,
    fits,
    judge,
    life_of,
    warn_if_stateful,
)
from tiercel.web.plain import is_guessed
from tiercel.web.requested import PLAIN, RequestedFunction
from tiercel.web.shortcut import Known, Make, glimpse
from tiercel.web.storable import vary_of
from tiercel.web.writing import ResponseCodec

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class ViewFunction(RequestedFunction[P, R, T]):
    """A view whose responses are kept as what goes over the wire, and answered as new objects."""

    methods = (*METHODS, "drop_namespace", "adrop_namespace")

    def drop_namespace(self, value: Any) -> None:
        """Drop everything that was kept for one value of the namespace, at the cost of one write.

        Raises:
            ConfigurationError: The view has no namespace.
        """
        self._run(self._namespace_dropped(value))

    async def adrop_namespace(self, value: Any) -> None:
        """The twin of `drop_namespace`."""
        await self._arun(self._namespace_dropped(value))

    # What differs from other cached functions

    def _predicate(self) -> Callable[..., Any]:
        self._chosen = super()._predicate()
        return lambda value, *args, **kwargs: type(value) is not Passed

    def _callable_ttl(self) -> Callable[..., Any]:
        life = super()._callable_ttl()
        assert life is not None, "the policy of a view has a callable ttl"
        self._life = life
        return self._life_of

    def _target(self) -> Callable[..., Any]:
        return self._arender if self.asynchronous else self._render

    def _codec(self, home: Home) -> Codec:
        return ResponseCodec(super()._codec(home))

    def _glance(self) -> Callable[..., Any]:
        return self._at_once

    def _served(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, described: bool = True
    ) -> Steps[Outcome]:
        request, framework = self._request(args, kwargs)
        if request is None:
            return self._unasked(args, kwargs)
        known = self._known(request, args)
        if known is None:
            return self._asked(request, framework, args, kwargs)
        return self._served_again(known, request, framework, args, kwargs)

    def _served_again(
        self,
        known: Known,
        request: WebRequest,
        framework: WebFramework,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Steps[Outcome]:
        """Serve a request like one before, whose key need not be built."""
        before, call = ASKED.get(), Call(args, kwargs, known.key, known.memory_key, known.tags)
        ask = Asked(request, framework, owner=self, call=call)
        if self._varying.names:
            ask.varying = self._varying.of(request)
        ASKED.set(ask)
        try:
            outcome = yield from fetch(self._subject or self.subject, call)
            value = outcome.value
            if type(value) is StoredResponse and (not value.varying or fits(request, value)):
                make = known.maker(value, outcome.age, outcome.left)
                if make is None or outcome.status is not Status.HIT:
                    make = self._maker(known, framework, outcome, args, kwargs)
                return structs.replace(outcome, value=make(request, value.body))
            if type(value) is Passed and value.request is request.native:
                return structs.replace(outcome, value=value.native)
        finally:
            ASKED.set(before)
        return (yield from self._asked(request, framework, args, kwargs))

    def _asked(
        self,
        request: WebRequest,
        framework: WebFramework,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Steps[Outcome]:
        """Serve a request once it is known what it asks."""
        if self._is_skipped(request):
            return (yield from self._bypassed(args, kwargs))
        try:
            ask = yield from self._ask(request, framework, args, kwargs)
        except SkipViewCaching:
            return (yield from self._bypassed(args, kwargs))
        except (ViewCachingError, AttributeError):
            if not is_guessed(request):
                raise
            return (yield from self._unasked(args, kwargs))
        if self._options.refuses(request, ask.somebody):
            return (yield from self._bypassed(args, kwargs))
        with asking(ask):
            if framework is PLAIN and not is_keyed(self.call, args, kwargs):
                return (yield from self._unasked(args, kwargs))
            outcome = yield from self._fetched(ask, args, kwargs)
            return (yield from self._answer(ask, outcome, args, kwargs))

    def _refreshed(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Steps[Any]:
        request, framework = self._request(args, kwargs)
        if request is None or switch.is_off():
            return (yield from self._around(args, kwargs))
        ask = yield from self._ask(request, framework, args, kwargs)
        with asking(ask):
            outcome = yield from refresh(self.subject, self.call(args, kwargs))
            answer = yield from self._answer(ask, outcome, args, kwargs)
        return value_of(answer)

    def _value(self, outcome: Outcome, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        value = value_of(outcome)
        if type(value) is StoredResponse:
            request, framework = self._request(args, kwargs)
            return value if request is None else framework.thaw(request, value)
        return value.native if type(value) is Passed else value

    def _fetched(
        self, ask: Asked, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Steps[Outcome]:
        """Serve what answers this very request, or what the view returns for it."""
        for _ in range(2):
            if self._options.wants_new(ask.request):
                outcome = yield from refresh(self.subject, self.call(args, kwargs))
            else:
                outcome = yield from super()._served(args, kwargs)
            value = outcome.value
            if type(value) is Passed and value.request is ask.request.native:
                return outcome
            if type(value) is StoredResponse and not fits(ask.request, value):
                self._varying.learn([name for name, _ in value.varying])
                ask.varying, ask.call = self._varying.of(ask.request), None
            elif type(value) is not Passed:
                self._remember(ask, outcome, args, kwargs)
                return outcome
        return (yield from self._bypassed(args, kwargs))  # another's, who asked at the same time

    def _remember(
        self, ask: Asked, outcome: Outcome, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        """Take note of the key under which a request was answered from the cache."""
        kept = type(outcome.value) is StoredResponse and outcome.status is Status.HIT
        if kept and self._shortcut is not None:
            self._shortcut.remember(ask.request, self._kind(args), self.call(args, kwargs))

    # Rendering

    def _render(self, /, *args: Any, **kwargs: Any) -> Any:
        return sync.run(self.subject.engine, self._rendered(args, kwargs))

    async def _arender(self, /, *args: Any, **kwargs: Any) -> Any:
        return await aio.run(self.subject.engine, self._rendered(args, kwargs))

    def _rendered(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Steps[Any]:
        """Call the view, and return what is kept of its result, or a `Passed`."""
        ask, life = asked(), None
        request, framework = ask.request, ask.framework
        result = yield Run(self.func, args, kwargs, self.asynchronous)
        if type(result) is CachedResponse:
            result, life = result.response, result.ttl
        kept = result
        if request.sends_anything or framework.is_response(result):
            kept = yield from self._frozen(ask, framework, result)
        if self._chosen is not None and type(kept) is not Passed:
            keep = yield Run(self._chosen, (result, *args), kwargs, self.asynchronous)
            kept = kept if keep else Passed(result, request.native, "a predicate refused it")
        if type(kept) is not StoredResponse:
            if not (self._options.static or self._options.on_cache_result):
                warn_if_stateful(self.name, kept)
            return kept
        if life is None:
            given = yield Run(self._life, (result, *args), kwargs, self.asynchronous)
            life = life_of(returned_life(self.name, given))
        return structs.replace(kept, life=life)

    def _frozen(self, ask: Asked, framework: WebFramework, result: Any) -> Steps[Any]:
        request, rules = ask.request, self._options.rules.of(ask.somebody)
        freeze = framework.afreeze if self.asynchronous else framework.freeze
        frozen = yield Run(freeze, (request, result, rules.stream_limit), {}, self.asynchronous)
        stored, native, reason = frozen
        if stored is None:
            return Passed(native, request.native, reason)
        now = self.subject.engine.clock.time
        kept = judge(request, stored, rules, dict(ask.varying), now)
        if isinstance(kept, StoredResponse):
            return kept
        self._varying.learn([each for each in vary_of(stored) if each != "*"])
        return Passed(native, request.native, kept)

    def _life_of(self, value: Any, /, *args: Any, **kwargs: Any) -> Any:
        if type(value) is StoredResponse:
            return value.life
        return self._life(value, *args, **kwargs)

    # Answering

    def _at_once(self, /, *args: Any, **kwargs: Any) -> Any:
        """Answer a request like one before from memory; None: that takes longer."""
        subject, framework = self._subject, self._web
        if not self._remembers or subject is None or framework is None or self.is_apart:
            return None
        request = framework.request(args, kwargs)
        if request is None:
            return None
        request.view = self.func
        known = self._known(request, args)
        if known is None:
            return None
        found = glimpse(subject, known)
        if found is None:
            return None
        stored, age, left = found
        if stored.varying and not fits(request, stored):
            return None
        make = known.maker(stored, age, left)
        if make is None:
            outcome = Outcome(stored, Status.HIT, Tier.MEMORY, None, age, left)
            make = self._maker(known, framework, outcome, args, kwargs)
        return make(request, stored.body)

    def _maker(
        self,
        known: Known,
        framework: WebFramework,
        outcome: Outcome,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Make:
        """Return what makes responses like that of an outcome; if it is a hit, note that."""
        stored: StoredResponse = outcome.value
        headers = self._headed(stored, outcome, args, kwargs).headers
        make = framework.thawing(stored.status, headers)
        if outcome.status is Status.HIT:
            dated = X_CACHE in self._options.status_headers
            known.note(stored, outcome.age, outcome.left, make, dated=dated)
        return make

    def _answer(
        self,
        ask: Asked,
        outcome: Outcome,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Steps[Outcome]:
        """Turn what was kept into a result of the view."""
        value, hit = outcome.value, outcome.status in (Status.HIT, Status.STALE)
        if outcome.error:
            return outcome
        if type(value) is Passed:
            native = value.native
        elif type(value) is StoredResponse:
            native = self._thawed(ask, value, outcome, args, kwargs)
        else:
            native = deepcopy(value) if hit and not self._options.static else value
        hook = self._options.on_cache_result
        if hit and hook is not None:
            given = hook_arguments(hook, ask.request.native, native)
            yield Run(hook, given, {}, inspect.iscoroutinefunction(hook))
        return structs.replace(outcome, value=native)

    def _thawed(
        self,
        ask: Asked,
        stored: StoredResponse,
        outcome: Outcome,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        answer = self._headed(stored, outcome, args, kwargs)
        if is_unchanged(ask.request, stored):
            answer = not_modified(answer)
        elif ask.request.method == "HEAD":
            answer = without_body(answer)
        return ask.framework.thaw(ask.request, answer)

    def _headed(
        self,
        stored: StoredResponse,
        outcome: Outcome,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> StoredResponse:
        chosen, metadata = self._options.status_headers, None
        if X_CACHE in chosen:
            metadata = self._metadata(outcome, outcome.status, args, kwargs)
        return with_status(stored, outcome, metadata, chosen, self.settings.policy.grace)

    def _namespace_dropped(self, value: Any) -> Steps[None]:
        subject = self.subject
        yield from drop_scopes(subject, self.plan.leading_scope(value))
