"""Which models somebody listens to, and what has to be known of their rows when they change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import ref

from django.apps import apps
from django.db import models
from django.db.models.signals import class_prepared

from tiercel_django.changes.links import Link, links_of
from tiercel_django.rows.paths import Model
from tiercel_django.rows.reading import Shape, shape_of
from tiercel_django.rows.single import SingleRead

if TYPE_CHECKING:
    from tiercel_django.source import ModelSource


class Written(frozenset[str]):
    """Names of fields as somebody has written them; contains every name that rules may know them
    by, and attributes that rules ask for, since what a property says may depend on any field.
    """

    _known: frozenset[str]

    def __new__(cls, given: frozenset[str], known: frozenset[str]) -> Written:
        """Take the names that were given, and all that are to be found in it."""
        written = super().__new__(cls, given)
        written._known = known
        return written

    def __contains__(self, name: object) -> bool:
        return name in self._known


class Watched:
    """A model whose rows, or what hangs on them, rules listen to.

    Attributes:
        model: Its class, never a proxy's.
        shape: What is read of its rows, for rules on it and on models that it inherits from.
        is_source: Whether any rule is about its rows themselves.
        heirs: Models that inherit from it and have rules: its rows hold a part of theirs.
        links: What its rows connect, if it is the table between two models.
    """

    def __init__(self, model: Model, sources: Iterable[ModelSource]) -> None:
        everyone = list(sources)
        own = [each for each in everyone if issubclass(model, concrete(each.model))]
        paths = [path for each in own for path in each.paths]
        self.model = model
        self.is_source = bool(own)
        named = {concrete(each.model) for each in everyone}
        self.links: tuple[Link, ...] = tuple(links_of(model, named))
        self.shape: Shape = shape_of(model, paths, [link.column for link in self.links])
        self.read_one = SingleRead(self.shape)
        self.attributes = frozenset(path.text.partition(".")[0] for path in paths if not path.field)
        self.heirs = tuple(each for each in named if each is not model and issubclass(each, model))

    @cached_property
    def reads(self) -> bool:
        """Whether anything has to be read before a row is written."""
        return bool(not self.shape.is_empty or self.heirs)

    def __bool__(self) -> bool:
        return bool(self.is_source or self.heirs or self.links)

    @cached_property
    def whole_shape(self) -> Shape:
        """What is read of rows that vanish, of which nothing can be read later."""
        return self.shape._replace(whole=self.is_source)

    def written(self, names: Iterable[str]) -> Written:
        """Return the names of written fields, to be asked for by whatever a rule calls them."""
        given = frozenset(names)
        return Written(given, self.attributes.union(_both_names(self.model, given)))


_sources: set[ref[ModelSource]] = set()
_found: dict[Model, Watched | None] = {}


def listen(source: ModelSource) -> None:
    """Let a source take part for as long as it lives."""
    _sources.add(ref(source, _stop))
    forget()


def sources() -> list[ModelSource]:
    """Return the living sources."""
    return [source for source in (each() for each in list(_sources)) if source is not None]


def _stop(source: ref[ModelSource]) -> None:
    _sources.discard(source)
    forget()


def forget(**_: Any) -> None:
    """Find out anew what is watched; to be called when sources or models are added."""
    global _found
    _found = {}


def watched(model: Model) -> Watched | None:
    """Return what is known of a model that somebody listens to; None for every other."""
    try:
        return _found[model]
    except KeyError:
        return _find(model)


def concrete(model: Model) -> Model:
    """Return the class that a proxy stands for, or the class itself."""
    found: Model = model._meta.concrete_model or model
    return found


def _find(model: Model) -> Watched | None:
    found = _found  # one that `forget` has replaced meanwhile is not read any more
    made = Watched(concrete(model), sources())
    result = made if made else None
    if apps.models_ready:
        found[model] = result
    return result


def _both_names(model: Model, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        field: models.Field[Any, Any] = model._meta.get_field(name)  # type: ignore[assignment]
        yield from (field.name, field.attname)


class_prepared.connect(forget, dispatch_uid="tiercel")
