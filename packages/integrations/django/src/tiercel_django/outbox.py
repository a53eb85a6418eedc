"""Work that survives the process which made it necessary: stored with the change, relayed later.

A process that commits a change carries out its work and forgets the entry. If it ends between the
two, the entry stays, and a relay does the work: the command `manage.py tiercel relay`, or a thread
of another process. Work may so be done twice, which drops again what was dropped; never not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import DatabaseError, connections, models, router, transaction
from django.utils import timezone

from tiercel.spi import BadMessage, Work, carry_out
from tiercel_django.conf import current
from tiercel_django.rows.row import plain_rows

if TYPE_CHECKING:
    from tiercel_django.models import OutboxEntry

logger = logging.getLogger("tiercel.django")

CLAIM = 60.0
"""Seconds that a relay has to do what it has taken before another one takes it."""

LONGEST_WAIT = 300.0
"""Seconds between two attempts at most."""

_tables: set[str] = set()


def store(alias: str, works: Sequence[Work]) -> list[int]:
    """Write works to the outbox in the open transaction.

    Returns:
        The primary keys of the entries.
    """
    if not works or not is_there(alias):
        return []
    due = _in(current().outbox_grace)
    entries = [_model()(work=text, due=due) for text in map(_text, works) if text is not None]
    if connections[alias].features.can_return_rows_from_bulk_insert:
        _entries(alias).bulk_create(entries)
    else:
        for entry in entries:
            entry.save(using=alias, force_insert=True)
    return [entry.pk for entry in entries]


def forget(alias: str, entries: Sequence[int]) -> None:
    """Remove entries whose work is done."""
    rows = _entries(alias).filter(pk__in=entries)
    rows._raw_delete(alias)


def forget_done(alias: str, entries: Sequence[int]) -> None:
    """Do what `forget` does for whoever has just committed; if the database is gone since, entries
    stay, and their work is done once more.
    """
    try:
        forget(alias, entries)
    except DatabaseError as error:
        logger.warning("%d outbox entries of %r are done, but stay: %s", len(entries), alias, error)


def relay(alias: str, limit: int = 100) -> tuple[int, int]:
    """Do what is due of one database's outbox.

    Args:
        alias: The database.
        limit: Entries to take at once.

    Returns:
        How many entries were done, and how many have failed and will be tried again.
    """
    taken = _take(alias, limit)
    done = [entry.pk for entry in taken if _perform(alias, entry)]
    if done:
        forget(alias, done)
    return len(done), len(taken) - len(done)


def pending(alias: str) -> int:
    """Return the number of entries in one database's outbox."""
    return _entries(alias).count() if is_there(alias) else 0


def is_there(alias: str) -> bool:
    """Tell whether a database has the table; a change in one that has not is not stored."""
    if alias in _tables:
        return True
    connection = connections[alias]
    if _model()._meta.db_table in connection.introspection.table_names():
        _tables.add(alias)
        return True
    if router.allow_migrate_model(alias, _model()):
        logger.error("database %r has no outbox: run manage.py migrate --database %s", alias, alias)
    return False


def _take(alias: str, limit: int) -> list[OutboxEntry]:
    """Take the oldest entries that are due, such that no other relay takes them meanwhile."""
    features = connections[alias].features
    due = _entries(alias).filter(due__lte=timezone.now()).order_by("pk")
    with transaction.atomic(using=alias):
        if features.has_select_for_update:
            due = due.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
        taken = list(due[:limit])
        pks = [entry.pk for entry in taken]
        _entries(alias).filter(pk__in=pks).update(due=_in(CLAIM))
    return taken


def _perform(alias: str, entry: OutboxEntry) -> bool:
    try:
        undone = carry_out([Work.from_json(entry.work)])
        error = "nobody could do it yet" if undone else ""
    except BadMessage as wrong:
        error = f"not understood: {wrong}"
    except Exception as failed:
        error = f"{type(failed).__name__}: {failed}"
    if error:
        _put_off(alias, entry, error)
    return not error


def _put_off(alias: str, entry: OutboxEntry, error: str) -> None:
    attempts = entry.attempts + 1
    wait = min(2.0 ** min(attempts, 16), LONGEST_WAIT)
    logger.warning("outbox entry %s failed, next attempt in %.0f s: %s", entry.pk, wait, error)
    changed = {"attempts": attempts, "due": _in(wait), "error": error[:1000]}
    _entries(alias).filter(pk=entry.pk).update(**changed)


def _text(work: Work) -> str | None:
    try:
        return work.to_json()
    except (TypeError, ValueError) as error:
        logger.error(
            "rule %r of %s cannot be stored in the outbox: %s", work.rule, work.function, error
        )
        return None


def _entries(alias: str) -> models.QuerySet[OutboxEntry]:
    return plain_rows(_model(), alias)


def _model() -> type[OutboxEntry]:
    from tiercel_django.models import OutboxEntry

    return OutboxEntry


def _in(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)
