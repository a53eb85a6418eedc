"""Which values in memory are known to be what the database would answer.

An attribute may hold a text where the column is a number, an expression, a member of an
enumeration, a time in another zone. Rules compare and build keys, so they need the value that a
reader of the row gets. Where that is not certain, the row is read once more after the write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from enum import Enum
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models

from tiercel_django.rows.paths import Model

UNSURE = object()
"""Stands for a value that only the database knows."""

_TYPES: Mapping[type[models.Field[Any, Any]], type] = {
    **dict.fromkeys(
        [
            models.AutoField, models.BigAutoField, models.SmallAutoField,
            models.IntegerField, models.BigIntegerField, models.SmallIntegerField,
            models.PositiveIntegerField, models.PositiveBigIntegerField,
            models.PositiveSmallIntegerField,
        ],
        int,
    ),
    **dict.fromkeys([models.CharField, models.TextField, models.SlugField], str),
    **dict.fromkeys([models.EmailField, models.URLField], str),
    models.BooleanField: bool,
    models.DateField: date,
    models.UUIDField: UUID,
}  # fmt: skip
"""The fields whose values can be known, with the only type that these then have."""


def certain(field: Any, value: Any) -> Any:
    """Return the value that a column has after `value` was written, or `UNSURE`."""
    while field.is_relation:
        field = field.target_field
    if value is None:
        return None
    kind = _TYPES.get(type(field))
    if type(value) is kind:
        return value
    if isinstance(value, Enum) and type(value.value) is kind:
        return value.value
    if kind in (int, UUID) and type(value) is str:
        return _converted(kind, value)
    return UNSURE


def key_of(instance: models.Model) -> Any:
    """Return the primary key of an instance as the database has it."""
    field: Any = instance._meta.pk
    value = instance.pk
    key = certain(field, value)
    if key is not UNSURE:
        return key
    try:
        return field.to_python(value)
    except ValidationError:  # it cannot be saved either
        return value


def written_by_save(
    instance: models.Model, lookups: Iterable[str], fields: frozenset[str] | None
) -> dict[str, Any]:
    """Return what a save has written of these columns; those that it has not are left out."""
    found = {}
    for lookup in lookups:
        field: Any = instance._meta.get_field(lookup)
        if fields is None or field.name in fields or lookup in fields or field.primary_key:
            state = instance.__dict__
            found[lookup] = certain(field, state[lookup]) if lookup in state else UNSURE
    return found


def written_by_update(
    model: Model, lookups: Iterable[str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what `update(**given)` has written of these columns."""
    wanted, found = set(lookups), {}
    for name, value in given.items():
        field: Any = model._meta.pk if name == "pk" else model._meta.get_field(name)
        if field.attname in wanted:
            if isinstance(value, models.Model):
                value = getattr(value, field.target_field.attname)
            found[field.attname] = certain(field, value)
    return found


def _converted(kind: Any, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        return UNSURE
