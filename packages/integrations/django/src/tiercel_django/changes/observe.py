"""From rows before and after a write to the work that it makes necessary."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from tiercel.spi import Change, ChangeKind, plan
from tiercel_django.changes.links import Link
from tiercel_django.changes.watched import Watched, watched
from tiercel_django.rows.paths import Model
from tiercel_django.rows.reading import MOST_ROWS, Shape, bare_row, read
from tiercel_django.rows.row import Row, plain_rows
from tiercel_django.transactions import after_commit

Rows = Mapping[Any, Row]


def report(alias: str, changes: Iterable[Change]) -> None:
    """Plan what changes make necessary, now, and have it done after the commit."""
    after_commit(alias, [work for change in changes for work in plan(change)])


def pairs(model: Model, kind: ChangeKind, old: Rows, new: Rows, fields: Any) -> Iterator[Change]:
    """Yield a change for each row that was there before, after, or both times."""
    for pk in {**old, **new}:
        before, after = old.get(pk), new.get(pk)
        yield Change(source=model, kind=kind, old=before, new=after, fields=fields)


def all_of(
    watch: Watched, kind: ChangeKind, fields: frozenset[str] | None = None
) -> Iterator[Change]:
    """Yield the changes of more rows of a model than are told apart."""
    for each in [watch, *heirs_of(watch)]:
        if each.is_source:
            yield Change(source=each.model, kind=kind, fields=fields, bulk=True)
    for link in watch.links:
        for end in _at_end(link):
            yield _of_all_ends(link, end)


class Heirs:
    """Rows of models that inherit from one that is written: it holds a part of what they have."""

    def __init__(self, watch: Watched, alias: str, pks: Iterable[Any]) -> None:
        self._alias = alias
        self._key = watch.model._meta.pk.attname
        self._pks = list(pks)
        self._before = [(each, self._read(each, lock=True)) for each in heirs_of(watch)]

    def changes(self, fields: frozenset[str] | None) -> Iterator[Change]:
        """Yield what has changed of them; after the write."""
        for watch, before in self._before:
            after = self._read(watch, lock=False)
            yield from pairs(watch.model, ChangeKind.UPDATED, before, after, fields)

    def _read(self, watch: Watched, *, lock: bool) -> Rows:
        rows = plain_rows(watch.model, self._alias).filter(**{f"{self._key}__in": self._pks})
        pks = list(rows.values_list("pk", flat=True))
        return by_pk(read(watch.shape, self._alias, pks, lock=lock))


def heirs_of(watch: Watched) -> list[Watched]:
    """Return what is watched of the models that inherit from one."""
    return [each for each in map(watched, watch.heirs) if each is not None]


def by_pk(rows: Iterable[Row]) -> Rows:
    """Sort rows by their primary keys."""
    return {row.pk: row for row in rows}


def linked(watch: Watched, alias: str, rows: Iterable[Row]) -> Iterator[Change]:
    """Yield the changes of the models at both ends of rows between them."""
    touched = list(rows)
    for link in watch.links:
        ends = dict.fromkeys(row.values[link.column] for row in touched)
        ends.pop(None, None)
        yield from _ends(link, alias, list(ends))


def _ends(link: Link, alias: str, targets: Collection[Any]) -> Iterator[Change]:
    for end in _at_end(link):
        if len(targets) > MOST_ROWS:
            yield _of_all_ends(link, end)
            continue
        for row in _read_ends(end.shape, link, alias, targets):
            yield Change(
                source=end.model, kind=ChangeKind.UPDATED, old=row, new=row, fields=link.names
            )


def _at_end(link: Link) -> list[Watched]:
    watch = watched(link.model)
    every = [] if watch is None else [watch, *heirs_of(watch)]
    return [each for each in every if each.is_source]


def _of_all_ends(link: Link, end: Watched) -> Change:
    return Change(source=end.model, kind=ChangeKind.UPDATED, fields=link.names, bulk=True)


def _read_ends(shape: Shape, link: Link, alias: str, targets: Collection[Any]) -> list[Row]:
    if link.target == shape.key:
        if shape.is_empty:
            return [bare_row(shape, alias, pk).now({}) for pk in targets]
        return read(shape, alias, targets)
    rows = plain_rows(shape.model, alias).filter(**{f"{link.target}__in": list(targets)})
    return read(shape, alias, list(rows.values_list("pk", flat=True)))
