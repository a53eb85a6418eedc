"""Reading rows as they are in the database, before and after somebody writes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import connections, models
from django.db.models.sql.constants import INNER

from tiercel_django.rows.paths import Model, Path
from tiercel_django.rows.row import Row, plain_rows

MOST_ROWS = 1000
"""More rows than this are not told apart: their functions are dropped as a whole."""

_CHUNK = 500  # primary keys in one query; every database takes that many


class TooMany(Exception):
    """More rows than are told apart."""


class Shape(NamedTuple):
    """What is read of each row of a model.

    Attributes:
        model: Its class, never a proxy's.
        key: The name of its primary key.
        local: Columns of its own table and of those that it inherits from, without the key.
        joined: Lookups that lead to other tables.
        roads: Those of the columns by which these lookups leave the row.
        whole: Whether the rows are wanted as instances.
    """

    model: Model
    key: str
    local: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    roads: tuple[str, ...] = ()
    whole: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the primary key says everything."""
        return not (self.local or self.joined or self.whole)


def shape_of(model: Model, paths: Iterable[Path], columns: Iterable[str] = ()) -> Shape:
    """Return what has to be read so that these paths have values, and these columns, too."""
    chosen = [path for path in paths if not path.many]
    joined = [path for path in chosen if path.lookup is not None and not path.is_local]
    roads = [path.field.attname for path in joined if path.field.concrete]
    local = [path.lookup for path in chosen if path.lookup is not None and path.is_local]
    names = dict.fromkeys([*local, *roads, *columns])
    key = model._meta.pk.attname
    names.pop(key, None)
    return Shape(
        model,
        key,
        tuple(names),
        tuple(dict.fromkeys(path.lookup for path in joined if path.lookup)),
        tuple(dict.fromkeys(roads)),
        any(path.lookup is None for path in chosen),
    )


def bare_row(shape: Shape, alias: str, pk: Any) -> Row:
    """Return a row of which only the primary key is known."""
    return Row(shape.model, alias, pk, {shape.key: pk})


def read(shape: Shape, alias: str, pks: Collection[Any], *, lock: bool = False) -> list[Row]:
    """Read rows by their primary keys; those that do not exist are left out.

    Args:
        shape: What to read of each.
        alias: The database.
        pks: Their primary keys.
        lock: Let nobody else write these rows until the transaction ends. Without it, the rows
            are those after a write.
    """
    rows: list[Row] = []
    for chunk in _chunks(pks):
        rows += _read(shape, plain_rows(shape.model, alias).filter(pk__in=chunk), lock=lock)
    for row in rows:
        row.live = not lock
    return rows


def read_matching(shape: Shape, alias: str, matching: models.QuerySet[Any]) -> list[Row]:
    """Read and lock the rows that a query matches.

    Raises:
        TooMany: There are more than `MOST_ROWS`.
    """
    found: models.QuerySet[Any] = models.QuerySet(
        matching.model, matching.query.chain(), alias
    ).order_by()
    if not _can_be_locked(found):
        pks = list(dict.fromkeys(_limited(found.values_list("pk", flat=True))))
        return read(shape, alias, pks, lock=True)
    return _read(shape, found, lock=True)


def _read(shape: Shape, rows: models.QuerySet[Any], *, lock: bool) -> list[Row]:
    if lock:
        rows = locked(rows)
    found = _whole(shape, rows) if shape.whole else _columns(shape, rows)
    return _with_joined(shape, found)


def _whole(shape: Shape, rows: models.QuerySet[Any]) -> list[Row]:
    plain = rows.select_related(None).prefetch_related(None).defer(None)
    instances = {each.pk: each for each in _limited(plain)}
    return [row_of(shape, rows.db, pk, each) for pk, each in instances.items()]


def row_of(shape: Shape, alias: str, pk: Any, instance: models.Model) -> Row:
    """Return the row that was just loaded as an instance, without what other tables say."""
    state = instance.__dict__
    values = {name: state[name] for name in shape.local}
    values[shape.key] = pk
    return Row(shape.model, alias, pk, values, instance)


def _columns(shape: Shape, rows: models.QuerySet[Any]) -> list[Row]:
    names = (shape.key, *shape.local)
    found = {values[0]: values for values in _limited(rows.values_list(*names))}
    return [
        Row(shape.model, rows.db, pk, dict(zip(names, values, strict=True)))
        for pk, values in found.items()
    ]


def _with_joined(shape: Shape, rows: list[Row]) -> list[Row]:
    """Add what other tables say. They are not locked: an outer join cannot be."""
    if not shape.joined or not rows:
        return rows
    named = {row.pk: row for row in rows}
    for chunk in _chunks(named):
        query = plain_rows(shape.model, rows[0].alias).filter(pk__in=chunk)
        for pk, *values in query.values_list("pk", *shape.joined):
            named[pk].values = {
                **named[pk].values,
                **dict(zip(shape.joined, values, strict=True)),
            }
    return rows


def _limited(rows: Iterable[Any]) -> Iterator[Any]:
    limited = rows[: MOST_ROWS + 1] if isinstance(rows, models.QuerySet) else rows
    for number, row in enumerate(limited):
        if number == MOST_ROWS:
            raise TooMany
        yield row


def locked(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Make a query lock the rows that it finds, where the database can."""
    features = connections[rows.db].features
    if not features.has_select_for_update:
        return rows
    return rows.select_for_update(no_key=bool(features.has_select_for_no_key_update))


def _can_be_locked(rows: models.QuerySet[Any]) -> bool:
    """Tell whether the rows that a query finds are rows of tables, each of which can be locked."""
    query = rows.query
    if query.distinct or query.group_by is not None or query.annotations:
        return False
    joins = (getattr(each, "join_type", None) for each in query.alias_map.values())
    return all(each in (None, INNER) for each in joins)


def _chunks(pks: Iterable[Any]) -> Iterator[Sequence[Any]]:
    every = list(pks)
    for start in range(0, len(every), _CHUNK):
        yield every[start : start + _CHUNK]
