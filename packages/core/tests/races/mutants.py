"""Deliberately wrong variants of the engine and of the shared tier, one or more for every hole.

Each is a small patch that a scene of `scenarios.py` must give away. Were one of them not caught,
the checker would be blind where it claims to see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from msgspec import Struct
from msgspec.structs import replace

from tiercel.contracts.backend import (
    STAMPS_OFFSET,
    Begin,
    Begun,
    DropKey,
    DropScopes,
    Fill,
    Granted,
    Held,
    Key,
    Polled,
    Reading,
)
from tiercel.engine import channel, drop, examine, fill, flights, lease, outage, places, read, refresh
from tiercel.engine.channel import Channel
from tiercel.engine.effects import Steps
from tiercel.engine.places import Place
from tiercel.engine.state import Outcome, Right
from tiercel.entry import pack_header
from tiercel.events import Status, Tier
from tiercel.stamps import join_stamps
from tiercel.testing import SimulatedBackend

Patch = tuple[Any, str, Any]


class Mutant(Struct, frozen=True):
    """One wrong variant.

    Attributes:
        name: What is wrong.
        hole: Which hole of the protocol's table that opens.
        scene: The scenario that must give it away.
        promise: Which promise it breaks there.
        backend: The shared tier, if that is what is wrong.
        patches: What else is replaced: owner, attribute, replacement.
    """

    name: str
    hole: str
    scene: str
    promise: str
    backend: type[SimulatedBackend] = SimulatedBackend
    patches: Sequence[Patch] = ()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the engine be wrong for a while."""
        with ExitStack() as stack:
            for owner, name, replacement in self.patches:
                stack.enter_context(patch.object(owner, name, replacement))
            yield


# Wrong shared tiers


class MintsAtFill(SimulatedBackend):
    """Invents missing stamps for the reader, and stores them with the value if still missing."""

    def _mint(self, name: str, life: float) -> bytes:
        return self._get(f"stamp/{name}") or self._new_stamp()

    def _fill(self, command: Fill) -> bool:
        stamps = _stamps_of(command)
        for name, stamp in zip(command.key.scopes, stamps, strict=True):
            if self._get(f"stamp/{name}") is None:
                self._put(f"stamp/{name}", stamp, command.life)
        return super()._fill(command)


class CountsStamps(SimulatedBackend):
    """Counts drops instead of drawing stamps; a missing count is zero."""

    def _mint(self, name: str, life: float) -> bytes:
        return self._get(f"stamp/{name}") or bytes(16)

    def _reading(self, key: Key, tags: Sequence[str] = ()) -> Reading:
        reading = super()._reading(key, tags)
        return replace(reading, stamps=[stamp or bytes(16) for stamp in reading.stamps])

    def _dropscopes(self, command: DropScopes) -> None:
        for scope in command.scopes:
            count = int.from_bytes(self._mint(scope.name, 0.0), "big") + 1
            self._put(f"stamp/{scope.name}", count.to_bytes(16, "big"), command.life)


class StampsAtFill(SimulatedBackend):
    """Stores a value under the stamps in force at the fill, not under those it was computed in."""

    def _fill(self, command: Fill) -> bool:
        stamps = b"".join(self._mint(name, command.life) for name in command.key.scopes)
        end = STAMPS_OFFSET + len(stamps)
        payload = command.payload[:STAMPS_OFFSET] + stamps + command.payload[end:]
        return super()._fill(replace(command, payload=payload))


class OverwritesBlindly(SimulatedBackend):
    """Stores what a refresh or a caller's own value brings, whoever holds the lease by then."""

    def _fill(self, command: Fill) -> bool:
        if command.announce:
            self._put(f"value/{command.key.text}", command.payload, command.life)
        return super()._fill(command) or command.announce


class FillsWithoutLease(SimulatedBackend):
    """Takes a missing lease for permission."""

    def _holds(self, key: Key, token: bytes) -> bool:
        return self._lease(key) is None or super()._holds(key, token)


class KeepsLease(SimulatedBackend):
    """Drops the value of a key but not its lease."""

    def _dropkey(self, command: DropKey) -> bool:
        self._cells.pop(f"value/{command.key.text}", None)
        self._announce((command.key.text,))
        return True


class LooksOnlyOnce(SimulatedBackend):
    """Grants a lease without looking whether the value is there by now."""

    def _is_current(self, key: Key, stamps: Sequence[bytes], floor: float) -> bool:
        return False


class GrantsTwice(SimulatedBackend):
    """Grants a lease although somebody holds it."""

    def _begin(self, command: Begin) -> Begun:
        self._cells.pop(f"lease/{command.key.text}", None)
        return super()._begin(command)


