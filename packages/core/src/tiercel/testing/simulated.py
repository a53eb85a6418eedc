"""The reference backend: every command of the protocol, exactly, on one dict.

It is what the other backends are compared with, so it prefers being obvious to being fast.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar, cast

from tiercel.clock import Clock
from tiercel.contracts.backend import (
    STAMP_BYTES,
    Backend,
    Begin,
    Begun,
    Capability,
    Clear,
    Command,
    DropKey,
    DropScopes,
    Fill,
    Found,
    Granted,
    Held,
    Key,
    Mailbox,
    MintTags,
    Poll,
    Read,
    Reading,
    ReadMany,
    ReadThenBegin,
    Release,
    Renew,
    Settle,
)
from tiercel.contracts.claim import ClaimState, Spent
from tiercel.contracts.index import Index, ListEntries, Listing, Probe
from tiercel.contracts.overwrite import Overwrite
from tiercel.contracts.position import Announcement, Polled, Position
from tiercel.contracts.reversal import Replay
from tiercel.stamps import carries, join_stamps
from tiercel.testing.cells import Claim, Lease
from tiercel.testing.clock import VirtualClock
from tiercel.testing.mailbox import SimulatedMailbox
from tiercel.testing.notes import Note, Notes
from tiercel.testing.store import SimulatedStore

Reply = TypeVar("Reply")

CHANNEL = "changes"
"""Name of the only push channel."""


class SimulatedBackend(SimulatedStore, Backend):
    """A complete shared tier inside this process, with faults that tests can order.

    Each command is one step under a lock; `Poll` and mailboxes wait in real time, woken by the
    commands of other threads.

    Args:
        clock: Decides what has expired; a `VirtualClock` by default.
        random: Returns that many random bytes; the default repeats itself in every run.

    Attributes:
        commands: Every command that was executed, in order.
    """

    capabilities = frozenset(
        {
            Capability.MULTI_GET,
            Capability.ATOMIC,
            Capability.PUSH,
            Capability.INDEX,
            Capability.NATIVE_TTL,
            Capability.CLAIM,
            Capability.OVERWRITE,
        }
    )
    asynchronous = True

    def __init__(
        self, clock: Clock | None = None, random: Callable[[int], bytes] | None = None
    ) -> None:
        super().__init__(VirtualClock() if clock is None else clock)
        self.commands: list[Command[Any]] = []
        self._random = Random(0).randbytes if random is None else random
        self._mailboxes: dict[str, list[SimulatedMailbox]] = {}

    # Commands

    def execute(self, command: Command[Reply]) -> Reply:
        """Execute a command as one atomic step."""
        with self._changed:
            self._fail_if_told_to()
            self.commands.append(command)
            perform: Callable[[Any], Any] = getattr(self, f"_{type(command).__name__.lower()}")
            reply = perform(command)
            self._lose_reply_if_told_to()
        return cast("Reply", reply)

    async def aexecute(self, command: Command[Reply]) -> Reply:
        """Execute a command as one atomic step, off the event loop only if it would wait."""
        if _waits(command):
            return await super().aexecute(command)
        return self.execute(command)

    def open_mailbox(self, waiter: str) -> Mailbox:
        """Open a mailbox that gets every wake sent to `waiter` from now on."""
        with self._changed:
            self._fail_if_told_to()
            mailboxes = self._mailboxes.setdefault(waiter, [])
            return SimulatedMailbox(self._changed, mailboxes)

    def _read(self, command: Read) -> Reading:
        return self._reading(command.key, command.tags)

    def _readmany(self, command: ReadMany) -> list[Reading]:
        return [self._reading(key) for key in command.keys]

    def _readthenbegin(self, command: ReadThenBegin) -> tuple[Reading, Begun]:
        return self._reading(command.begin.key), self._begin(command.begin)

    def _begin(self, command: Begin) -> Begun:
        key, fence = command.key, b""
        if command.index is not None:
            fence = self._prepared(command.index)
        stamps = [self._mint(name, command.stamp_life) for name in key.scopes]
        if not command.force and self._is_current(key, stamps, command.floor):
            return Found()
        lease, generation = self._lease(key), (join_stamps(stamps) or b"") + fence
        if lease and lease.generation == generation and not command.force:
            if command.waiter is not None and command.waiter not in lease.waiters:
                self._register(key, lease, command.waiter)
            return Held(lease.token, stamps, self._remaining(f"lease/{key.text}"))
        token = self._random(STAMP_BYTES)
        if command.claim:
            claim = self._claim(key)
            if claim and claim.generation == generation and not command.force:
                return Spent(claim.state, claim.failure)
            self._put(f"claim/{key.text}", Claim(token, generation), command.claim)
        waiters = lease.waiters if lease else ()
        self._put(f"lease/{key.text}", Lease(token, generation, waiters), command.lease)
        return Granted(token, stamps)

    def _fill(self, command: Fill) -> bool:
        if not self._holds(command.key, command.token):
            return False
        if command.index is not None and not self._admits(command.index, command.key):
            self._end_lease(command.key)
            return False
        self._put(f"value/{command.key.text}", command.payload, command.life)
        for name in (*command.key.scopes, *command.tags):
            self._prolong(f"stamp/{name}", command.life)
        self._end_lease(command.key)
        if command.announce:
            self._announce((command.key.text,))
        if command.index is not None:
            self._note(command.index, command)
        return True

    def _overwrite(self, command: Overwrite) -> bool:
        stamps = [self._get(f"stamp/{name}") for name in command.key.scopes]
        if not carries(command.payload, stamps):
            return False
        self._put(f"value/{command.key.text}", command.payload, command.life)
        for name in command.key.scopes:
            self._prolong(f"stamp/{name}", command.life)
        self._end_lease(command.key)
        self._announce((command.key.text,))
        return True

    def _renew(self, command: Renew) -> bool:
        lease = self._lease(command.key)
        if lease is None or lease.token != command.token:
            return False
        self._put(f"lease/{command.key.text}", lease, command.lease)
        if command.claim:
            self._prolong(f"claim/{command.key.text}", command.claim)
        return True

    def _settle(self, command: Settle) -> None:
        claim = self._claim(command.key)
        if claim and claim.token == command.token:
            state = ClaimState.DONE if command.failure is None else ClaimState.FAILED
            ended = Claim(claim.token, claim.generation, state, command.failure or "")
            self._put(f"claim/{command.key.text}", ended, command.life)

    def _release(self, command: Release) -> None:
        claim = self._claim(command.key)
        if command.claim and claim and claim.token == command.token:
            del self._cells[f"claim/{command.key.text}"]
        if self._holds(command.key, command.token):
            self._end_lease(command.key)

    def _dropkey(self, command: DropKey) -> bool:
        existed = self._get(f"value/{command.key.text}") is not None
        self._cells.pop(f"value/{command.key.text}", None)
        self._cells.pop(f"claim/{command.key.text}", None)
        self._end_lease(command.key)
        self._announce((command.key.text,))
        return existed

    def _dropscopes(self, command: DropScopes) -> None:
        for scope in command.scopes:
            self._put(f"stamp/{scope.name}", self._new_stamp() + command.provenance, command.life)
        for index in command.indexes:
            self._put(f"index/{index.name}", Notes(), index.life)
        self._announce(tuple(scope.name for scope in command.scopes))

    def _replay(self, command: Replay) -> None:
        for name in command.names:
            for kind in ("value", "claim", "lease", "stamp"):
                self._cells.pop(f"{kind}/{name}", None)
        self._announce(command.names)

    def _minttags(self, command: MintTags) -> list[bytes]:
        return [self._mint(name, command.stamp_life) for name in command.tags]

    def _listentries(self, command: ListEntries) -> Listing:
        notes: Notes | None = self._get(f"index/{command.name}")
        if notes is None:  # without its stamp no entry of the function can be read
            return Listing((), "", self._get(f"stamp/{command.name}") is None)
        return notes.page(command.cursor, command.count, self.clock.monotonic())

    def _probe(self, command: Probe) -> list[bool]:
        return [self._is_live(key) for key in command.keys]

    def _poll(self, command: Poll) -> dict[str, Polled]:
        position = command.positions.get(CHANNEL)
        if position is None:
            return {CHANNEL: Polled((), self._last())}
        until = time.monotonic() + command.block
        while self._last() == position and self._changed.wait(until - time.monotonic()):
            pass
        return {CHANNEL: Polled(self._since(position), self._last())}

    def _clear(self, command: Clear) -> None:
        for name in self.names():
            if name.partition("/")[2].startswith(command.prefix):
                del self._cells[name]
        self.lose_stream()

    def _reading(self, key: Key, tags: Sequence[str] = ()) -> Reading:
        payload = self._get(f"value/{key.text}")
        return Reading(
            payload,
            0.0 if payload is None else self._remaining(f"value/{key.text}"),
            [self._get(f"stamp/{name}") for name in key.scopes],
            [self._get(f"stamp/{name}") for name in tags],
        )

    def _is_current(self, key: Key, stamps: Sequence[bytes], floor: float) -> bool:
        payload = self._get(f"value/{key.text}")
        return (
            payload is not None
            and carries(payload, stamps)
            and self._remaining(f"value/{key.text}") > floor
        )

    def _is_live(self, key: Key) -> bool:
        return self._is_current(key, [self._get(f"stamp/{name}") for name in key.scopes], 0.0)

    def _new_stamp(self) -> bytes:
        return self._random(STAMP_BYTES)

    def _mint(self, name: str, life: float) -> bytes:
        if self._get(f"stamp/{name}") is None:
            self._put(f"stamp/{name}", self._new_stamp(), life)
        self._prolong(f"stamp/{name}", life)
        return cast("bytes", self._get(f"stamp/{name}"))

    # Indexes

    def _prepared(self, index: Index) -> bytes:
        """Return the fence; without the function's stamp nothing is there yet to be missed."""
        if self._get(f"stamp/{index.name}") is None:
            self._put(f"index/{index.name}", Notes(), index.life)
        return self._mint(index.fence, index.life)[:STAMP_BYTES]

    def _admits(self, index: Index, key: Key) -> bool:
        lease, fence = self._lease(key), self._get(f"stamp/{index.fence}")
        computed_under = lease.generation[STAMP_BYTES * len(key.scopes) :] if lease else None
        return fence is not None and computed_under == fence[:STAMP_BYTES]

    def _note(self, index: Index, fill: Fill) -> None:
        now = self.clock.monotonic()
        notes = self._get(f"index/{index.name}") or Notes((), now + index.longest)
        note = Note(fill.key.text, fill.note, now + fill.life)
        self._put(f"index/{index.name}", notes.added(note, index.limit, now), index.life)

    # Leases and wakes

    def _lease(self, key: Key) -> Lease | None:
        return cast("Lease | None", self._get(f"lease/{key.text}"))

    def _claim(self, key: Key) -> Claim | None:
        return cast("Claim | None", self._get(f"claim/{key.text}"))

    def _holds(self, key: Key, token: bytes) -> bool:
        lease = self._lease(key)
        return lease is not None and lease.token == token

    def _register(self, key: Key, lease: Lease, waiter: str) -> None:
        waiting = Lease(lease.token, lease.generation, (*lease.waiters, waiter))
        self._put(f"lease/{key.text}", waiting, self._remaining(f"lease/{key.text}"))

    def _end_lease(self, key: Key) -> None:
        lease = self._lease(key)
        self._cells.pop(f"lease/{key.text}", None)
        for waiter in lease.waiters if lease else ():
            for mailbox in self._mailboxes.get(waiter, ()):
                mailbox.deliver(key.text)
        self._changed.notify_all()

    # The push channel

    def _last(self) -> Position | None:
        return self._stream[-1].position if self._stream else None

    def _since(self, position: Position) -> tuple[Announcement, ...]:
        after = (position.epoch, position.number)
        return tuple(m for m in self._stream if (m.position.epoch, m.position.number) > after)

    def _announce(self, names: tuple[str, ...]) -> None:
        last, nonce = self._last(), self._random(8).hex()
        if last is None:
            position = Position(int.from_bytes(self._random(5), "big"), 1, nonce)
        else:
            position = Position(last.epoch, last.number + 1, nonce)
        self._stream += (Announcement(position, last.nonce if last else "", names),)
        self._changed.notify_all()


def _waits(command: Command[Any]) -> bool:
    return isinstance(command, Poll) and command.block > 0
