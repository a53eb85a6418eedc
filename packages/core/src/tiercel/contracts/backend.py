"""The contract between the engine and whatever stores a shared tier.

Two ways to write a backend:

- `KeyValueStore` asks for `get`, `set` and `delete` only. Tiercel builds stamps on top of it.
- `Backend` executes the commands of the consistency protocol itself, atomically, which buys
  fenced fills, one computation among many processes and, with `PUSH`, coherent memory tiers.

A command is data. A backend turns it into bytes or statements and its reply back into data, so
that the synchronous and the asynchronous way differ in the input and output only.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from msgspec import Struct

from tiercel.contracts.key_value import KeyValueStore

Reply = TypeVar("Reply")

STAMP_BYTES = 16
"""Bytes of a stamp that headers keep and compare; what follows them is provenance."""

STAMPS_OFFSET = 48
"""Where the stamps of an entry stand in its stored bytes: one after the other, no separator."""


class Capability(StrEnum):
    """What a backend can do; the guarantee level of a cache is derived from these."""

    MULTI_GET = "multi_get"
    ATOMIC = "atomic"
    PUSH = "push"
    INDEX = "index"
    TOUCH = "touch"
    NATIVE_TTL = "native_ttl"


class Key(Struct, frozen=True, gc=False):
    """The identity of one entry.

    Attributes:
        text: The whole key: printable ASCII, at most 230 bytes, unique to the entry.
        scopes: Names of the stamps the entry depends on, the function's first, then one for
            each leading prefix of its partition.
        spread: Text that decides where a distributed backend puts the entry together with its
            stamps: the leading partition value or, without partition, the whole text.
    """

    text: str
    scopes: tuple[str, ...]
    spread: str


class Scope(Struct, frozen=True, gc=False):
    """Everything that one stamp covers: a function, a partition or a tag.

    Attributes:
        name: The name of the stamp.
        spread: The `Key.spread` that all its entries share; None if they are spread everywhere.
    """

    name: str
    spread: str | None = None


class Command(Struct, Generic[Reply], frozen=True, gc=False):
    """One atomic request to a shared tier; `Reply` is what it answers. All times are seconds."""


class Reading(Struct, frozen=True, gc=False):
    """What is stored for a key at one instant.

    Attributes:
        payload: The stored bytes, or None.
        remaining: Seconds until the entry expires; at least 0; 0 when payload is None.
        stamps: The current stamps, one for each of `Key.scopes` (a backend may append its own);
            None where a stamp is missing. Each has at least `STAMP_BYTES` bytes.
        tags: The current stamps of the tags that were asked for, in their order.
    """

    payload: bytes | None
    remaining: float
    stamps: Sequence[bytes | None]
    tags: Sequence[bytes | None] = ()


class Read(Command[Reading], frozen=True, gc=False):
    """Read an entry and its stamps. `remaining` is measured before the stamps are read.

    Attributes:
        life: Whether `remaining` is wanted; if not, it may be infinite for an entry that is there.
    """

    key: Key
    tags: tuple[str, ...] = ()
    life: bool = True


class ReadMany(Command[list[Reading]], frozen=True, gc=False):
    """Read several entries; replies stand in the order of `keys`."""

    keys: Sequence[Key]


class Granted(Struct, frozen=True, gc=False):
    """The caller holds the lease and must `Fill` or `Release` with this token.

    Attributes:
        token: Proof of the lease; random, never reused.
        stamps: The stamps in force when the lease was taken: what the entry's header must carry.
    """

    token: bytes
    stamps: Sequence[bytes]


class Held(Struct, frozen=True, gc=False):
    """Another caller holds the lease of the same generation.

    Attributes:
        token: The token of its holder.
        stamps: The stamps now in force.
        remaining: Seconds until the lease expires.
    """

    token: bytes
    stamps: Sequence[bytes]
    remaining: float


class Found(Struct, frozen=True, gc=False):
    """The entry exists by now, its stamps are current, and it outlives `Begin.floor`."""


Begun = Granted | Held | Found


class Begin(Command[Begun], frozen=True, gc=False):
    """Ask for the lease of a key, after a miss or for a refresh (protocol rule 4).

    In one atomic step: mint the missing stamps; if the stored entry carries the current stamps
    and lives longer than `floor` seconds, reply `Found`; if a lease of the same stamps exists,
    register `waiter` and reply `Held`; else write a new lease and reply `Granted`.

    Attributes:
        key: The entry to fill.
        lease: Seconds until the lease expires by itself.
        stamp_life: Seconds that a stamp lives at least from now.
        floor: An entry counts as found only if it lives longer than this; infinity: never.
        force: Take the lease from whoever holds it, and never reply `Found`.
        waiter: The mailbox to wake when the key is filled, dropped or released; None: nobody.
        token: Random bytes for the token of the lease, by which the caller can release it without
            having got an answer. A backend may ignore them and draw a token of its own.
    """

    key: Key
    lease: float
    stamp_life: float
    floor: float = 0.0
    force: bool = False
    waiter: str | None = None
    token: bytes | None = None


class ReadThenBegin(Command[tuple[Reading, Begun]], frozen=True, gc=False):
    """`Read`, then `Begin` in the same round trip; for functions that miss often."""

    begin: Begin


class Fill(Command[bool], frozen=True, gc=False):
    """Store an entry if its lease is still held by `token`; wake the waiters (rule 5).

    Replies False, and stores nothing, if the lease is gone or another's. Never mints stamps;
    extends the life of the stamps to at least `life`.

    Attributes:
        announce: Also tell the memory tiers of other processes that the key has changed.
    """

    key: Key
    token: bytes
    payload: bytes
    life: float
    tags: tuple[str, ...] = ()
    announce: bool = False


class Renew(Command[bool], frozen=True, gc=False):
    """Prolong a lease to `lease` seconds from now, if it is still held by `token`."""

    key: Key
    token: bytes
    lease: float


class Release(Command[None], frozen=True, gc=False):
    """Give a lease back without a fill, if it is still held by `token`; wake the waiters."""

    key: Key
    token: bytes


class DropKey(Command[bool], frozen=True, gc=False):
    """Remove one entry and its lease, wake its waiters and tell all memory tiers (rule 7).

    Replies whether there was an entry.
    """

    key: Key


class DropScopes(Command[None], frozen=True, gc=False):
    """Give scopes new random stamps and tell all memory tiers (rule 8).

    Attributes:
        scopes: What to drop. Acknowledged only after every one of them. With none, an empty
            message goes to every push channel, which opens those that do not exist.
        life: Seconds that the new stamps live.
        provenance: Bytes kept behind each new stamp: who dropped it. At most 64.
    """

    scopes: tuple[Scope, ...]
    life: float
    provenance: bytes = b""


class MintTags(Command[list[bytes]], frozen=True, gc=False):
    """Read the stamps of tags, minting the missing ones."""

    tags: tuple[str, ...]
    spread: str
    stamp_life: float


class Position(Struct, frozen=True, gc=False):
    """A place in a push channel: `epoch` of the channel, dense `number`, `nonce` of the message."""

    epoch: int
    number: int
    nonce: str


class Message(Struct, frozen=True, gc=False):
    """One announcement in a push channel.

    Attributes:
        position: Where it stands.
        previous: The nonce of the message before it; empty for the first of an epoch.
        names: What was dropped: scope names and key texts.
    """

    position: Position
    previous: str
    names: tuple[str, ...]


class Polled(Struct, frozen=True, gc=False):
    """The state of one push channel: what came after the position, and its last position."""

    messages: Sequence[Message]
    last: Position | None


class Poll(Command[Mapping[str, Polled]], frozen=True, gc=False):
    """Read all push channels from the given positions on (rule 9); needs `Capability.PUSH`.

    Attributes:
        positions: The last accepted position by channel name; empty at first. A channel that is
            not named replies with its last position and no messages.
        block: Seconds to wait for a message where there is none.
    """

    positions: Mapping[str, Position]
    block: float


class Clear(Command[None], frozen=True, gc=False):
    """Forget everything below `prefix`, stamps and leases included; takes time like a scan."""

    prefix: str


class Mailbox(ABC):
    """Receives wakes for one process."""

    @abstractmethod
    def receive(self, timeout: float) -> Sequence[str]:
        """Wait for wakes.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            The texts of the keys that changed; empty on time-out.

        Raises:
            BackendUnavailable: The connection is lost; open another mailbox.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back the connection. A `receive` in another thread returns soon or raises."""


class Backend(ABC):
    """Executes the commands of the consistency protocol for one shared tier.

    Subclasses implement `execute` or `aexecute` or both; each falls back on the other, over a
    worker thread or a background event loop. Both must be safe to call from many threads or tasks
    at once and survive a fork. Commands raise `BackendUnavailable` when the store cannot be
    reached in time and `BackendRefused` when it refuses one; nothing else.

    Attributes:
        capabilities: What it can do.
        asynchronous: Whether `aexecute` is native, that is, not `execute` in a thread.
        synchronous: Whether `execute` is native.
    """

    capabilities: frozenset[Capability] = frozenset()
    asynchronous: bool = False
    synchronous: bool = True

    def execute(self, command: Command[Reply]) -> Reply:
        """Execute a command and return its reply."""
        raise NotImplementedError(f"{type(self).__name__} has no synchronous side")

    async def aexecute(self, command: Command[Reply]) -> Reply:
        """Execute a command and return its reply, without blocking the event loop."""
        return await asyncio.to_thread(self.execute, command)

    def open_mailbox(self, waiter: str) -> Mailbox | None:
        """Open a mailbox that is live when this returns; None where waiters cannot be woken."""
        return None

    def close(self) -> None:
        """Close connections that belong to threads. Using the backend afterwards reopens them."""

    async def aclose(self) -> None:
        """Close connections that belong to the running event loop."""


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """What a plugin returns from `tiercel_backends`.

    Attributes:
        name: The URL scheme that selects it, such as `redis`.
        factory: Called with a `BackendLocation`; imports its libraries only then.
        capabilities: What its backends can do.
        spi: The SPI version it was written for.
        options: Names of the URL parameters it understands besides those common to all.
    """

    name: str
    factory: Callable[[BackendLocation], Backend | KeyValueStore]
    capabilities: frozenset[Capability]
    spi: tuple[int, int]
    options: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class BackendLocation:
    """Where a backend finds its store.

    Attributes:
        url: The URL without Tiercel's own parameters; may hold a password: never log it.
        prefix: First part of every key.
        timeout: Seconds that one command may take.
        options: The backend's own parameters, as text from a URL or as given in a dict.
    """

    url: str
    prefix: str = "tiercel"
    timeout: float = 0.2
    options: Mapping[str, Any] = field(default_factory=dict)