class IgnoresGeneration(SimulatedBackend):
    """Has callers wait for a lease that was taken before a partition or function was dropped."""

    def _begin(self, command: Begin) -> Begun:
        held = self._lease(command.key)
        stamps = [self._mint(name, command.stamp_life) for name in command.key.scopes]
        if held is not None and not command.force and held.generation != join_stamps(stamps):
            return Held(held.token, stamps, self._remaining(f"lease/{command.key.text}"))
        return super()._begin(command)


class WakesNobody(SimulatedBackend):
    """Ends a lease without waking those who wait for it."""

    def _end_lease(self, key: Key) -> None:
        self._cells.pop(f"lease/{key.text}", None)


class AnnouncesFirst(SimulatedBackend):
    """Announces a drop in one step and carries it out in the next."""

    def _dropscopes(self, command: DropScopes) -> None:
        if self._get("announced") is None:
            self._put("announced", True, command.life)
            self._announce(tuple(scope.name for scope in command.scopes))
            return
        self._cells.pop("announced")
        for scope in command.scopes:
            self._put(f"stamp/{scope.name}", self._new_stamp(), command.life)


class DropsOnlyOne(SimulatedBackend):
    """Acknowledges a drop after the first of its scopes."""

    def _dropscopes(self, command: DropScopes) -> None:
        super()._dropscopes(replace(command, scopes=command.scopes[:1]))


def _stamps_of(command: Fill) -> list[bytes]:
    ends = range(STAMPS_OFFSET, STAMPS_OFFSET + 16 * len(command.key.scopes), 16)
    return [command.payload[start : start + 16] for start in ends]


# Wrong engines


def _writes_back(subject: Any, call: Any, place: Any, seen: Any) -> Steps[Outcome]:
    """Serve a stale value, and store it again so that the next caller has it fresh."""
    granted = yield lease.request(subject, call, force=True, wait=False)
    stamps = join_stamps(granted.stamps) or b""
    header = pack_header(call.key.text, stamps, hard=100.0, soft=100.0)
    payload = header + subject.codec.encode(seen.value, call.key.text.encode() + header)
    yield Fill(call.key, granted.token, payload, 100.0)
    return seen.outcome(Status.STALE)


def _remembers_what_it_saw(subject: Any, call: Any, reading: Reading) -> Any:
    """Judge what was read, and keep it for the case that the function fails."""
    subject.was_seen = _examine(subject, call, reading)
    return subject.was_seen


def _serves_what_it_saw(subject: Any, call: Any, grace: float) -> Steps[Outcome | None]:
    """Serve what was seen before the function failed, without looking again."""
    yield from ()
    seen = subject.was_seen
    return seen.outcome(Status.STALE) if seen.found else None


def _skips_if_leased(subject: Any, call: Any) -> Steps[Outcome]:
    """Refresh, unless somebody computes the key already."""
    begun = yield lease.request(subject, call, floor=float("inf"), wait=False)
    if not isinstance(begun, Granted):
        return Outcome(None, Status.REFRESH, Tier.FUNCTION)
    right = Right(places.reserve(subject, call), begun.token, join_stamps(begun.stamps) or b"")
    return (yield from fill.complete(subject, call, flights.Flight(lambda: False), right, _REQUESTED))


def _drops_twice(subject: Any, command: Any) -> Steps[bool]:
    """Send the drop in two steps, for a backend that does half of it each time."""
    yield command
    return bool((yield command))


def _forgets_failed_drop(subject: Any, command: Any) -> Steps[bool]:
    """Send a drop, and do not mind if it fails."""
    try:
        return bool((yield command))
    except fill.BackendError:
        return True


def _does_nothing(*args: Any) -> Steps[None]:
    yield from ()


def _accepts_everything(self: Any, name: str, polled: Polled) -> bool:
    """Apply the messages there are, whatever may be missing between them."""
    for message in polled.messages:
        for dropped in message.names:
            self._memory.drop_name(dropped)
    if polled.last is not None:
        self._positions[name] = polled.last
    return True


def _accepts_any_nonce(self: Any, name: str, polled: Polled) -> bool:
    """Compare numbers only, as if none were ever given twice."""
    at = self._positions.get(name)
    if polled.last is not None and at is not None and not polled.messages:
        self._positions[name] = polled.last
        return bool((at.epoch, at.number) == (polled.last.epoch, polled.last.number))
    return bool(_accept(self, name, polled))


