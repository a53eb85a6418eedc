"""Targets: what of a request decides which entry answers it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiercel.contracts.web import WebRequest
from tiercel.engine.effects import Run, Steps
from tiercel.engine.stopped import original
from tiercel.errors import SkipViewCaching, ViewCachingError
from tiercel.keys.names import name_of
from tiercel.web.templates import check_path, compile_call, value_at

Arguments = tuple[Sequence[Any], Mapping[str, Any]]
"""What a view was called with."""

_OF_A_USER: Final = ("id", "pk", "uuid", "username", "email")
_PERSONAL: Final = frozenset(
    {
        "user",
        "session",
        "session.session_key",
        "cookies",
        "auth",
        "headers.authorization",
    }
    | {f"user.{name}" for name in _OF_A_USER}
)
"""Targets that tell every user from every other; a user's language, for one, does not."""
_REQUESTS: Final = frozenset({"self", "cls", "request"})


@dataclass(frozen=True, slots=True)
class Target:
    """One target of a view.

    Attributes:
        name: What it is called in the key.
        personal: Whether it says for whom the response is.
        asynchronous: Whether what it calls must be awaited.
        resolve: Returns its value, or what to await for it.
    """

    name: str
    personal: bool
    asynchronous: bool
    resolve: Callable[[WebRequest, Arguments], Any]


def compile_targets(owner: str, targets: Any, view: Callable[..., Any]) -> list[Target]:
    """Check the targets of a view.

    Args:
        owner: The name of the view, for errors.
        targets: A list of attributes of the request, or a dict from attributes, or callables, to
            the arguments that they are called with.
        view: The view.

    Raises:
        ViewCachingError: They are something else, or empty.
    """
    if isinstance(targets, Mapping):
        made = [_compile(owner, target, spec, view) for target, spec in targets.items()]
    elif isinstance(targets, (list, tuple, set, frozenset)):
        made = [_compile(owner, target, None, view) for target in targets]
    else:
        raise ViewCachingError(f"{owner}: targets={targets!r} must be a list or a dict")
    if not made:
        raise ViewCachingError(f"{owner}: targets are empty, so all requests would share one entry")
    return made


def resolve_targets(
    owner: str, targets: Sequence[Target], request: WebRequest, arguments: Arguments
) -> Steps[dict[str, Any]]:
    """Return the values of targets by name.

    Raises:
        SkipViewCaching: A target says that this request is not to be cached.
        ViewCachingError: A target failed.
    """
    values = {}
    for target in targets:
        try:
            values[target.name] = yield Run(
                target.resolve, (request, arguments), {}, target.asynchronous
            )
        except SkipViewCaching:
            raise
        except Exception as raised:
            error = original(raised)
            raise ViewCachingError(
                f"{owner}: target {target.name!r} failed: {type(error).__name__}: {error}"
            ) from error
    return values


def is_somebody(value: Any) -> bool:
    """Tell whether what identifies a user identifies one: nobody is logged in as nobody."""
    return bool(value) and bool(getattr(value, "is_authenticated", True))


def _compile(owner: str, target: Any, spec: Any, view: Callable[..., Any]) -> Target:
    if isinstance(target, str):
        return _of_request(owner, target, spec)
    if callable(target):
        return _external(owner, target, spec, view)
    raise ViewCachingError(f"{owner}: target {target!r} is neither a name nor a callable")


def _of_request(owner: str, path: str, spec: Any) -> Target:
    """An attribute of the request, called if it can be."""
    check_path(owner, path)
    args_of, kwargs_of = compile_call(f"{owner}: target {path!r}", spec)

    def resolve(request: WebRequest, _: Arguments) -> Any:
        value = value_at(request, path)
        return value(*args_of(request), **kwargs_of(request)) if inspect.isroutine(value) else value

    personal = path.lower() in _PERSONAL
    return Target(path, personal, False, resolve)


def _external(
    owner: str, function: Callable[..., Any], spec: Any, view: Callable[..., Any]
) -> Target:
    """A callable of the project's, given the request and the view's arguments if it takes them."""
    named = hasattr(function, "__qualname__")
    name = name_of(inspect.unwrap(function)) if named else repr(function)
    args_of, kwargs_of = compile_call(f"{owner}: target {name}", spec)
    wide = _takes_the_call(function, view, spec or {})

    def resolve(request: WebRequest, arguments: Arguments) -> Any:
        own, named = args_of(request), kwargs_of(request)
        if not wide:
            return function(*own, **named)
        args, kwargs = arguments
        return function(request.native, *args, *own, **kwargs, **named)

    return Target(name, False, inspect.iscoroutinefunction(function), resolve)


def _takes_the_call(
    function: Callable[..., Any], view: Callable[..., Any], spec: Mapping[str, Any]
) -> bool:
    """Tell whether a callable can be called with the request and what the view gets besides it."""
    args = spec.get("args") or ()
    own = 1 if isinstance(args, str) else len(args)
    parameters = inspect.signature(view).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = [each for each in parameters if each.name not in _REQUESTS and each.kind in kinds]
    try:
        inspect.signature(function).bind(
            None, *[None] * (len(taken) + own), **dict(spec.get("kwargs") or {})
        )
    except (TypeError, ValueError):
        return False
    return True
