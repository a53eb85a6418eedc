"""A row as it was, or is: the values that rules ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models

from tiercel.spi import value_at
from tiercel_django.rows.paths import Model, Path


class Row:
    """One row of a model at one moment.

    Attributes:
        model: Its class, never a proxy's.
        alias: The database it is in.
        pk: Its primary key.
        values: What was read of it, by lookup.
        live: Whether it still is as it was read, so that more of it can be read now.
    """

    __slots__ = ("_instance", "alias", "live", "model", "pk", "values")

    def __init__(
        self,
        model: Model,
        alias: str,
        pk: Any,
        values: Mapping[str, Any],
        instance: models.Model | None = None,
    ) -> None:
        self.model = model
        self.alias = alias
        self.pk = pk
        self.values = values
        self.live = False
        self._instance = instance

    def instance(self, model: Model) -> models.Model:
        """Return the whole row.

        Args:
            model: Its class or a proxy of that; any other class is not that of the instance.

        Raises:
            LookupError: The row was not read as a whole, and now it is too late.
        """
        if self._instance is None and self.live:
            self._instance = plain_rows(self.model, self.alias).filter(pk=self.pk).first()
        if self._instance is None:
            raise LookupError(f"{self.model._meta.label} {self.pk!r} was not read as a whole")
        return _as_proxy(self._instance, model)

    def value(self, path: Path, model: Model) -> Any:
        """Return what stands at a path; of a relation to many rows always the same.

        Args:
            path: The path.
            model: The class that the path starts from; it may have properties of its own.

        Raises:
            LookupError: There is no such value.
        """
        if path.lookup is None:
            return () if path.many else value_at(self.instance(model), path.text.split("."))
        if path.lookup not in self.values:
            raise LookupError(f"{path.text!r} was not read")
        value = self.values[path.lookup]
        if path.rest:
            value = _within(value, path.rest)
        return reference(path.related, self.alias, value) if path.related else value

    def now(self, written: Mapping[str, Any]) -> Row:
        """Return the row as it is after these values were written."""
        row = Row(self.model, self.alias, self.pk, {**self.values, **written})
        row.live = True
        return row


def plain_rows(model: Model, alias: str) -> models.QuerySet[Any]:
    """Return all rows of a model, whatever its managers leave out."""
    return models.QuerySet(model).using(alias)


def reference(model: Model, alias: str, pk: Any) -> models.Model | None:
    """Return an instance that knows its primary key only, and loads the rest when asked."""
    if pk is None:
        return None
    return model.from_db(alias, [model._meta.pk.attname], [pk])


def _within(value: Any, names: Sequence[str]) -> Any:
    """Return what a column holds at a path; a key that a JSON does not have is None, as in SQL."""
    try:
        return value_at(value, names)
    except KeyError:
        return None


def _as_proxy(instance: models.Model, model: Model) -> models.Model:
    if not model._meta.proxy or model._meta.concrete_model is not type(instance):
        return instance
    names = [field.attname for field in instance._meta.concrete_fields]
    values = [instance.__dict__[name] for name in names]
    return model.from_db(str(instance._state.db), names, values)
