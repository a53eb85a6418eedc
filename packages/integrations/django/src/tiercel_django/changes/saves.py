"""`Model.save` and what is built on it: `create`, `get_or_create`, `update_or_create`, fixtures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import models, router

from tiercel.spi import Change, ChangeKind
from tiercel_django.changes.guard import guarded
from tiercel_django.changes.observe import Heirs, linked, report
from tiercel_django.changes.watched import Watched, watched
from tiercel_django.conf import current
from tiercel_django.rows.paths import Model
from tiercel_django.rows.reading import bare_row
from tiercel_django.rows.row import Row
from tiercel_django.rows.trust import UNSURE, key_of, written_by_save
from tiercel_django.transactions import hold_errors, raise_errors, release_errors


class Saving:
    """One call of `save`, which writes one table or, where models inherit, several.

    The row is read right before the first table is written, in the transaction that writes it.
    What the instance held when it was loaded may be out of date: others write, too.
    """

    def __init__(
        self, watch: Watched, instance: models.Model, alias: str, fields: Any, raw: bool
    ) -> None:
        self.watch = watch
        self.instance = instance
        self.alias = alias
        self._fields: frozenset[str] | None = None if fields is None else frozenset(fields)
        self._old: Row | None = None
        self._heirs: Heirs | None = None
        self._raw = raw
        self._begun = False

    def guard(self, model: Model) -> AbstractContextManager[None]:
        """Return what a table is written in; nothing if nothing has to be kept together."""
        reads = self.watch.reads and not self._begun
        return guarded(self.alias, model, reads=reads) if reads or current().outbox else _NOTHING

    def begin(self, *, insert: bool) -> None:
        """Look at the row as it is before it is written, unless it will be a new one."""
        if self._begun:
            return
        self._begun = True
        pk = key_of(self.instance)
        if pk is None or insert or _gets_new_key(self.instance):
            return
        if not self.watch.reads:
            self._old = bare_row(self.watch.shape, self.alias, pk)
            return
        self._old = self.watch.read_one(self.alias, pk, lock=True)
        if self.watch.heirs:
            self._heirs = Heirs(self.watch, self.alias, [pk])

    def end(self, *, created: bool) -> None:
        """Report what has changed."""
        old = None if created else self._old
        report(self.alias, self._changes(old, self._new(old), created))

    def _changes(self, old: Row | None, new: Row, created: bool) -> Iterator[Change]:
        fields = None if self._fields is None else self.watch.written(self._fields)
        if self.watch.is_source:
            kind = ChangeKind.CREATED if created else ChangeKind.UPDATED
            yield Change(source=type(self.instance), kind=kind, old=old, new=new, fields=fields)
        if self._heirs is not None:
            yield from self._heirs.changes(fields)
        if self.watch.links:
            yield from linked(self.watch, self.alias, [each for each in (old, new) if each])

    def _new(self, old: Row | None) -> Row:
        """Return the row as it is now; read again if memory does not say for certain."""
        watch, pk = self.watch, key_of(self.instance)
        if watch.shape.is_empty:
            return bare_row(watch.shape, self.alias, pk).now({})
        written = written_by_save(self.instance, watch.shape.local, self._fields)
        new = (old or bare_row(watch.shape, self.alias, pk)).now(written)
        if _is_certain(watch, old, new) and not (self._raw and watch.reads):
            return new
        return watch.read_one(self.alias, pk, lock=False) or new


def _is_certain(watch: Watched, old: Row | None, new: Row) -> bool:
    """Tell whether every value of a row is known without reading it once more."""
    shape = watch.shape
    if any(new.values.get(name, UNSURE) is UNSURE for name in shape.local):
        return False
    if not shape.joined:
        return True
    return old is not None and all(old.values[name] == new.values[name] for name in shape.roads)


def _gets_new_key(instance: models.Model) -> bool:
    """Tell whether Django inserts without trying an update: the key was made by the model."""
    keys = instance._meta.pk_fields
    return instance._state.adding and all(
        field.has_default() or field.has_db_default() for field in keys
    )


class _Active(threading.local):
    saving: Saving | None = None


_active = _Active()
_NOTHING = nullcontext()


def observe_save_base(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `Model.save_base`: it begins and ends what is one save."""

    def save_base(
        self: models.Model,
        raw: bool = False,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Any = None,
    ) -> None:
        watch = watched(type(self))
        if watch is None or (raw and not current().raw):
            original(self, raw, force_insert, force_update, using, update_fields)
            return
        using = using or router.db_for_write(type(self), instance=self)
        outer, held = _active.saving, hold_errors()
        _active.saving = Saving(watch, self, using, update_fields, raw)
        try:
            original(self, raw, force_insert, force_update, using, update_fields)
        finally:
            _active.saving = outer
            errors = release_errors(held)
        if errors:
            raise_errors(errors)

    return save_base


def observe_save_table(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `Model._save_table`, which writes one table and runs no code of receivers."""

    def _save_table(
        self: models.Model,
        raw: bool = False,
        cls: Any = None,
        force_insert: bool = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Any = None,
    ) -> Any:
        saving = _active.saving
        if saving is None or saving.instance is not self:
            return original(self, raw, cls, force_insert, force_update, using, update_fields)
        with saving.guard(cls):
            saving.begin(insert=force_insert)
            updated = original(self, raw, cls, force_insert, force_update, using, update_fields)
            if cls is self._meta.concrete_model:
                saving.end(created=not updated)
        return updated

    return _save_table
