"""Which route of FastAPI called a view, and what it called it with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from starlette.responses import Response
from starlette.types import Scope

Raw = list[tuple[bytes, bytes]]
"""Headers as ASGI has them."""

Given = tuple[Sequence[Any], Mapping[str, Any]]
"""What a view was called with, by position and by name."""


@dataclass(slots=True)
class Route:
    """The route of FastAPI that called a view, and what it called it with.

    Attributes:
        definition: FastAPI's own description of the route.
        arguments: What the endpoint is called with.
        injected: The response on which dependencies and endpoint set headers; None if the
            endpoint does not ask for it.
        own: The headers that dependencies of this very request have set there.
    """

    definition: Any
    arguments: Mapping[str, Any]
    injected: Response | None
    own: Raw


def route_of(scope: Scope) -> Any:
    """Return what FastAPI says of the route that was chosen; None if it did not choose it."""
    route, own = scope.get("route"), scope.get("fastapi")
    # A route of an included router has its dependencies and defaults in a context of its own.
    context = own and own.get("effective_route_context")
    found = context if getattr(context, "original_route", None) is route else route
    return found if hasattr(found, "response_field") else None


def called(scope: Scope, view: Callable[..., Any], given: Given) -> Route | None:
    """Return the route that called a view; None if it is not the endpoint of FastAPI's route.

    Args:
        scope: Of the request.
        view: The view, undecorated.
        given: Its arguments, by position and by name.
    """
    definition = route_of(scope)
    if definition is None or _innermost(definition.dependant.call) is not view:
        return None
    args, kwargs = given
    arguments = {**dict(zip(_names(view), args, strict=False)), **kwargs} if args else kwargs
    name = definition.dependant.response_param_name
    injected = None if name is None else arguments[name]
    own = [] if injected is None else list(injected.raw_headers)
    return Route(definition, arguments, injected, own)


@lru_cache(1024)
def _innermost(endpoint: Any) -> Any:
    found = inspect.unwrap(endpoint)
    return getattr(found, "__func__", found)


@lru_cache(1024)
def _names(view: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(view).parameters)
