"""Values that are set by hand instead of computed."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isinf
from random import uniform
from typing import Any

from tiercel.contracts.backend import Begun, Granted
from tiercel.engine.effects import Await, Steps
from tiercel.engine.examine import look
from tiercel.engine.fill import store
from tiercel.engine.lease import begin, listen, surrender
from tiercel.engine.peek import peek
from tiercel.engine.places import recall, reserve
from tiercel.engine.state import Call, Outcome, Right, Subject
from tiercel.errors import BackendError
from tiercel.events import Status, Tier
from tiercel.stamps import join_stamps

ATTEMPTS = 100
"""How often an update gives way to a concurrent one before it gives up."""

TURN = 1.0
"""Seconds of silence after which an update takes the lease of another by force."""


def put(subject: Subject, call: Call, value: Any, ttl: float | None) -> Steps[bool]:
    """Store a value, whoever computes it meanwhile; False if the shared tier did not take it."""
    right = Right(reserve(subject, call), announce=True)
    if subject.backend is None:
        return (yield from _keep(subject, call, right, value, ttl))
    if _knows_stamps(subject, call):
        right.token, right.stamps = b"", subject.generation[1]
        kept = yield from _keep(subject, call, right, value, ttl)
        if not right.outdated:
            return kept
        right.outdated = False
    try:
        yield from _seize(subject, call, right)
    except BackendError as error:
        subject.report("a value could not be set in the shared tier", error)
        right.place.leave()
        return False
    subject.generation = call.key.scopes, right.stamps
    return (yield from _keep(subject, call, right, value, ttl))


def _knows_stamps(subject: Subject, call: Call) -> bool:
    """Tell whether it is likely that no lease need be taken to learn the stamps."""
    known = subject.generation[0] == call.key.scopes
    return known and subject.overwrites and subject.index is None


def add(subject: Subject, call: Call, value: Any, ttl: float | None) -> Steps[bool]:
    """Store a value if there is none; tell whether it was stored."""
    place = reserve(subject, call)
    right = Right(place)
    memory = subject.engine.memory
    if subject.backend is None and memory is not None:
        with memory.lock:  # nothing is yielded in here: there is no shared tier
            if recall(subject, call) is None:
                return (yield from _keep(subject, call, right, value, ttl))
        place.leave()
        return False
    if subject.backend is None:
        return False
    try:
        begun = yield from begin(subject, call, wait=False)
    except BackendError as error:
        subject.report("a value could not be added in the shared tier", error)
        begun = None
    if type(begun) is not Granted:
        place.leave()
        return False
    _hold(right, begun)
    return (yield from _keep(subject, call, right, value, ttl))


def update(
    subject: Subject,
    call: Call,
    change: Callable[[Any], Any],
    life: Callable[[float | None], float | None] = lambda left: left,
) -> Steps[tuple[bool, Any]]:
    """Replace a present value by what `change` makes of it, as if nobody else did meanwhile.

    The lease makes it atomic: whoever reads under an older lease has its fill refused and reads
    again. On backends without atomic leases concurrent updates may get lost.

    Args:
        subject: The values of a cache.
        call: Names the value.
        change: Gets the present value, returns the new one.
        life: Gets the seconds that the present one still lives, returns those of the new one;
            None: no end.

    Returns:
        Whether there was a value, and the new one.

    Raises:
        BackendError: The shared tier failed, or others were always faster.
    """
    if subject.backend is None:
        return (yield from _update_in_memory(subject, call, change, life))
    for _ in range(ATTEMPTS):
        # Without atomic leases, to take the right is to give up the old value: read it before.
        early = None if subject.fenced else (yield from _changed(subject, call, change))
        if early is None and not subject.fenced:
            return False, None
        right = Right(reserve(subject, call), announce=True)
        try:
            yield from (_take_turn if subject.fenced else _seize)(subject, call, right)
            changed = early or (yield from _changed(subject, call, change))
        except GeneratorExit:
            raise
        except BaseException:
            yield from surrender(subject, call, right)
            raise
        if changed is None:
            yield from surrender(subject, call, right)
            return False, None
        left, value = changed
        if (yield from _keep(subject, call, right, value, life(left))):
            return True, value
        if not right.refused:
            raise BackendError(f"{call.key.text}: the shared tier did not take the new value")
    raise BackendError(f"{call.key.text}: {ATTEMPTS} concurrent updates were faster")


def _update_in_memory(
    subject: Subject,
    call: Call,
    change: Callable[[Any], Any],
    life: Callable[[float | None], float | None],
) -> Steps[tuple[bool, Any]]:
    table, memory = subject.table, subject.engine.memory
    while table is not None and memory is not None:
        before = table.find(call.memory_key)
        changed = yield from _changed(subject, call, change)
        if changed is None:
            break
        left, value = changed
        right = Right(reserve(subject, call))
        with memory.lock:  # nothing is yielded in here: there is no shared tier
            if table.find(call.memory_key) is before:
                yield from _keep(subject, call, right, value, life(left))
                return True, value
        right.place.leave()
    return False, None


def _seize(subject: Subject, call: Call, right: Right) -> Steps[None]:
    """Take the lease from whoever has it."""
    _hold(right, (yield from begin(subject, call, force=True, wait=False)))


def _take_turn(subject: Subject, call: Call, right: Right) -> Steps[None]:
    """Take the lease when others are done with it; by force from one who keeps it for long."""
    begun: Begun = yield from begin(subject, call, floor=inf, wait=False)
    if type(begun) is not Granted:
        begun = yield from _wait_for_turn(subject, call)
    if type(begun) is Granted:
        _hold(right, begun)
    else:
        yield from _seize(subject, call, right)


def _wait_for_turn(subject: Subject, call: Call) -> Steps[Begun]:
    """Ask again whenever the key is filled or released, until a holder is silent for long."""
    yield from listen(subject)
    wakes = subject.engine.wakes
    assert wakes is not None
    pause = 0.1 if wakes.address else 0.01  # where nobody is woken, it is time that counts
    silence = 0.0
    while True:
        wake = wakes.expect(call.key.text)
        try:
            begun: Begun = yield from begin(subject, call, floor=inf)
            if type(begun) is Granted or silence >= TURN:
                return begun
            woken = yield Await(wake, pause * uniform(0.5, 1.5))
        finally:
            wakes.forget(call.key.text, wake)
        silence = 0.0 if woken else silence + pause


def _hold(right: Right, granted: Granted) -> None:
    right.token, right.stamps = granted.token, join_stamps(granted.stamps) or b""


def _changed(
    subject: Subject, call: Call, change: Callable[[Any], Any]
) -> Steps[tuple[float | None, Any] | None]:
    """Return the seconds that a value still lives and what becomes of it; None without one."""
    present = yield from _present(subject, call)
    if present is None:
        return None
    return None if isinf(present.left) else present.left, change(present.value)


def _present(subject: Subject, call: Call) -> Steps[Outcome | None]:
    """Read behind the memory tier, which may lag behind what others have set."""
    if subject.backend is None:
        return (yield from peek(subject, call))
    seen = yield from look(subject, call)
    return seen.outcome(Status.HIT) if seen.fresh else None


def _keep(subject: Subject, call: Call, right: Right, value: Any, ttl: float | None) -> Steps[bool]:
    outcome = Outcome(value, Status.MISS, Tier.FUNCTION)
    yield from store(subject, call, right, outcome, ttl, 0.0)
    return not right.lost
