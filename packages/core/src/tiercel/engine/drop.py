"""How entries are dropped: the shared tier first, then memory, and never lost (rules 7 and 8)."""

from __future__ import annotations

from tiercel.contracts.backend import DropKey, DropScopes, Scope
from tiercel.engine.effects import Steps
from tiercel.engine.state import Call, Engine, Subject
from tiercel.errors import BackendError
from tiercel.events import OperationKind


def drop_key(subject: Subject, call: Call) -> Steps[bool]:
    """Drop one entry in all tiers; True unless it is certain that there was none."""
    existed = subject.table is not None and subject.table.find(call.memory_key) is not None
    watched = subject.start(OperationKind.DROP, call)
    if subject.backend is not None:
        existed = (yield from _drop_shared(subject, DropKey(call.key))) or existed
    if subject.table is not None:
        subject.table.drop_key(call.memory_key)
    subject.end(watched)
    return existed


def drop_scopes(subject: Subject, *scopes: Scope) -> Steps[None]:
    """Drop everything that these stamps cover, in all tiers, however many entries that is."""
    watched = subject.start_drop(scopes)
    if subject.backend is not None:
        yield from _drop_shared(subject, DropScopes(scopes, subject.stamp_life))
    if subject.engine.memory is not None:
        for scope in scopes:
            subject.engine.memory.drop_name(scope.name)
    subject.end(watched)


def settle(engine: Engine) -> Steps[None]:
    """Issue the drops that the shared tier has not acknowledged, before anything is read.

    Raises:
        BackendError: One was not acknowledged again; it stays owed.
    """
    for name, drop in engine.pending.owed():
        yield drop
        engine.pending.paid(name, drop)


def _drop_shared(subject: Subject, drop: DropKey | DropScopes) -> Steps[bool]:
    """Drop in the shared tier, or owe it; until it is paid this process reads nothing of it."""
    try:
        existed = yield drop
    except BackendError as error:
        subject.engine.pending.add(drop, subject.function_scope)
        subject.report("a drop was not acknowledged and will be repeated", error)
        return True
    return bool(existed)
