"""Dotted paths from a model to a value: what of them the database can answer, what only Python."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any, TypeAlias

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models.manager import ManagerDescriptor
from django.utils.functional import cached_property as django_cached_property

from tiercel.spi import ConfigurationError

Model: TypeAlias = type[models.Model]


@dataclass(frozen=True, slots=True)
class Path:
    """A checked path.

    Attributes:
        text: As it was written.
        lookup: What `values_list` is asked for; None: only a whole instance can answer.
        field: The field at the root of the path; None where it starts with an attribute.
        related: The model of whose instance the value is; None for any other value.
        rest: Names that follow the lookup, on its value: keys of a JSON field, attributes.
        many: Whether it is a relation to many rows; it has no single value.
        plain: Whether its values are numbers, texts and the like, for what is known of the field.
    """

    text: str
    lookup: str | None = None
    field: Any = None
    related: Model | None = None
    rest: tuple[str, ...] = ()
    many: bool = False
    plain: bool = False

    @property
    def is_local(self) -> bool:
        """Whether the row's own table, or one it inherits from, holds the value."""
        return self.lookup is not None and "__" not in self.lookup and bool(self.field.concrete)


def resolve(model: Model, text: str) -> Path:
    """Take a path apart.

    Raises:
        ConfigurationError: The model, or one on the way, has no such field or attribute.
    """
    names = text.split(".")
    names[0] = model._meta.pk.attname if names[0] == "pk" else names[0]
    owner, lookups, root = model, list[str](), None
    for number, name in enumerate(names):
        rest = tuple(names[number + 1 :])
        field = find_field(owner, name)
        root = field if number == 0 else root
        if field is None or not (field.concrete or field.is_relation) or _is_generic(field):
            _require_attribute(owner, name)
            return Path(text)
        if field.one_to_many or field.many_to_many:
            return _many(owner, text, name, rest, alone=number == 0)
        if not field.is_relation or name == getattr(field, "attname", "") != field.name:
            lookups.append(_name(owner, field, name))
            _refuse_rest(owner, field, name, rest)
            plain = isinstance(field, _SCALARS)
            return Path(text, "__".join(lookups), root, None, rest, plain=plain)
        related: Model = field.related_model
        if not rest:
            return _to_instance(text, lookups, field, root, related)
        if rest == rest[:1] and _is_stored(field, rest[0]):
            return Path(text, "__".join([*lookups, field.attname]), root, plain=True)
        lookups.append(field.name)
        owner = related
    raise AssertionError(text)


def find_field(model: Model, name: str) -> Any:
    """Return a field by its name, attribute name or accessor; None if there is none."""
    options = model._meta
    try:
        return options.pk if name == "pk" else options.get_field(name)
    except FieldDoesNotExist:
        pass
    if not options.apps.models_ready:
        return None
    related = (each for each in options.related_objects if each.get_accessor_name() == name)
    return next(related, None)


def known_names(model: Model) -> list[str]:
    """Return what may stand at the first place of a path."""
    names = dict[str, None]()
    fields: list[Any] = list(model._meta.get_fields())
    for field in fields:
        if field.auto_created and not field.concrete:
            names[field.get_accessor_name() or field.name] = None
        else:
            names |= dict.fromkeys([field.name, getattr(field, "attname", None) or field.name])
    return [*names, *_properties(model)]


def _is_generic(field: Any) -> bool:
    return bool(field.is_relation and field.related_model is None)


def _name(owner: Model, field: Any, name: str) -> str:
    return str(owner._meta.pk.attname) if name == "pk" else name


def _many(owner: Model, text: str, name: str, rest: tuple[str, ...], *, alone: bool) -> Path:
    if rest or not alone:
        raise ConfigurationError(
            f"{owner.__name__}.{name} leads to many rows, so {text!r} has no single value"
        )
    return Path(text, many=True)


def _is_stored(field: Any, name: str) -> bool:
    """Tell whether a foreign key holds that value of the row which it refers to."""
    if not field.concrete:
        return False
    target = field.target_field
    return name in (target.name, target.attname) or (name == "pk" and target.primary_key)


def _to_instance(text: str, lookups: list[str], field: Any, root: Any, related: Model) -> Path:
    """Say what names an instance: its primary key, from the row itself where that is stored."""
    stored = field.concrete and field.target_field is related._meta.pk
    lookup = field.attname if stored else f"{field.name}__pk"
    return Path(text, "__".join([*lookups, lookup]), root, related)


def _refuse_rest(owner: Model, field: Any, name: str, rest: tuple[str, ...]) -> None:
    if rest and isinstance(field, _SCALARS):
        raise ConfigurationError(
            f"{owner.__name__}.{name} is a {type(field).__name__}: its values have no {rest[0]!r}"
        )


_SCALARS = (
    models.AutoField, models.BooleanField, models.CharField, models.DecimalField,
    models.FloatField, models.ForeignKey, models.IntegerField, models.TextField, models.UUIDField,
)  # fmt: skip


def _require_attribute(model: Model, name: str) -> None:
    if name in _properties(model) or _is_plain_attribute(model, name):
        return
    if any(field.name == name for field in model._meta.private_fields):
        return
    names = sorted(set(known_names(model)))
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
    raise ConfigurationError(f"{model.__name__} has no field or property {name!r}; {hint}")


def _properties(model: Model) -> list[str]:
    return list(dict.fromkeys(_find_properties(model)))


def _find_properties(model: Model) -> Iterator[str]:
    for kind in model.__mro__:
        if kind is not models.Model and kind is not object:
            for name, value in vars(kind).items():
                if isinstance(value, (property, cached_property, django_cached_property)):
                    yield name


def _is_plain_attribute(model: Model, name: str) -> bool:
    """Tell whether a class has a value of its own under a name, other than a method."""
    missing = object()
    value = inspect.getattr_static(model, name, missing)
    if value is missing or name.startswith("_") or isinstance(value, _NO_VALUES):
        return False
    return not inspect.isroutine(value)


_NO_VALUES = (classmethod, staticmethod, type, ManagerDescriptor)
