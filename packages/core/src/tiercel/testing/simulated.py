"""The reference backend: every command of the protocol, exactly, on one dict.

It is what the other backends are compared with, so it prefers being obvious to being fast.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar, cast

from msgspec import Struct

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
    Message,
    MintTags,
    Poll,
    Polled,
    Position,
    Read,
    Reading,
    ReadMany,
    ReadThenBegin,
    Release,
    Renew,
)
from tiercel.errors import BackendRefused, BackendUnavailable
from tiercel.stamps import carries, join_stamps
from tiercel.testing.clock import VirtualClock

Reply = TypeVar("Reply")

CHANNEL = "changes"
"""Name of the only push channel."""


class Cell(Struct, frozen=True):
    """What is stored under one name until `deadline` on the monotonic clock."""

    data: Any
    deadline: float


class Lease(Struct, frozen=True):
    """The right to fill one key under the stamps of `generation`."""

    token: bytes
    generation: bytes
    waiters: tuple[str, ...] = ()


class Snapshot(Struct, frozen=True):
    """Everything a server would load after a failover."""

    cells: Mapping[str, Cell]
    stream: tuple[Message, ...]


class SimulatedBackend(Backend):
    """A complete shared tier inside this process, with faults that tests can order.

    Each command is one step under a lock; `Poll` and mailboxes wait in real time, woken by the
    commands of other threads.

    Args:
        clock: Decides what has expired; a `VirtualClock` by default.
        random: Returns that many random bytes; the default repeats itself in every run.

    Attributes:
        clock: The clock it was given.
        unreachable: While true, every command raises `BackendUnavailable` and does nothing.
        commands: Every command that was executed, in order.
    """

    capabilities = frozenset(
        {Capability.MULTI_GET, Capability.ATOMIC, Capability.PUSH, Capability.NATIVE_TTL}
    )
    asynchronous = True

    def __init__(
        self, clock: Clock | None = None, random: Callable[[int], bytes] | None = None
    ) -> None:
        self.clock: Clock = VirtualClock() if clock is None else clock
        self.unreachable = False
        self.commands: list[Command[Any]] = []
        self._random = Random(0).randbytes if random is None else random
        self._cells: dict[str, Cell] = {}
        self._stream: tuple[Message, ...] = ()
        self._mailboxes: dict[str, list[SimulatedMailbox]] = {}
        self._refusals = 0
        self._lost_replies = 0
        self._changed = threading.Condition(threading.RLock())

    # Commands

    def execute(self, command: Command[Reply]) -> Reply:
        """Execute a command as one atomic step."""
        with self._changed:
            self._fail_if_told_to()
            self.commands.append(command)
            perform: Callable[[Any], Any] = getattr(self, f"_{type(command).__name__.lower()}")
            reply = perform(command)
            if self._lost_replies:
                self._lost_replies -= 1
                raise BackendUnavailable("simulated: executed, but the reply was lost")
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
        key = command.key
        stamps = [self._mint(name, command.stamp_life) for name in key.scopes]
        if not command.force and self._is_current(key, stamps, command.floor):
            return Found()
        lease, generation = self._lease(key), join_stamps(stamps) or b""
        if lease and lease.generation == generation and not command.force:
            if command.waiter is not None and command.waiter not in lease.waiters:
                self._register(key, lease, command.waiter)
            return Held(lease.token, stamps, self._remaining(f"lease/{key.text}"))
        token = self._random(STAMP_BYTES)
        waiters = lease.waiters if lease else ()
        self._put(f"lease/{key.text}", Lease(token, generation, waiters), command.lease)
        return Granted(token, stamps)

    def _fill(self, command: Fill) -> bool:
        if not self._holds(command.key, command.token):
            return False
        self._put(f"value/{command.key.text}", command.payload, command.life)
        for name in (*command.key.scopes, *command.tags):
            self._prolong(f"stamp/{name}", command.life)
        self._end_lease(command.key)
        if command.announce:
            self._announce((command.key.text,))
        return True

    def _renew(self, command: Renew) -> bool:
        lease = self._lease(command.key)
        if lease is None or lease.token != command.token:
            return False
        self._put(f"lease/{command.key.text}", lease, command.lease)
        return True

    def _release(self, command: Release) -> None:
        if self._holds(command.key, command.token):
            self._end_lease(command.key)

    def _dropkey(self, command: DropKey) -> bool:
        existed = self._get(f"value/{command.key.text}") is not None
        self._cells.pop(f"value/{command.key.text}", None)
        self._end_lease(command.key)
        self._announce((command.key.text,))
        return existed

    def _dropscopes(self, command: DropScopes) -> None:
        for scope in command.scopes:
            self._put(f"stamp/{scope.name}", self._new_stamp() + command.provenance, command.life)
        self._announce(tuple(scope.name for scope in command.scopes))

    def _minttags(self, command: MintTags) -> list[bytes]:
        return [self._mint(name, command.stamp_life) for name in command.tags]

    def _poll(self, command: Poll) -> dict[str, Polled]:
        position = command.positions.get(CHANNEL)
        if position is None:
            return {CHANNEL: Polled((), self._last())}
        until = time.monotonic() + command.block
        while not (messages := self._since(position)):
            if self._last() != position or not self._changed.wait(until - time.monotonic()):
                break
        return {CHANNEL: Polled(messages, self._last())}

    def _clear(self, command: Clear) -> None:
        for name in self.names():
            if name.partition("/")[2].startswith(command.prefix):
                del self._cells[name]
        self.lose_stream()

    # Cells: value/<key>, stamp/<scope>, lease/<key>

    def _get(self, name: str) -> Any:
        cell = self._cells.get(name)
        return cell.data if cell and self.clock.monotonic() < cell.deadline else None

    def _put(self, name: str, data: Any, life: float) -> None:
        self._cells[name] = Cell(data, self.clock.monotonic() + life)

    def _remaining(self, name: str) -> float:
        return self._cells[name].deadline - self.clock.monotonic()

    def _prolong(self, name: str, life: float) -> None:
        data = self._get(name)
        if data is not None and self._remaining(name) < life:
            self._put(name, data, life)

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

    def _new_stamp(self) -> bytes:
        return self._random(STAMP_BYTES)

    def _mint(self, name: str, life: float) -> bytes:
        if self._get(f"stamp/{name}") is None:
            self._put(f"stamp/{name}", self._new_stamp(), life)
        self._prolong(f"stamp/{name}", life)
        return cast("bytes", self._get(f"stamp/{name}"))

    # Leases and wakes

    def _lease(self, key: Key) -> Lease | None:
        return cast("Lease | None", self._get(f"lease/{key.text}"))

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

    def _since(self, position: Position) -> tuple[Message, ...]:
        after = (position.epoch, position.number)
        return tuple(m for m in self._stream if (m.position.epoch, m.position.number) > after)

    def _announce(self, names: tuple[str, ...]) -> None:
        last, nonce = self._last(), self._random(8).hex()
        if last is None:
            position = Position(int.from_bytes(self._random(5), "big"), 1, nonce)
        else:
            position = Position(last.epoch, last.number + 1, nonce)
        self._stream += (Message(position, last.nonce if last else "", names),)
        self._changed.notify_all()

    # Faults

    def _fail_if_told_to(self) -> None:
        if self.unreachable:
            raise BackendUnavailable("simulated: unreachable")
        if self._refusals:
            self._refusals -= 1
            raise BackendRefused("simulated: refused")

    def names(self) -> list[str]:
        """Return the names of all live cells: `value/<key>`, `stamp/<scope>`, `lease/<key>`."""
        return [name for name in self._cells if self._get(name) is not None]

    def evict(self, name: str) -> None:
        """Lose one cell, by a name from `names()`; nothing happens if it is gone already."""
        with self._changed:
            self._cells.pop(name, None)

    def lose_stream(self) -> None:
        """Lose the push channel with its position; the next message begins another epoch."""
        with self._changed:
            self._stream = ()
            self._changed.notify_all()

    def trim_stream(self, n: int) -> None:
        """Keep only the last `n` messages of the push channel; at least one."""
        with self._changed:
            self._stream = self._stream[-max(n, 1) :]

    def refuse(self, commands: int = 1) -> None:
        """Answer the next `commands` commands with `BackendRefused`."""
        self._refusals = commands

    def lose_replies(self, commands: int = 1) -> None:
        """Execute the next `commands` commands, then raise `BackendUnavailable` anyway."""
        self._lost_replies = commands

    def snapshot(self) -> Snapshot:
        """Remember everything, as a replica or a dump would."""
        with self._changed:
            return Snapshot(dict(self._cells), self._stream)

    def rollback(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, as a failover to a lagging replica does."""
        with self._changed:
            self._cells, self._stream = dict(snapshot.cells), snapshot.stream
            self._changed.notify_all()


def _waits(command: Command[Any]) -> bool:
    return isinstance(command, Poll) and command.block > 0


class SimulatedMailbox(Mailbox):
    """Wakes in a list, guarded by the backend's condition."""

    def __init__(self, changed: threading.Condition, open_ones: list[SimulatedMailbox]) -> None:
        self._changed = changed
        self._open_ones = open_ones
        self._texts: list[str] = []
        open_ones.append(self)

    def deliver(self, text: str) -> None:
        """Add a wake; the caller holds the condition and notifies."""
        self._texts.append(text)

    def receive(self, timeout: float) -> Sequence[str]:
        """Wait at most `timeout` real seconds for wakes."""
        with self._changed:
            self._changed.wait_for(lambda: self._texts or self not in self._open_ones, timeout)
            if self not in self._open_ones:
                raise BackendUnavailable("simulated: the mailbox is closed")
            texts, self._texts = self._texts, []
        return texts

    def close(self) -> None:
        """Close; a `receive` in another thread raises."""
        with self._changed:
            if self in self._open_ones:
                self._open_ones.remove(self)
            self._changed.notify_all()