def _trusts_from_receipt(self: Any) -> Steps[bool]:
    """Poll, and count trust from when the reply came."""
    whole = yield from _poll(self)
    if self.trusted_until > 0:
        self.trusted_until = self._clock.monotonic() + self.max_lag
    return whole


def _keeps_at_first_position(self: Any) -> Steps[bool]:
    """Adopt the first position without emptying memory."""
    memory = self._memory
    if not self._positions:
        self._memory = _Unmoved()
    try:
        return (yield from _poll(self))
    finally:
        self._memory = memory


class _Unmoved:
    def clear(self) -> None:
        """Keep everything."""

    def drop_name(self, name: str) -> None:
        """Keep everything."""


def _promotes_with_full_life(subject: Any, place: Any, outcome: Any, **options: Any) -> None:
    """Count the life of what was read from when it was read."""
    options["soft_left"] += outcome.age
    places.remember(subject, place, replace(outcome, left=outcome.left + outcome.age), **options)


def _keeps_refused(subject: Any, call: Any, right: Any, *others: Any) -> Steps[bool]:
    """Keep in memory what the shared tier refused, in a place taken only then."""
    stored = yield from _fill(subject, call, right, *others)
    if right.refused:
        right.place = places.reserve(subject, call)
    return bool(stored or right.refused)


def _takes_place_late(self: Any, value: Any, *others: Any) -> None:
    """Keep a value although its place was dropped since it was taken."""
    if self._reservation is not None:
        table, old = self._table, self._reservation
        scopes = (table.name, *_enclosing(old.part))
        self._reservation = table.reserve(old.key, old.text, scopes)
    _keep(self, value, *others)


def _enclosing(part: Any) -> list[str]:
    return [] if part.parent is None else [*_enclosing(part.parent), part.name]


@contextmanager
def _waits_anyway(flight: Any) -> Iterator[bool]:
    yield True


_REQUESTED = fill.Cause.REQUESTED
_examine = examine.examine
_accept, _poll = Channel._accept, Channel.poll
_fill, _keep = fill._fill, Place.keep
_follows_anybody: Callable[..., Any] = lambda self, flight, token: (  # noqa: E731
    next(iter(self._by_token.values()), None) or _follow(self, flight, token)
)
_follow = flights.Flights.follow
_blind: Callable[..., Any] = lambda self, key: self._by_key.get(key)  # noqa: E731
_ALWAYS: Callable[..., bool] = lambda *_: True  # noqa: E731
_NEVER: Callable[..., bool] = lambda *_: False  # noqa: E731

