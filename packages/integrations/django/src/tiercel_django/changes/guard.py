"""The time between reading a row and writing it, in which nobody else may write it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction

from tiercel_django.conf import current
from tiercel_django.rows.paths import Model


@contextmanager
def guarded(alias: str, model: Model, *, reads: bool = True) -> Iterator[None]:
    """Make a transaction in which rows that were read stay as they are until they are written.

    Where the database can lock rows, a write outside of any transaction gets one of its own.
    SQLite can only lock everything. In a transaction that is done at once, as the write itself
    would do it: a transaction that reads first and writes then fails if anybody else has written
    meanwhile. Outside of one nothing is locked, since that would cost more than the write.

    Args:
        alias: The database.
        model: What is going to be written.
        reads: Whether anything is read before. If not, there is nothing to lock.
    """
    connection = connections[alias]
    locks = reads and connection.features.has_select_for_update
    if connection.in_atomic_block:
        if reads and connection.vendor == "sqlite":
            _begin_writing(alias, model)
        yield
    elif locks or current().outbox:  # what the outbox says is written together with the row
        with transaction.atomic(using=alias, savepoint=False):
            yield
    else:
        yield


def _begin_writing(alias: str, model: Model) -> None:
    connection = connections[alias]
    with connection.cursor() as cursor:
        table = connection.ops.quote_name(model._meta.db_table)
        cursor.execute(f"DELETE FROM {table} WHERE 0 = 1")
