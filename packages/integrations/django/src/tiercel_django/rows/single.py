"""Reading one row by its primary key: the statement is compiled once, since building it anew
takes several times as long as running it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connections

from tiercel_django.rows.reading import Shape, locked, read
from tiercel_django.rows.row import Row, plain_rows

Converter = Callable[[Any, Any, Any], Any]


class Statement(NamedTuple):
    """A compiled query for one row.

    Attributes:
        sql: Its text, with one parameter: the primary key.
        converters: For each column that needs them: its place, its functions, and the expression
            that these are given.
    """

    sql: str
    converters: Sequence[tuple[int, Sequence[Converter], Any]]


class SingleRead:
    """Reads one row at a time of a shape."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._statements: dict[tuple[str, bool], Statement | None] = {}
        self._plain = bool(shape.local) and not (shape.joined or shape.whole)

    def __call__(self, alias: str, pk: Any, *, lock: bool) -> Row | None:
        """Return a row, or None if there is none; see `read`."""
        statement = self._statement(alias, pk, lock) if self._plain else None
        if statement is None:
            return next(iter(read(self.shape, alias, [pk], lock=lock)), None)
        key = self.shape.model._meta.pk
        connection = connections[alias]
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, (key.get_db_prep_value(pk, connection, prepared=False),))
            found = cursor.fetchone()
        if found is None:
            return None
        values = list(found)
        for place, converters, expression in statement.converters:
            for convert in converters:
                values[place] = convert(values[place], expression, connection)
        names = (self.shape.key, *self.shape.local)
        row = Row(self.shape.model, alias, values[0], dict(zip(names, values, strict=True)))
        row.live = not lock
        return row

    def _statement(self, alias: str, pk: Any, lock: bool) -> Statement | None:
        known = self._statements.get((alias, lock), self)
        if known is not self:
            return known  # type: ignore[return-value]
        made = self._compile(alias, pk, lock)
        self._statements[alias, lock] = made
        return made

    def _compile(self, alias: str, pk: Any, lock: bool) -> Statement | None:
        names = (self.shape.key, *self.shape.local)
        rows = plain_rows(self.shape.model, alias).filter(pk=pk).values_list(*names)
        compiler: Any = (locked(rows) if lock else rows).query.get_compiler(alias)
        try:
            sql, parameters = compiler.as_sql()
        except EmptyResultSet:
            return None
        if len(parameters) != 1:  # a key of several columns
            return None
        columns = [expression for expression, *_ in compiler.select]
        converters = compiler.get_converters(columns)
        return Statement(sql, [(place, *each) for place, each in converters.items()])
