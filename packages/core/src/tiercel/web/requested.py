"""A cached function that is called for requests: what each of them asks, and under which key."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, ParamSpec, Self, TypeVar

from tiercel import switch
from tiercel.cached import CachedFunction, arguments_of
from tiercel.contracts.web import WebFramework, WebRequest
from tiercel.engine import sync
from tiercel.engine.effects import Gather, Run, Steps
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.keys.names import name_of
from tiercel.keys.plan import KeyPlan
from tiercel.outcomes import value_of
from tiercel.plugins import default_registry
from tiercel.settings import Home, Settings
from tiercel.web.asking import (
    ViewOptions,
    asking,
    split,
    surfacing,
    without_named,
    without_request,
)
from tiercel.web.fields import ASKED, Asked, native_request
from tiercel.web.judging import Varying, warn_of_no_request
from tiercel.web.plain import PlainFramework
from tiercel.web.shortcut import Known, Shortcut
from tiercel.web.targets import resolve_targets

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

PLAIN: Final = PlainFramework()
"""Takes requests of no known framework."""


class RequestedFunction(CachedFunction[P, R, T]):
    """A cached function whose keys are made of requests."""

    has_fast_hits = False

    def __init__(
        self,
        view: Callable[P, R],
        settings: Settings,
        home: Callable[[], Home],
        *,
        options: ViewOptions,
        shared: bool = False,
        follows: bool = False,
    ) -> None:
        self._options = options
        self._varying = Varying()
        self._missed = False  # whether a call came without a request
        self._web: WebFramework | None = None  # that of the last request, which is asked first
        short = options.by_request and settings.policy.unless is None and not settings.tags
        self._shortcut = Shortcut(self._varying) if short else None
        self._remembers = False  # whether memory may have an answer that is found by a shortcut
        first = next(iter(inspect.signature(view).parameters), "")
        self._of_class = first in {"self", "cls"}
        policy = settings.policy
        if not callable(policy.ttl):
            given = policy.ttl
            policy = replace(policy, ttl=lambda result: given)
        settings = replace(settings, policy=policy)
        super().__init__(view, settings, home, shared=shared, follows=follows)

    def _remade(self, home: Home, **more: Any) -> Self:
        return super()._remade(home, options=self._options, **more)

    def _compile_plan(self, prefix: str, encoders: Any) -> KeyPlan:
        return self._planned(prefix, encoders, request=native_request)

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        known = ASKED.get()
        request, framework = self._request(args, kwargs)
        if request is None:
            raise TypeError(f"{self.name} is a view: its first argument must be a request")
        if known is not None and known.owner is self and known.request.native is request.native:
            if known.call is None:
                with surfacing(framework.refusals):
                    known.call = super().call(args, kwargs)
            return known.call
        with asking(sync.run(self.subject.engine, self._ask(request, framework, args, kwargs))):
            return super().call(args, kwargs)

    def _many(self, calls: Sequence[Any]) -> Steps[list[T]]:
        """Serve each request by itself: what answers it depends on more than its key."""
        outcomes = yield Gather([self._served(*arguments_of(call)) for call in calls])
        return [value_of(each) if each.error else each.value for each in outcomes]

    def _make_subject(self, home: Home) -> Subject:
        subject = super()._make_subject(home)
        if self._shortcut is not None:
            self._shortcut.forget()
            self._remembers = subject.table is not None
        return subject

    def _request(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[WebRequest | None, WebFramework]:
        if self._web is not None and (request := self._web.request(args, kwargs)) is not None:
            request.view = self.func
            return request, self._web
        for integration in default_registry().integrations.values():
            if integration.web is not None:
                request = integration.web.request(args, kwargs)
                if request is not None:
                    request.view, self._web = self.func, integration.web
                    return request, integration.web
        leading, rest = split(self.plan.signature, self._of_class, args, kwargs)
        return PLAIN.request(leading, rest), PLAIN

    def _kind(self, args: Sequence[Any]) -> type | None:
        """Return the class of the view, where it is a method."""
        return type(args[0]) if self._of_class and args else None

    def _is_skipped(self, request: WebRequest) -> bool:
        refused = self._options.rules.why_not_asked(request) is not None
        return refused or request.says(self._options.skip_attribute)

    def _ask(
        self,
        request: WebRequest,
        framework: WebFramework,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Steps[Asked]:
        options = self._options
        arguments = without_request(args, request.native), without_named(kwargs)
        namespace = options.namespace
        if callable(namespace):
            awaited = inspect.iscoroutinefunction(namespace)
            namespace = yield Run(namespace, (request.native,), {}, awaited)
        values = yield from resolve_targets(self.name, options.targets, request, arguments)
        kind = self._kind(args)
        view = "" if kind is None else name_of(kind)
        varying = self._varying.of(request)
        known = options.knows(request.native, namespace, values)
        return Asked(request, framework, values, namespace or "", view, varying, known, self)

    def _known(self, request: WebRequest, args: Sequence[Any]) -> Known | None:
        """Return what is known of requests like this one; None if it is to be asked about anew."""
        if self._shortcut is None or self._subject is None or switch.is_off():
            return None
        kind = type(args[0]) if self._of_class and args else None
        known = self._shortcut.find(request, kind)
        return None if known is None or request.says(self._options.skip_attribute) else known

    def _unasked(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Steps[Outcome]:
        """Call the view where there is no request to ask about; say so the first time."""
        if not self._missed:
            self._missed = True
            warn_of_no_request(self.name)
        return self._bypassed(args, kwargs)
