"""A miss with nothing unusual about it: computed and stored in one go (protocol rules 4 and 5).

Where neither predicate nor callable nor claim takes part, much of what `tiercel.engine.fill` sees
to has nothing to do. It is left out here, and never decided otherwise; what goes wrong goes on
there.
"""

from __future__ import annotations

from typing import Any

from tiercel.contracts.backend import Granted
from tiercel.engine.compute import USUAL, check_storable, compute
from tiercel.engine.effects import Steps
from tiercel.engine.fill import fail, store
from tiercel.engine.flights import Flight
from tiercel.engine.isolation import is_isolated
from tiercel.engine.lease import surrender
from tiercel.engine.places import Place
from tiercel.engine.state import Call, Outcome, Right, Subject
from tiercel.events import Cause, Status, Tier
from tiercel.stamps import join_stamps

_MISS, _FUNCTION = Status.MISS, Tier.FUNCTION


def lead_outright(
    subject: Subject, call: Call, flight: Flight, place: Place, cause: Cause, granted: Granted
) -> Steps[Outcome]:
    """Do what `lead` does under a lease just granted, for a subject that is `usual`."""
    policy, token, keeper = subject.policy, granted.token, subject.engine.keeper
    right = Right(place, token, join_stamps(granted.stamps) or b"")
    subject.flights.follow(flight, token)
    try:
        try:
            if keeper is not None:
                keeper.keep(token, call.key, policy.lease)
            try:
                value, took = yield from compute(subject, call, flight, cause)
                if type(value) not in USUAL:
                    check_storable(subject, value)
            finally:
                if keeper is not None:
                    keeper.release(token)
        except BaseException as error:
            rescued = yield from fail(subject, call, right, cause, error)
            if rescued is None:
                raise
            flight.outcome = rescued
            return rescued
        outcome = Outcome(value, _MISS, _FUNCTION, cause)
        if is_isolated():
            yield from surrender(subject, call, right)
        else:
            ttl: Any = policy.ttl_of(value)
            yield from store(subject, call, right, outcome, ttl, took)
        flight.outcome = outcome
        return outcome
    except Exception as error:
        flight.error = error
        raise
    finally:
        place.leave()
        subject.flights.land(call.memory_key, flight)
