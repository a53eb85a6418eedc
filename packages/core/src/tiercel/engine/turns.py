"""Refreshes of which one is begun within a time, whatever becomes of it.

A reader of a stale entry takes a turn before it enqueues a refresh. In the shared tier that is the
lease of a key beside the entry's, which nobody ever fills: it has the same scopes, so what drops
the entry drops the turn. A refresh that has succeeded gives it back; one that failed, or was lost
with its worker, leaves it to expire, as rule 6 says of backing off. The lease of the entry itself
stays free meanwhile for those who really compute.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable
from typing import Final

from msgspec import structs

from tiercel.contracts.backend import DropKey, Granted, Key, Release
from tiercel.engine.effects import Steps
from tiercel.engine.lease import begin
from tiercel.engine.refresh import take_over
from tiercel.engine.state import Call, Outcome, Subject
from tiercel.errors import BackendError
from tiercel.events import Status

ASK_AGAIN: Final = 1.0
"""Seconds for which a process does not ask the shared tier again whose turn it is."""

MANY: Final = 1024
"""Turns that a process remembers before it looks which of them are over."""


class Turns:
    """What one process knows of the turns of one function, by the identity of calls in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[Hashable, float] = {}

    def take(self, key: Hashable, now: float, ends: float) -> bool:
        """Take a turn until then, unless one is known that is not over."""
        with self._lock:
            if self._ends.get(key, now) > now:
                return False
            if len(self._ends) >= MANY:
                self._ends = {each: end for each, end in self._ends.items() if end > now}
            self._ends[key] = ends
            return True

    def leave(self, key: Hashable) -> None:
        """Forget a turn."""
        with self._lock:
            self._ends.pop(key, None)


def take_turn(subject: Subject, call: Call, pause: float, *, stale: bool) -> Steps[bytes | None]:
    """Take the right to begin a refresh, once for all processes that share a tier.

    Args:
        subject: The function.
        call: The call.
        stale: Whether there is an entry. If not, it may have been dropped a moment ago, so the
            shared tier is asked each time.
        pause: Seconds during which nobody else gets it, unless it is given back.

    Returns:
        What proves it, empty without a shared tier; None if it is another's turn.
    """
    now = subject.engine.clock.monotonic()
    # Where leases are not exact, at least this process keeps to its turns.
    until = now + (min(pause, ASK_AGAIN) if subject.fenced else pause)
    noted = stale or not subject.fenced
    if noted and not subject.turns.take(call.memory_key, now, until):
        return None
    if subject.backend is None:
        return b""
    try:
        begun = yield from begin(subject, _beside(call), floor=math.inf, wait=False, lease=pause)
    except BackendError as error:
        subject.report("nobody could be chosen to refresh an entry", error)
        return None
    return begun.token if type(begun) is Granted else None


def seize_turn(subject: Subject, call: Call, pause: float) -> Steps[bytes]:
    """Take that right from whoever has it: what he has begun came before a change.

    Args:
        subject: The function.
        call: The call.
        pause: Seconds during which nobody else gets it, unless it is given back.

    Returns:
        What proves it, empty without a shared tier.
    """
    now = subject.engine.clock.monotonic()
    subject.turns.leave(call.memory_key)
    subject.turns.take(call.memory_key, now, now + pause)
    if subject.backend is None:
        return b""
    try:
        granted = yield from begin(subject, _beside(call), force=True, wait=False, lease=pause)
    except BackendError as error:
        subject.report("the turn to refresh an entry could not be taken", error)
        return b""
    token: bytes = granted.token
    return token


def end_turn(subject: Subject, call: Call, turn: bytes | None = None) -> Steps[None]:
    """Give a turn back; whoever has it, if `turn` does not say whose it is."""
    subject.turns.leave(call.memory_key)
    if subject.backend is None:
        return
    key = _beside(call).key
    try:
        yield DropKey(key) if turn is None else Release(key, turn)
    except BackendError as error:
        subject.report("the turn to refresh an entry could not be given back", error)


def renew(subject: Subject, call: Call, floor: float, turn: bytes) -> Steps[Outcome | None]:
    """Refresh an entry in a turn that was taken for it; None if there is nothing left to do.

    Args:
        subject: The function.
        call: The call.
        floor: Seconds of life from which the stored entry counts as refreshed by another.
        turn: What `take_turn` returned.
    """
    outcome = yield from take_over(subject, call, b"", floor)
    if outcome is None or (outcome.left > 0 and outcome.status is not Status.STALE):
        yield from end_turn(subject, call, turn)
    return outcome


def _beside(call: Call) -> Call:
    """Return a call whose key stands beside that of this one."""
    key = call.key
    return structs.replace(call, key=Key(f"{key.text}!turn", key.scopes, key.spread))
