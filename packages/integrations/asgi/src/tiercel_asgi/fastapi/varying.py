"""Which request headers the parameters of an endpoint, and of its dependencies, are read from."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from tiercel_asgi.fastapi.reading import names_of


def vary_of(dependant: Any) -> list[str]:
    """Name the request headers that endpoint and dependencies say they read."""
    return sorted(set(_read_by(dependant)))


def _read_by(dependant: Any) -> Iterator[str]:
    yield from _header_names(dependant.header_params)
    if dependant.cookie_params:
        yield "cookie"
    yield from _read_for_security(inspect.unwrap(dependant.call) if dependant.call else None)
    for each in dependant.dependencies:
        yield from _read_by(each)


def _header_names(params: Iterable[Any]) -> Iterator[str]:
    for param in params:
        model = param.field_info.annotation
        names = getattr(model, "model_fields", None) if isinstance(model, type) else None
        if names is None:
            yield from map(str.lower, names_of(param))
        else:
            for name, field in names.items():
                yield (field.alias or name.replace("_", "-")).lower()


def _read_for_security(scheme: Any) -> Iterator[str]:
    """Name the header that a security scheme of FastAPI reads; one in the query is in the URL."""
    if not (hasattr(scheme, "scheme_name") and hasattr(scheme, "model")):
        return
    place = getattr(scheme.model, "in_", None)
    place = getattr(place, "value", place)
    if place == "header":
        yield scheme.model.name.lower()
    elif place == "cookie":
        yield "cookie"
    elif place is None:
        yield "authorization"
