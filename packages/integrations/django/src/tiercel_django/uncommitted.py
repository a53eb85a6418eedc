"""Transactions that see what others do not: those that have written, or show an earlier state.

What is computed in one is not stored: it may be rolled back, or be older than the last drop. Blocks
that a `TestCase` opens around a test do not count, or nothing would be stored in tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

_HARMLESS: Final = re.compile(
    r"\s*(SELECT|EXPLAIN|SHOW|PRAGMA|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|SET)\b", re.IGNORECASE
)
_FROZEN: Final = ("repeatable", "serializable")
"""Isolation levels whose transactions go on showing the state that their first query saw."""

_written: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""For each connection the outermost block of the transaction in which it has written."""


def watch_connections() -> None:
    """Take note of what every connection writes from now on."""
    connection_created.connect(_watch, dispatch_uid="tiercel")
    for connection in connections.all(initialized_only=True):
        _watch(connection=connection)


def is_isolated() -> bool:
    """Tell whether a transaction of this thread sees what others do not."""
    return any(map(_sees_its_own, connections.all(initialized_only=True)))


def _sees_its_own(connection: BaseDatabaseWrapper) -> bool:
    block = _outermost(connection)
    if block is None:
        return False
    return _written.get(connection) is block or _is_frozen(connection)


def _outermost(connection: Any) -> Any:
    """Return the outermost block of a transaction that is no test's; None outside of any."""
    if not connection.in_atomic_block:
        return None
    return next((block for block in connection.atomic_blocks if not block._from_testcase), None)


def _is_frozen(connection: Any) -> bool:
    level = getattr(connection, "isolation_level", None)
    name = str(getattr(level, "name", level)).lower()
    return name.startswith(_FROZEN)


def _watch(*, connection: Any, **_: Any) -> None:
    if _note not in connection.execute_wrappers:
        connection.execute_wrappers.append(_note)


def _note(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Mapping[str, Any]
) -> Any:
    connection = context["connection"]
    if not connection.in_atomic_block:
        _written.pop(connection, None)  # a decorator makes all its transactions of one block
    elif not _HARMLESS.match(str(sql)):
        block = _outermost(connection)
        if block is not None:
            _written[connection] = block
    return execute(sql, params, many, context)
