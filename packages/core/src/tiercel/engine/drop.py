"""How entries are dropped: the shared tier first, then memory, and never lost (rules 7 and 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tiercel.contracts.backend import DropKey, DropScopes, Key, Scope
from tiercel.contracts.index import Index
from tiercel.engine.effects import Steps
from tiercel.engine.state import Call, Subject, canonical
from tiercel.errors import BackendError
from tiercel.events import OperationKind
from tiercel.stamps import pack_provenance, pack_tombstone

_NOTHING: Final[Mapping[str, Any]] = {}


def drop_key(subject: Subject, call: Call, about: Mapping[str, Any] = _NOTHING) -> Steps[bool]:
    """Drop one entry in all tiers; True unless it is certain that there was none.

    Args:
        subject: The function.
        call: The call.
        about: Why, for observers: attributes of the operation.
    """
    existed = subject.table is not None and subject.table.find(call.memory_key) is not None
    watched = subject.start(OperationKind.DROP, call, about)
    try:
        who = subject.provenance(about, watched)
        if subject.backend is not None:
            drop = DropKey(call.key, pack_tombstone(who))
            existed = (yield from _drop_shared(subject, drop)) or existed
        elif existed:
            subject.engine.dropped.note((call.key.text,), who)
    finally:
        if subject.table is not None:
            subject.table.drop_key(call.memory_key)
        subject.end(watched)
    return existed


def drop_scopes(
    subject: Subject, *scopes: Scope, about: Mapping[str, Any] = _NOTHING
) -> Steps[None]:
    """Drop everything that these stamps cover, in all tiers, however many entries that is.

    Args:
        subject: A function; theirs, or the one that the drop is reported of.
        scopes: What to drop.
        about: Why, for observers: attributes of the operation.
    """
    watched = subject.start_drop(scopes, about)
    try:
        who = subject.provenance(about, watched)
        if subject.backend is not None:
            indexes = () if subject.index is None else _indexes(subject.index, scopes)
            said = pack_provenance(who)
            yield from _drop_shared(subject, DropScopes(scopes, subject.stamp_life, said, indexes))
        else:
            subject.engine.dropped.note((scope.name for scope in scopes), who)
    finally:
        if subject.engine.memory is not None:
            for scope in scopes:
                subject.engine.memory.drop_name(scope.name)
        subject.end(watched)


def _indexes(index: Index, scopes: Sequence[Scope]) -> tuple[Index, ...]:
    """Return the index of the function if all of its entries are among what is dropped."""
    return (index,) if any(scope.name == index.name for scope in scopes) else ()


def drop_listed(subject: Subject, key: Key) -> Steps[bool]:
    """Drop an entry of the shared tier of which only the key is known; True as in `drop_key`."""
    watched = subject.start(OperationKind.DROP, Call((), {}, key, canonical(key.text)))
    try:
        said = pack_tombstone(subject.provenance(_NOTHING, watched))
        return (yield from _drop_shared(subject, DropKey(key, said)))
    finally:
        if subject.engine.memory is not None:
            subject.engine.memory.drop_name(key.text)
        subject.end(watched)


def _drop_shared(subject: Subject, drop: DropKey | DropScopes) -> Steps[bool]:
    """Drop in the shared tier, or owe it; until it is paid this process reads nothing of it."""
    pending = subject.engine.pending
    reversals = pending.reversals
    pending.note(drop)
    try:
        existed = yield drop
        pending.check(reversals)
    except BackendError as error:
        _owe(subject, drop)
        subject.report("a drop was not acknowledged and will be repeated", error)
        return True
    except BaseException:
        _owe(subject, drop)  # cancelled: whatever it was for has happened nevertheless
        raise
    return bool(existed)


def _owe(subject: Subject, drop: DropKey | DropScopes) -> None:
    engine = subject.engine
    engine.pending.add(drop, subject.function_scope)
    if engine.keeper is not None:
        engine.keeper.attend()
