"""Models and their instances as arguments of tasks."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import models

from tiercel_django.rows.row import plain_rows

_INSTANCE, _CLASS = "django.instance", "django.model"


def pack(value: object) -> tuple[str, Any] | None:
    """Take a model or an instance apart: its label; its label, primary key and database.

    Instances without a primary key stand for nothing that another process could find.
    """
    if isinstance(value, models.Model):
        if value.pk is None:
            return None
        return _INSTANCE, [value._meta.label, value.pk, value._state.db]  # it may be a lazy proxy
    if isinstance(value, type) and issubclass(value, models.Model):
        return _CLASS, value._meta.label
    return None


def unpack(tag: str, data: Any) -> Any:
    """Find a model, or load an instance from the database that it came from.

    Raises:
        LookupError: There is no such model or row any more.
    """
    if tag == _CLASS:
        return apps.get_model(data)
    if tag != _INSTANCE:
        raise LookupError(f"{tag} is nothing of Django")
    label, pk, alias = data
    model = apps.get_model(label)
    found = plain_rows(model, alias or "default").filter(pk=pk).first()
    if found is None:
        raise LookupError(f"{label} {pk!r} does not exist any more")
    return found
