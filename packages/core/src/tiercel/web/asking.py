"""Who asks what: the options of a view, and the arguments of its call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tiercel.contracts.web import WebRequest
from tiercel.errors import UnkeyableValue
from tiercel.web.fields import ASKED, Asked
from tiercel.web.storable import ResponseRules, directives_of
from tiercel.web.targets import Target, is_somebody


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What a door says of a view, checked.

    Attributes:
        targets: What decides which entry answers a request.
        namespace: A text, or a callable that gets the request; None: none.
        skip_attribute: Attribute of the request that bypasses the cache where it is true.
        on_cache_result: Called on each hit, with the request and the result, or the result alone.
        static: Whether results that are no responses may be shared between requests.
        rules: Which responses are kept.
        status_headers: Which headers say how a call was served.
        obeys_no_cache: Whether `Cache-Control: no-cache` in a request computes anew.
        identities: Read from a request who asks, as key fields do.
        by_request: Whether the key depends on nothing but what a fingerprint covers.
    """

    targets: Sequence[Target]
    namespace: Any
    skip_attribute: str
    on_cache_result: Callable[..., Any] | None
    static: bool
    rules: ResponseRules
    status_headers: Collection[str]
    obeys_no_cache: bool
    identities: Sequence[Callable[[Any], Any]] = ()
    by_request: bool = False

    def knows(self, native: Any, namespace: Any, values: Mapping[str, Any]) -> bool:
        """Tell whether the key of a request says for whom the response is.

        Args:
            native: The framework's request.
            namespace: What the namespace is for it.
            values: Those of the targets.
        """
        if not self.rules.personal:
            return False
        if callable(self.namespace) and is_somebody(namespace):
            return True
        personal = [values[each.name] for each in self.targets if each.personal]
        return any(map(is_somebody, personal)) or any(
            identify(native) is not None for identify in self.identities
        )

    def refuses(self, request: WebRequest, somebody: bool) -> bool:
        """Tell whether a request is refused for what its key says, though not before.

        Args:
            request: The request.
            somebody: Whether its key says for whom the response is.
        """
        rules = self.rules.of(somebody)
        return rules is not self.rules and rules.why_not_asked(request) is not None

    def wants_new(self, request: WebRequest) -> bool:
        """Tell whether a client asks for a new response, and may."""
        if not self.obeys_no_cache:
            return False
        return "no-cache" in directives_of(request.header("cache-control"))


class asking:  # noqa: N801, read like the function that it is used as
    """Let key fields find what is being asked while the block runs.

    Args:
        ask: What is being asked.
    """

    __slots__ = ("_ask", "_before")

    def __init__(self, ask: Asked) -> None:
        self._ask = ask

    def __enter__(self) -> None:
        self._before = ASKED.get()
        ASKED.set(self._ask)

    def __exit__(self, *_: object) -> None:
        ASKED.set(self._before)


@contextmanager
def surfacing(refusals: tuple[type[Exception], ...]) -> Iterator[None]:
    """Let a framework's own errors be raised as they are, instead of one about the key."""
    try:
        yield
    except UnkeyableValue as error:
        if isinstance(error.__cause__, refusals):
            raise error.__cause__ from None
        raise


def split(
    signature: inspect.Signature, of_class: bool, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return what may be, or have, the request that a view was given, and all the rest by name.

    The request is the first argument, or the one of that name.

    Args:
        signature: That of the view.
        of_class: Whether its first argument is an object that it is a method of.
        args: What it was called with.
        kwargs: The same, by name.
    """
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    names = list(bound.arguments)[: min(len(args), 1 + of_class)]
    if "request" in bound.arguments and "request" not in names:
        names.append("request")
    leading = [bound.arguments.pop(name) for name in names]
    if of_class and leading and not hasattr(leading[0], "request"):
        del leading[0]
    return leading, bound.arguments


def is_keyed(
    call: Callable[[Sequence[Any], Mapping[str, Any]], object],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> bool:
    """Tell whether what was taken for the request has all that the key is made of.

    Args:
        call: Builds the key.
        args: What the view was called with.
        kwargs: The same, by name.
    """
    try:
        call(args, kwargs)
    except UnkeyableValue as error:
        return not isinstance(error.__cause__, AttributeError)
    return True


def without_request(args: Sequence[Any], native: Any) -> Sequence[Any]:
    """Return what a view was given besides its object and the request."""

    def is_request(given: Any) -> bool:
        return given is native or getattr(given, "request", None) is native

    return [given for place, given in enumerate(args) if place > 1 or not is_request(given)]


def without_named(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a view was given by name besides the request."""
    return {name: value for name, value in kwargs.items() if name != "request"}


def hook_arguments(hook: Callable[..., Any], request: Any, result: Any) -> Sequence[Any]:
    """Give a hook the request and the result, or the result alone if it takes one argument."""
    try:
        inspect.signature(hook).bind(request, result)
    except TypeError:
        return (result,)
    return (request, result)
