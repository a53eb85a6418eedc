"""Rows as data that a task can carry, and as instances again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import models
from django.db.models.fields.files import FieldFile

CARRIED = frozenset(
    [type(None), bool, int, float, str, bytes, date, datetime, time, timedelta, Decimal, UUID]
)
"""Types of values that travel as they are; all else travels as the text of fixtures."""

_MODEL, _ALIAS, _TEXTS = "=model", "=alias", "=texts"  # no field is called like that


def snapshot(instance: models.Model) -> dict[str, Any]:
    """Return every column of a row, with its model and database."""
    found: dict[str, Any] = {_MODEL: instance._meta.label, _ALIAS: instance._state.db}
    texts = []
    for field in instance._meta.concrete_fields:
        value = field.value_from_object(instance)
        if isinstance(value, FieldFile):
            value = value.name
        if type(value) not in CARRIED:
            value = field.value_to_string(instance)
            texts.append(field.attname)
        found[field.attname] = value
    return found | {_TEXTS: texts}


def rebuild(snapshot: Mapping[str, Any]) -> models.Model:
    """Return the instance that `snapshot` was made of, whether or not its row still exists."""
    model: type[models.Model] = apps.get_model(snapshot[_MODEL])
    texts = frozenset(snapshot[_TEXTS])
    names, values = [], []
    for field in model._meta.concrete_fields:
        name = field.attname
        if name in snapshot:
            names.append(name)
            value = snapshot[name]
            values.append(field.to_python(value) if name in texts else value)
    return model.from_db(snapshot[_ALIAS], names, values)