MUTANTS = (
    Mutant("stamps are minted at the fill", "H1", "evict_partition", "P1", MintsAtFill),
    Mutant("stamps count, and a lost one is 0", "H1", "evict_warm_partition", "P1", CountsStamps),
    Mutant("stamps are captured at the fill", "H1", "drop_partition", "P1", StampsAtFill),
    Mutant("a refresh overwrites blindly", "H2", "refresh_key", "P1", OverwritesBlindly),
    Mutant("an update overwrites blindly", "H2", "update", "P1", OverwritesBlindly),
    Mutant("no lease is as good as one", "H3", "drop_key", "P1", FillsWithoutLease),
    Mutant("no lease, after it expired", "H3", "lease_expires_key", "P1", FillsWithoutLease),
    Mutant("a key drop leaves the lease", "H3", "drop_key", "P1", KeepsLease),
    Mutant(
        "a stale value is written back",
        "H4",
        "stale_partition",
        "P1",
        patches=[(read, "_serve", _writes_back)],
    ),
    Mutant(
        "stale values are served without a check",
        "H4",
        "stale_partition",
        "P6",
        patches=[(examine, "carries", _ALWAYS)],
    ),
    Mutant(
        "a failure serves what was read before it",
        "H4",
        "stale_on_error_key",
        "P6",
        patches=[
            (read, "examine", _remembers_what_it_saw),
            (examine, "examine", _remembers_what_it_saw),
            (fill, "_last_resort", _serves_what_it_saw),
        ],
    ),
    Mutant("a lease is granted unseen", "H5", "cold_callers", "P4", LooksOnlyOnce),
    Mutant("a lease is granted twice", "H5", "cold_callers", "P4", GrantsTwice),
    Mutant("nobody is woken", "H5", "cold_callers", "P5", WakesNobody),
    Mutant("dead fills are waited for", "H6", "drop_partition", "P5", IgnoresGeneration),
    Mutant(
        "dead holders are waited for",
        "H6",
        "holder_dies_before_drop_function",
        "P5",
        IgnoresGeneration,
    ),
    Mutant(
        "flights are joined blindly",
        "H7",
        "join_partition",
        "P2",
        patches=[(flights.Flights, "joinable", _blind)],
    ),
    Mutant(
        "flights are joined whatever lease they hold",
        "H7",
        "join_by_lease_of_another_partition",
        "P1",
        patches=[(flights.Flights, "follow", _follows_anybody)],
    ),
    Mutant(
        "a rule's refresh skips what is being computed",
        "H8",
        "rule_refreshes",
        "P1",
        patches=[(refresh, "refresh", _skips_if_leased)],
    ),
    Mutant(
        "a refused refresh leaves the old value",
        "H8",
        "rule_refreshes_for_long",
        "P1",
        patches=[(refresh, "drop_key", _does_nothing)],
    ),
    Mutant(
        "a drop is announced before it is done",
        "H11",
        "memory_polled_twice_partition",
        "P2",
        AnnouncesFirst,
        patches=[(drop, "_drop_shared", _drops_twice)],
    ),
    Mutant(
        "memory does not respect what was dropped since it asked",
        "H11",
        "memory_cold_partition",
        "P2",
        patches=[(Place, "keep", _takes_place_late)],
    ),
    Mutant(
        "a drop without an announcement is never noticed",
        "H12",
        "announcement_lost",
        "P2",
        patches=[(places, "RECHECK", 1e9)],
    ),
    Mutant(
        "a trimmed channel looks whole",
        "H13",
        "channel_trimmed",
        "P2",
        patches=[(channel, "_follows", _ALWAYS)],
    ),
    Mutant(
        "a lost channel looks idle",
        "H13",
        "channel_lost",
        "P2",
        patches=[(Channel, "_accept", _accepts_everything)],
    ),
    Mutant(
        "numbers of messages are compared without nonces",
        "H13",
        "channel_rolled_back",
        "P2",
        patches=[(Channel, "_accept", _accepts_any_nonce)],
    ),
    Mutant(
        "memory survives the first position",
        "H14",
        "memory_before_channel_partition",
        "P2",
        patches=[
            (Channel, "poll", _keeps_at_first_position),
            (Place, "trusted", property(_ALWAYS, lambda *_: None)),
        ],
    ),
    Mutant(
        "trust counts from receipt",
        "H15",
        "memory_partition",
        "P2",
        patches=[(Channel, "poll", _trusts_from_receipt)],
    ),
    Mutant(
        "memory outlives the trust in its channel",
        "H15",
        "memory_partition",
        "P2",
        patches=[(Channel, "trusted", _ALWAYS)],
    ),
    Mutant(
        "memory takes over values with a full life",
        "H16",
        "life_in_memory",
        "P2",
        patches=[(examine, "remember", _promotes_with_full_life)],
    ),
    Mutant(
        "a refused value enters memory",
        "H17",
        "memory_cold_partition",
        "P2",
        patches=[(fill, "_fill", _keeps_refused)],
    ),
    Mutant(
        "nested computations wait for each other",
        "H18",
        "crossing_two processes",
        "P5",
        patches=[(lease, "holds_any", _NEVER)],
    ),
    Mutant(
        "nested computations of one process wait for each other",
        "H18",
        "crossing_one process",
        "P5",
        patches=[(lease, "waiting", _waits_anyway)],
    ),
    Mutant(
        "reads go before drops that are owed",
        "H19",
        "drop_without_link_partition",
        "P1",
        patches=[(outage.PendingDrops, "__bool__", _NEVER)],
    ),
    Mutant(
        "a drop that fails is forgotten",
        "H19",
        "drop_without_link_key",
        "P1",
        patches=[(drop, "_drop_shared", _forgets_failed_drop)],
    ),
    Mutant(
        "a refused drop is forgotten",
        "H21",
        "drop_refused_partition",
        "P1",
        patches=[(drop, "_drop_shared", _forgets_failed_drop)],
    ),
    Mutant("a drop is acknowledged half done", "H22", "drop_two_partitions", "P1", DropsOnlyOne),
)

NOT_YET: Mapping[str, str] = {
    "H9": "at_most_once is not built yet: `atomic_writes` accepts at_least_once only",
    "H10": "tags are not built yet; stamps read at the fill are caught under H1",
    "H20": "strict failover and the replay journal are not built yet",
    "H23": "tags of results are not built yet",
    "H24": "dirty transactions and old snapshots are known to integrations, of which none is here",
    "H25": "the digest of the scopes is part of the key's text, which is made before the engine",
}
"""Holes without a mutant, and why."""
