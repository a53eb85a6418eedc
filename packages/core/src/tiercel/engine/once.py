"""At most one computation: what becomes of callers who may not compute (protocol rule 13).

The lease says that the holder of a claim is alive, and the claim, which outlives it, that the only
allowed computation of a generation has begun.
"""

from __future__ import annotations

from tiercel.contracts.backend import Settle
from tiercel.contracts.claim import ClaimState, Spent
from tiercel.engine.effects import Steps
from tiercel.engine.flights import holds_any
from tiercel.engine.state import Call, Right, Subject
from tiercel.errors import (
    AtMostOnceError,
    BackendError,
    BackendUnavailable,
    ConfigurationError,
    HolderBusy,
    HolderDied,
    HolderFailed,
    ResultLost,
    WouldDeadlock,
)

_AGAIN = "drop the entry, or call refresh(), to have it computed again"


def spent(subject: Subject, found: Spent) -> AtMostOnceError | ConfigurationError:
    """Return the error for a caller who finds that somebody else has had the only try."""
    name, state = subject.name, found.state
    if state is ClaimState.UNSAFE:
        return ConfigurationError(
            f'{name}: atomic_writes="at_most_once": cache {subject.engine.name!r} may lose claims: '
            f"{found.detail}"
        )
    if state is ClaimState.FAILED:
        return HolderFailed(f"{name}: the only computation raised {found.detail}; {_AGAIN}")
    if state is ClaimState.DONE:
        return ResultLost(f"{name}: it was computed, but the result is gone; {_AGAIN}")
    return HolderDied(f"{name}: the process that computed it died; {_AGAIN}")


def check_alone(subject: Subject) -> None:
    """See to it that nothing is computed without a claim.

    Raises:
        BackendUnavailable: A claim is needed, and nobody can be asked for it.
    """
    if subject.claim:
        raise BackendUnavailable(
            f"{subject.name}: the shared tier does not answer, and without it "
            'atomic_writes="at_most_once" forbids to compute'
        )


def check_unstored(subject: Subject, call: Call) -> None:
    """See to it that nothing is computed beside another's computation.

    Raises:
        AtMostOnceError: It would be the second one.
    """
    if not subject.claim:
        return
    if holds_any():
        raise WouldDeadlock(
            f"{subject.name}: {call.key.text} is computed elsewhere, and to wait for it inside of "
            "another computation could never end"
        )
    wait = subject.policy.wait
    raise HolderBusy(f"{subject.name}: another still computes {call.key.text} after {wait:g} s")


def settled(call: Call, right: Right, life: float) -> Settle:
    """Return the command that notes the end of a computation whose value is about to be stored."""
    assert right.token is not None
    return Settle(call.key, right.token, life)


def settle_failed(subject: Subject, call: Call, right: Right, error: BaseException) -> Steps[None]:
    """Note that a computation raised; one that was cancelled counts as one that died.

    Only the type of the error is told to other processes: its words may be secret.
    """
    if right.token is None or not isinstance(error, Exception):
        return
    failure = type(error).__qualname__
    try:
        yield Settle(call.key, right.token, subject.claim, failure)
    except BackendError as trouble:
        subject.report("others will take this failed computation for a dead one", trouble)
