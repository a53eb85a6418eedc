"""What the parameters of an endpoint, and of its dependencies, are read from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

_MOST: Final = 4096
_known: dict[int, tuple[Any, tuple[Reading, ...]]] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """What one argument of an endpoint is made of.

    Attributes:
        name: The argument; None: a dependency whose result nobody gets.
        names: The parameters of the query; None: all that there are.
        reads_body: Whether the body is read as well.
    """

    name: str | None
    names: frozenset[str] | None
    reads_body: bool


def read_by(dependant: Any) -> tuple[Reading, ...]:
    """Return what the arguments of an endpoint are made of, as far as query and body go."""
    known = _known.get(id(dependant))
    if known is None or known[0] is not dependant:
        if len(_known) >= _MOST:
            _known.clear()  # of routes that are made again and again
        known = _known[id(dependant)] = (dependant, tuple(_readings(dependant)))
    return known[1]


def _readings(dependant: Any) -> Iterator[Reading]:
    for param in dependant.query_params:
        yield Reading(param.name, _joined(_names(param)), reads_body=False)
    for param in dependant.body_params:
        yield Reading(param.name, frozenset(), reads_body=True)
    for each in dependant.dependencies:
        names, reads_body = _joined(_all_names(each)), _reads_body(each)
        if names != frozenset() or reads_body:
            yield Reading(each.name, names, reads_body)


def _joined(names: Iterable[str | None]) -> frozenset[str] | None:
    found = frozenset(names)
    return None if None in found else frozenset(name for name in found if name)


def _all_names(dependant: Any) -> Iterator[str | None]:
    for param in dependant.query_params:
        yield from _names(param)
    model: Any = getattr(dependant.call, "model", None)
    if hasattr(dependant.call, "scheme_name") and _place(model) == "query":
        yield model.name
    for each in dependant.dependencies:
        yield from _all_names(each)


def _names(param: Any) -> Iterator[str | None]:
    """Name what a parameter may be read from; None: it is a model, and takes what it wants."""
    if hasattr(param.field_info.annotation, "model_fields"):
        yield None
    else:
        yield from names_of(param)


def names_of(param: Any) -> Iterator[str]:
    """Name the parameters of a request from which FastAPI may take one of an endpoint."""
    yield param.alias
    other = getattr(param.field_info, "validation_alias", None)
    for choice in getattr(other, "choices", [other] if other else []):
        yield str(getattr(choice, "path", [choice])[0])


def _place(model: Any) -> str | None:
    place = getattr(model, "in_", None)
    return getattr(place, "value", place)


def _reads_body(dependant: Any) -> bool:
    return bool(dependant.body_params) or any(map(_reads_body, dependant.dependencies))
