"""How entries are dropped: the shared tier first, then memory, and never lost (rules 7 and 8)."""

from __future__ import annotations

from tiercel.contracts.backend import DropKey, DropScopes, Scope
from tiercel.engine.effects import Steps
from tiercel.engine.state import Call, Subject
from tiercel.errors import BackendError
from tiercel.events import OperationKind


def drop_key(subject: Subject, call: Call) -> Steps[bool]:
    """Drop one entry in all tiers; True unless it is certain that there was none."""
    existed = subject.table is not None and subject.table.find(call.memory_key) is not None
    watched = subject.start(OperationKind.DROP, call)
    try:
        if subject.backend is not None:
            existed = (yield from _drop_shared(subject, DropKey(call.key))) or existed
    finally:
        if subject.table is not None:
            subject.table.drop_key(call.memory_key)
        subject.end(watched)
    return existed


def drop_scopes(subject: Subject, *scopes: Scope) -> Steps[None]:
    """Drop everything that these stamps cover, in all tiers, however many entries that is."""
    watched = subject.start_drop(scopes)
    try:
        if subject.backend is not None:
            yield from _drop_shared(subject, DropScopes(scopes, subject.stamp_life))
    finally:
        if subject.engine.memory is not None:
            for scope in scopes:
                subject.engine.memory.drop_name(scope.name)
        subject.end(watched)


def _drop_shared(subject: Subject, drop: DropKey | DropScopes) -> Steps[bool]:
    """Drop in the shared tier, or owe it; until it is paid this process reads nothing of it."""
    try:
        existed = yield drop
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
