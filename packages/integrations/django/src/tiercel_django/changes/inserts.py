"""`QuerySet.bulk_create`, and the adding of relations, which is built on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.db import models
from django.db.models import Q

from tiercel.spi import Change, ChangeKind
from tiercel_django.changes.guard import guarded
from tiercel_django.changes.observe import Rows, all_of, by_pk, linked, pairs, report
from tiercel_django.changes.watched import Watched, watched
from tiercel_django.rows.reading import MOST_ROWS, bare_row, read
from tiercel_django.rows.row import Row, plain_rows
from tiercel_django.rows.trust import UNSURE, key_of, written_by_save

_AT_ONCE = 100  # rows named by several columns in one query


class Inserting:
    """One `bulk_create`, without regard to rows that were there before."""

    kinds: tuple[ChangeKind, ...] = (ChangeKind.CREATED,)

    def __init__(self, watch: Watched, alias: str, instances: Sequence[models.Model]) -> None:
        self.watch = watch
        self.alias = alias
        self.instances = instances

    def begin(self) -> None:
        """Look at what is there before anything is written."""

    def end(self) -> None:
        """Report what has changed."""
        known = len(self.instances) <= MOST_ROWS
        report(self.alias, self._changes() if known else self._everything())

    def _everything(self) -> Iterator[Change]:
        for kind in self.kinds:
            yield from all_of(self.watch, kind)

    def _changes(self) -> Iterator[Change]:
        watch = self.watch
        if watch.is_source and any(each.pk is None for each in self.instances):
            yield Change(source=watch.model, kind=ChangeKind.CREATED, bulk=True)
        elif watch.is_source:
            yield from pairs(watch.model, ChangeKind.CREATED, {}, self._new(), None)
        if watch.links:
            yield from linked(watch, self.alias, map(self._row, self.instances))

    def _new(self) -> Rows:
        shape = self.watch.shape
        rows = by_pk(map(self._row, self.instances))
        values = [value for row in rows.values() for value in row.values.values()]
        if shape.joined or any(value is UNSURE for value in values):
            return by_pk(read(shape, self.alias, rows))
        return rows

    def _row(self, instance: models.Model) -> Row:
        shape = self.watch.shape
        pk = key_of(instance)
        written = written_by_save(instance, shape.local, None)
        return bare_row(shape, self.alias, pk).now(written)


class Merging(Inserting):
    """A `bulk_create` that writes over rows which are there already.

    Args:
        unique: Names of the columns that tell rows apart; empty: only the database knows.
        fields: Names of those that are written over.
    """

    kinds = (ChangeKind.CREATED, ChangeKind.UPDATED)

    def __init__(
        self,
        watch: Watched,
        alias: str,
        instances: Sequence[models.Model],
        unique: Collection[str],
        fields: Collection[str],
    ) -> None:
        super().__init__(watch, alias, instances)
        options = watch.model._meta
        self._unique = [options.pk.attname if name == "pk" else name for name in unique]
        self._fields = watch.written(fields)
        self._old: Rows = {}

    def begin(self) -> None:
        """Look at the rows that will be written over."""
        if self._unique and len(self.instances) <= MOST_ROWS:
            self._old = self._find(lock=True)

    def _changes(self) -> Iterator[Change]:
        watch, old = self.watch, self._old
        if not self._unique:
            yield from self._everything()
            return
        new = self._find(lock=False)
        if watch.is_source:
            fresh = {pk: row for pk, row in new.items() if pk not in old}
            kept = {pk: row for pk, row in new.items() if pk in old}
            yield from pairs(watch.model, ChangeKind.CREATED, {}, fresh, None)
            yield from pairs(watch.model, ChangeKind.UPDATED, old, kept, self._fields)
        if watch.links:
            yield from linked(watch, self.alias, [*old.values(), *new.values()])

    def _find(self, *, lock: bool) -> Rows:
        pks: dict[Any, None] = {}
        for start in range(0, len(self.instances), _AT_ONCE):
            some = self.instances[start : start + _AT_ONCE]
            keys = [Q(**{name: getattr(each, name) for name in self._unique}) for each in some]
            rows = plain_rows(self.watch.model, self.alias).filter(reduce(or_, keys))
            pks |= dict.fromkeys(rows.values_list("pk", flat=True))
        return by_pk(read(self.watch.shape, self.alias, pks, lock=lock))


def observe_bulk_create(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `QuerySet.bulk_create`."""

    def bulk_create(
        self: models.QuerySet[Any],
        objs: Any,
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Any = None,
        unique_fields: Any = None,
    ) -> Any:
        watch = watched(self.model)
        options = (batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields)
        instances = list(objs) if watch is not None else objs
        if watch is None or not instances:
            return original(self, instances, *options)
        self._for_write = True  # type: ignore[attr-defined]
        inserting = Inserting(watch, self.db, instances)
        if update_conflicts:
            fields = list(update_fields or ())
            inserting = Merging(watch, self.db, instances, list(unique_fields or ()), fields)
        with guarded(self.db, watch.model, reads=update_conflicts):
            inserting.begin()
            created = original(self, instances, *options)
            inserting.end()
        return created

    bulk_create.alters_data = True  # type: ignore[attr-defined]
    return bulk_create
