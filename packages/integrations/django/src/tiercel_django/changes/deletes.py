"""Deleting: of instances, of what queries match, and of what goes or changes with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db import models
from django.db.models.deletion import Collector

from tiercel.spi import Change, ChangeKind
from tiercel_django.changes.guard import guarded
from tiercel_django.changes.observe import Rows, all_of, by_pk, linked, pairs, report
from tiercel_django.changes.updates import Updating
from tiercel_django.changes.watched import Watched, watched
from tiercel_django.rows.paths import Model
from tiercel_django.rows.reading import MOST_ROWS, TooMany, read, read_matching
from tiercel_django.rows.row import plain_rows


class Deleting:
    """Rows of one model that are about to vanish; all of each is read, since nobody can later."""

    def __init__(self, watch: Watched, alias: str) -> None:
        self.watch = watch
        self.alias = alias
        self._old: Rows | None = None

    def begin_keys(self, pks: list[Any]) -> None:
        """Look at the rows with these primary keys."""
        if len(pks) <= MOST_ROWS:
            self._old = by_pk(read(self.watch.whole_shape, self.alias, pks, lock=True))

    def begin_matching(self, matching: models.QuerySet[Any]) -> None:
        """Look at the rows that a query matches."""
        try:
            self._old = by_pk(read_matching(self.watch.whole_shape, self.alias, matching))
        except TooMany:
            self._old = None

    def end(self, count: int | None = None) -> None:
        """Report what has gone.

        Args:
            count: How many rows the database says it has deleted, if it is known.
        """
        told_apart = self._old is not None and count in (None, len(self._old))
        report(self.alias, self._changes() if told_apart else self._everything())

    def _everything(self) -> Iterator[Change]:
        yield from all_of(self.watch, ChangeKind.DELETED)

    def _changes(self) -> Iterator[Change]:
        watch, old = self.watch, self._old or {}
        if watch.is_source:
            yield from pairs(watch.model, ChangeKind.DELETED, old, {}, None)
        if watch.links:
            yield from linked(watch, self.alias, old.values())


def observe_collector_delete(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `Collector.delete`, by which instances and cascades are deleted."""

    def delete(self: Collector) -> Any:
        deleting = list(_found(self))
        updating = list(_set_elsewhere(self))
        if not deleting and not updating:
            return original(self)
        model = (deleting[0][0] if deleting else updating[0][0]).watch.model
        with guarded(self.using, model):
            for gone, pks in deleting:
                gone.begin_keys(pks)
            for other, pks in updating:
                other.begin(plain_rows(other.watch.model, self.using).filter(pk__in=pks))
            result = original(self)
            for other, pks in updating:
                other.end(len(pks))
            for gone, _ in deleting:
                gone.end()
        return result

    return delete


def observe_raw_delete(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `QuerySet._raw_delete`, by which rows are deleted that nobody wants to see before."""

    def _raw_delete(self: models.QuerySet[Any], using: str) -> Any:
        watch = watched(self.model)
        if watch is None:
            return original(self, using)
        deleting = Deleting(watch, using)
        with guarded(using, watch.model):
            deleting.begin_matching(self)
            count = original(self, using)
            deleting.end(count)
        return count

    return _raw_delete


def _found(collector: Collector) -> Iterator[tuple[Deleting, list[Any]]]:
    for model, instances in collector.data.items():
        watch = watched(model) if instances else None
        if watch is not None:
            yield Deleting(watch, collector.using), [each.pk for each in instances]


def _set_elsewhere(collector: Collector) -> Iterator[tuple[Updating, list[Any]]]:
    """Find what is set to something else; what is found by a query alone, `update` reports."""
    updates: Any = collector.field_updates
    for (field, value), several in updates.items():
        model: Model = field.model
        watch = watched(model)
        loaded = (each for each in several if not _is_query(each))
        pks = list(dict.fromkeys(each.pk for instances in loaded for each in instances))
        if watch is not None and pks:
            yield Updating(watch, collector.using, {field.name: value}), pks


def _is_query(instances: Any) -> bool:
    return isinstance(instances, models.QuerySet) and instances._result_cache is None
