"""Which entries of a function are there: listed from its index, or from memory where it has none.

A listing may show what is gone, so what it shows is looked at again before it counts as live. What
it cannot show, it says: see `Entries.complete`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

from tiercel.contracts.backend import DropScopes, Key, Scope
from tiercel.contracts.index import ListEntries, Probe
from tiercel.engine.drop import drop_listed, drop_scopes
from tiercel.engine.effects import Steps
from tiercel.engine.state import Call, NotedOrigin, Subject
from tiercel.errors import BackendError

PAGE: Final = 500
"""Entries that are asked for at a time: few enough not to hold up an event loop."""

Arguments = tuple[Sequence[Any], Mapping[str, Any]]


class Listed(Protocol):
    """An entry of an index.

    Attributes:
        key: Its key.
    """

    @property
    def key(self) -> Key: ...

    def arguments(self) -> Arguments | None:
        """Return the arguments of its call; None where they are not known."""
        ...

    def meets(self, wanted: Any) -> bool:
        """Tell whether its call has these arguments, or may have them."""
        ...


class Notes(Protocol):
    """How the calls of a function become notes, and notes calls."""

    def note(self, call: Call) -> bytes:
        """Return what the index keeps of a call."""
        ...

    def listed(self, text: str, note: bytes) -> Listed | None:
        """Return what an index has kept; None if it is nothing of this function."""
        ...

    def remembered(self, origin: NotedOrigin) -> Listed:
        """Return what memory knows of an entry."""
        ...


class Entries(Struct):
    """What was found.

    Attributes:
        found: Without repetition.
        complete: Whether there can be no other.
    """

    found: list[Listed]
    complete: bool


def live_entries(subject: Subject, scopes: Sequence[Scope]) -> Steps[Entries]:
    """Return the entries in these scopes that could be served now.

    At most as many are looked at as the index keeps. A shared tier that fails lists nothing.
    """
    names = {scope.name for scope in scopes}
    spread = scopes[0].spread if len(scopes) == 1 else None
    try:
        return (
            yield from _listing(
                subject, lambda entry: not names.isdisjoint(entry.key.scopes), spread
            )
        )
    except BackendError as error:
        subject.report("the entries of the function could not be listed", error)
        return Entries([], complete=False)


def drop_matching(subject: Subject, wanted: Any) -> Steps[int]:
    """Drop the entries whose calls have these arguments, wherever they are being computed, too.

    Where something cannot be listed, all entries of the function are dropped.

    Returns:
        How many entries with these arguments were live, as far as they were listed.
    """
    if subject.notes is None or (subject.index is None and subject.backend is not None):
        yield from drop_scopes(subject, subject.function_scope)
        return 0
    if subject.index is None:
        return _drop_remembered(subject, wanted)
    dropped, complete = 0, False
    try:
        yield from _keep_out(subject, subject.index.fence)
        entries = yield from _listing(subject, lambda entry: entry.meets(wanted))
        for entry in entries.found:
            dropped += yield from drop_listed(subject, entry.key)
        complete = entries.complete
    except BackendError as error:
        subject.report("entries could not be listed; all of the function are dropped", error)
    except GeneratorExit:
        raise
    except BaseException:
        yield from drop_scopes(subject, subject.function_scope)
        raise
    if not complete:
        yield from drop_scopes(subject, subject.function_scope)
    return dropped


def _keep_out(subject: Subject, fence: str) -> Steps[None]:
    """Refuse the fills of whoever is computing now: nobody knows yet for which arguments."""
    try:
        yield DropScopes((Scope(fence),), subject.stamp_life)
    finally:
        if subject.engine.memory is not None:
            subject.engine.memory.drop_name(fence)


def _drop_remembered(subject: Subject, wanted: Any) -> int:
    """Drop entries that memory alone has; nothing is yielded."""
    table, dropped = subject.table, 0
    if table is None or subject.notes is None:
        return 0
    table.drop_reservations()
    for entry in table:
        origin = entry.fill
        known = isinstance(origin, NotedOrigin)
        if not known or subject.notes.remembered(origin).meets(wanted):
            dropped += table.drop_key(entry.key)
    return dropped


def _listing(
    subject: Subject, wanted: Callable[[Listed], bool], spread: str | None = None
) -> Steps[Entries]:
    if subject.index is None:
        return _remembered(subject, wanted)
    found: dict[str, Listed] = {}
    complete, looked_at, cursor = True, 0, ""
    while looked_at < subject.index.limit:
        listing = yield ListEntries(subject.index.name, spread, cursor, PAGE)
        entries, known = _read(subject, listing.entries)
        live = yield from _living(subject, [entry for entry in entries if wanted(entry)])
        found |= {entry.key.text: entry for entry in live}
        complete = complete and known and listing.complete
        looked_at, cursor = looked_at + len(listing.entries), listing.cursor
        if not cursor:
            break
    return Entries(list(found.values()), complete and not cursor)


def _read(subject: Subject, notes: Sequence[tuple[str, bytes]]) -> tuple[list[Listed], bool]:
    """Return what notes say, and whether all of them say something."""
    assert subject.notes is not None
    entries = [subject.notes.listed(text, note) for text, note in notes]
    known = [entry for entry in entries if entry is not None]
    return known, len(known) == len(entries)


def _living(subject: Subject, entries: Sequence[Listed]) -> Steps[list[Listed]]:
    pending = subject.engine.pending
    readable = [entry for entry in entries if not pending or not pending.covers(entry.key)]
    if not readable:
        return []
    live = yield Probe([entry.key for entry in readable])
    return [entry for entry, is_live in zip(readable, live, strict=True) if is_live]


def _remembered(subject: Subject, wanted: Callable[[Listed], bool]) -> Entries:
    """Return what memory has; of a shared tier that cannot list, others may have more."""
    complete = subject.notes is not None and subject.backend is None
    if subject.table is None or subject.notes is None:
        return Entries([], complete)
    found = []
    for entry in subject.table:
        if not isinstance(entry.fill, NotedOrigin):
            complete = False
        elif wanted(listed := subject.notes.remembered(entry.fill)):
            found.append(listed)
    return Entries(found, complete)
