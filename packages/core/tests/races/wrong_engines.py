"""Parts of the engine done wrong, each in one way, to be put in the place of the right ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from tiercel.contracts.backend import Fill, Granted, Reading
from tiercel.contracts.position import Polled
from tiercel.engine import examine, fill, flights, index, lease, places, retire
from tiercel.engine.channel import Channel
from tiercel.engine.effects import Run, Steps
from tiercel.engine.journal import Journal
from tiercel.engine.places import Place
from tiercel.engine.state import Outcome, Right
from tiercel.entry import pack_header
from tiercel.errors import BackendError
from tiercel.events import Cause, Status, Tier
from tiercel.stamps import join_stamps


def writes_back(subject: Any, call: Any, place: Any, seen: Any) -> Steps[Outcome]:
    """Serve a stale value, and store it again so that the next caller has it fresh."""
    granted = yield lease.request(subject, call, force=True, wait=False)
    stamps = join_stamps(granted.stamps) or b""
    header = pack_header(call.key.text, stamps, hard=100.0, soft=100.0)
    payload = header + subject.codec.encode(seen.value, call.key.text.encode() + header)
    yield Fill(call.key, granted.token, payload, 100.0)
    outcome: Outcome = seen.outcome(Status.STALE)
    return outcome


def remembers_what_it_saw(subject: Any, call: Any, reading: Reading) -> Any:
    """Judge what was read, and keep it for the case that the function fails."""
    subject.was_seen = _examine(subject, call, reading)
    return subject.was_seen


def serves_what_it_saw(subject: Any, call: Any, grace: float) -> Steps[Outcome | None]:
    """Serve what was seen before the function failed, without looking again."""
    yield from ()
    seen = subject.was_seen
    return seen.outcome(Status.STALE) if seen.found else None


def skips_if_leased(subject: Any, call: Any) -> Steps[Outcome]:
    """Refresh, unless somebody computes the key already."""
    begun = yield lease.request(subject, call, floor=float("inf"), wait=False)
    if not isinstance(begun, Granted):
        return Outcome(None, Status.REFRESH, Tier.FUNCTION)
    right = Right(places.reserve(subject, call), begun.token, join_stamps(begun.stamps) or b"")
    return (
        yield from fill.complete(
            subject, call, flights.Flight(lambda: False), right, Cause.REQUESTED
        )
    )


def begins_after_computing(subject: Any, call: Any, token: bytes, floor: float) -> Steps[Any]:
    """Do what another process has enqueued, and ask for the right to store it at the end."""
    value = yield Run(subject.target, call.args, call.kwargs)
    granted = yield lease.request(subject, call, force=True, wait=False)
    right = Right(places.reserve(subject, call), granted.token, join_stamps(granted.stamps) or b"")
    outcome = Outcome(value, Status.REFRESH, Tier.FUNCTION)
    yield from fill.store(subject, call, right, outcome, 100.0, 0.0)


def drops_twice(subject: Any, command: Any) -> Steps[bool]:
    """Send the drop in two steps, for a backend that does half of it each time."""
    yield command
    return bool((yield command))


def forgets_failed_drop(subject: Any, command: Any) -> Steps[bool]:
    """Send a drop, and do not mind if it fails."""
    try:
        return bool((yield command))
    except BackendError:
        return True


def begins_carelessly(subject: Any, call: Any, joins: bool = False, **options: Any) -> Steps[Any]:
    """Ask for a lease, and follow who has it, however old that is."""
    return _begin(subject, call, **options)


def owes_nothing_again(self: Any) -> int:
    """Take note that the shared tier has gone back, and leave it at that."""
    self.reversals += 1
    return 0


def notes_afterwards(subject: Any, command: Any) -> Steps[bool]:
    """Note a drop when its acknowledgement has been dealt with, as if nothing happened before."""
    existed = yield command
    subject.engine.pending.journal.note(command)
    return bool(existed)


def recalls_once(self: Any) -> Any:
    """Forget what has to be dropped again, as that is being done."""
    recalled = _recall(self)
    self._noted.clear()
    self.note = _forgetful
    return recalled


def _forgetful(drop: Any) -> None:
    """Keep nothing."""


def does_nothing(*args: Any, **named: Any) -> Steps[None]:
    yield from ()


def accepts_everything(self: Any, name: str, polled: Polled) -> bool:
    """Apply the messages there are, whatever may be missing between them."""
    for message in polled.messages:
        for dropped in message.names:
            self._memory.drop_name(dropped)
    if polled.last is not None:
        self._positions[name] = polled.last
    return True


def accepts_any_nonce(self: Any, name: str, polled: Polled) -> bool:
    """Compare numbers only, as if none were ever given twice."""
    at = self._positions.get(name)
    if polled.last is not None and at is not None and not polled.messages:
        self._positions[name] = polled.last
        return bool((at.epoch, at.number) == (polled.last.epoch, polled.last.number))
    return bool(_accept(self, name, polled))


def trusts_from_receipt(self: Any) -> Steps[bool]:
    """Poll, and count trust from when the reply came."""
    whole = yield from _poll(self)
    if self.trusted_until > 0:
        self.trusted_until = self._clock.monotonic() + self.max_lag
    return whole


def keeps_at_first_position(self: Any) -> Steps[bool]:
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


def promotes_with_full_life(subject: Any, place: Any, outcome: Any, **options: Any) -> None:
    """Count the life of what was read from when it was read."""
    options["soft_left"] += outcome.age
    places.remember(subject, place, replace(outcome, left=outcome.left + outcome.age), **options)


def keeps_refused(subject: Any, call: Any, right: Any, *others: Any) -> Steps[bool]:
    """Keep in memory what the shared tier refused, in a place taken only then."""
    stored = yield from _fill(subject, call, right, *others)
    if right.refused:
        right.place, right.refused = places.reserve(subject, call), False
        return True
    return bool(stored)


def believes_the_listing(*args: Any, **kwargs: Any) -> Steps[Any]:
    """Take for all what an index lists, whatever it says of itself."""
    entries = yield from _listing(*args, **kwargs)
    entries.complete = True
    return entries


def keeps_nobody_out(subject: Any, fence: str) -> Steps[None]:
    """Go on without a word to those who are computing."""
    yield from ()


def takes_place_late(self: Any, value: Any, *others: Any) -> None:
    """Keep a value although its place was dropped since it was taken."""
    if self._reservation is not None:
        table, old = self._table, self._reservation
        scopes = (table.name, *_enclosing(old.part))
        self._reservation = table.reserve(old.key, old.text, scopes)
    _keep(self, value, *others)


def _enclosing(part: Any) -> list[str]:
    return [] if part.parent is None else [*_enclosing(part.parent), part.name]


def follows_anybody(self: Any, flight: Any, token: bytes) -> Any:
    """Follow whoever computes anything, whatever lease that is for."""
    return next(iter(self._by_token.values()), None) or _follow(self, flight, token)


def marks_what_it_read_before(subject: Any, call: Any) -> Any:
    """Read what is to be marked as stale before the lease is taken."""
    fenced, subject.fenced = subject.fenced, False
    try:
        return (yield from _retire(subject, call))
    finally:
        subject.fenced = fenced


@contextmanager
def waits_anyway(flight: Any) -> Iterator[bool]:
    yield True


_listing = index._listing
_begin = lease.begin
_recall = Journal.recall
_retire = retire._retire_shared
_examine = examine.examine
_accept, _poll = Channel._accept, Channel.poll
_fill, _follow, _keep = fill.fill, flights.Flights.follow, Place.keep
joins_blindly: Callable[..., Any] = lambda self, key: self._by_key.get(key)  # noqa: E731
ALWAYS: Callable[..., bool] = lambda *_: True  # noqa: E731
NEVER: Callable[..., bool] = lambda *_: False  # noqa: E731
