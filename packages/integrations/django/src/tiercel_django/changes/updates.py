"""`QuerySet.update`, and `bulk_update`, which is built on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db import models

from tiercel.spi import Change, ChangeKind
from tiercel_django.changes.guard import guarded
from tiercel_django.changes.observe import Heirs, Rows, all_of, by_pk, linked, pairs, report
from tiercel_django.changes.watched import Watched, watched
from tiercel_django.rows.reading import TooMany, read, read_matching
from tiercel_django.rows.trust import UNSURE, written_by_update


class Updating:
    """One update of the rows that a query matches."""

    def __init__(self, watch: Watched, alias: str, given: Mapping[str, Any]) -> None:
        self.watch = watch
        self.alias = alias
        self._given = given
        self._old: Rows | None = None
        self._heirs: Heirs | None = None

    def begin(self, matching: models.QuerySet[Any]) -> None:
        """Look at the rows before they are written; more than are told apart are left alone."""
        key = self.watch.model._meta.pk
        if {"pk", key.name, key.attname} & self._given.keys():
            return  # rows cannot be followed from one key to another
        try:
            self._old = by_pk(read_matching(self.watch.shape, self.alias, matching))
        except TooMany:
            return
        if self.watch.heirs:
            self._heirs = Heirs(self.watch, self.alias, self._old)

    def end(self, count: int) -> None:
        """Report what has changed.

        Args:
            count: How many rows the database has written. If they are not as many as were looked
                at, there are others among them.
        """
        if count == 0 and not self._old:
            return
        told_apart = self._old is not None and len(self._old) == count
        report(self.alias, self._changes() if told_apart else self._everything())

    def _changes(self) -> Iterator[Change]:
        watch, old = self.watch, self._old or {}
        fields = watch.written(self._given)
        new = self._new(old)
        if watch.is_source:
            yield from pairs(watch.model, ChangeKind.UPDATED, old, new, fields)
        if self._heirs is not None:
            yield from self._heirs.changes(fields)
        if watch.links:
            yield from linked(watch, self.alias, [*old.values(), *new.values()])

    def _everything(self) -> Iterator[Change]:
        fields = self.watch.written(self._given)
        yield from all_of(self.watch, ChangeKind.UPDATED, fields)

    def _new(self, old: Rows) -> Rows:
        shape = self.watch.shape
        written = written_by_update(shape.model, shape.local, self._given)
        unsure = any(value is UNSURE for value in written.values())
        if unsure or any(name in shape.roads for name in written):
            return by_pk(read(shape, self.alias, old))
        return {pk: row.now(written) for pk, row in old.items()}


def observe_update(original: Callable[..., int]) -> Callable[..., int]:
    """Wrap `QuerySet.update`."""

    def update(self: models.QuerySet[Any], **kwargs: Any) -> int:
        watch = watched(self.model)
        if watch is None or self.query.is_sliced or self.query.combinator or not kwargs:
            return original(self, **kwargs)
        self._for_write = True  # type: ignore[attr-defined]
        updating = Updating(watch, self.db, kwargs)
        with guarded(self.db, watch.model):
            updating.begin(self)
            count = original(self, **kwargs)
            updating.end(count)
        return count

    update.alters_data = True  # type: ignore[attr-defined]
    return update
