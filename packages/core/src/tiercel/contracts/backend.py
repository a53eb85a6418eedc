"""The contract between the engine and whatever stores a shared tier.

Two ways to write a backend:
- `KeyValueStore` asks for `get`, `set` and `delete` only. Tiercel builds stamps on top of it.
- `Backend` executes the commands of the consistency protocol itself, atomically, which buys
  fenced fills, one computation among many processes and, with `PUSH`, coherent memory tiers.

A command is data, and so is its reply: the two ways of a backend differ in input and output only.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from tiercel.contracts.claim import Spent
from tiercel.contracts.key_value import KeyValueStore
from tiercel.contracts.position import Polled, Position
from tiercel.contracts.sizes import STAMP_BYTES as STAMP_BYTES
from tiercel.contracts.sizes import STAMPS_OFFSET as STAMPS_OFFSET

if TYPE_CHECKING:
    from tiercel.contracts.index import Index

Reply = TypeVar("Reply")


class Capability(StrEnum):
    """What a backend can do; the guarantee level of a cache is derived from these."""

    MULTI_GET = "multi_get"
    ATOMIC = "atomic"
    PUSH = "push"
    INDEX = "index"
    TOUCH = "touch"
    NATIVE_TTL = "native_ttl"
    CLAIM = "claim"
    OVERWRITE = "overwrite"


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


Begun = Granted | Held | Found | Spent


class Begin(Command[Begun], frozen=True, gc=False):
    """Ask for the lease of a key, after a miss or for a refresh (protocol rule 4).

    In one atomic step: mint the missing stamps; if the stored entry carries the current stamps
    and lives longer than `floor` seconds, reply `Found`; if a lease of the same stamps exists,
    register `waiter` and reply `Held`; else write a new lease, with the waiters of one that it
    replaces, and reply `Granted`.

    With `claim` (needs `Capability.CLAIM`), a lease is granted only together with a claim of the
    same stamps, which outlives it: if another's is there, and not `force`, reply `Spent`.

    Attributes:
        key: The entry to fill.
        lease: Seconds until the lease expires by itself.
        stamp_life: Seconds that a stamp lives at least from now.
        floor: An entry counts as found only if it lives longer than this; infinity: never.
        force: Take the lease from whoever holds it, and never reply `Found`.
        waiter: The mailbox to wake when the key is filled, dropped or released; None: nobody.
        token: Random bytes that release it even without an answer; a backend may draw its own.
        index: The function's index: its fence is minted as stamps are, and the lease stands for
            it too. If the function's own stamp is minted here, the index begins empty.
        claim: Seconds that the claim lives; 0: no claim is wanted.
    """

    key: Key
    lease: float
    stamp_life: float
    floor: float = 0.0
    force: bool = False
    waiter: str | None = None
    token: bytes | None = None
    index: Index | None = None
    claim: float = 0.0


class ReadThenBegin(Command[tuple[Reading, Begun]], frozen=True, gc=False):
    """`Read`, then `Begin` in the same round trip; for functions that miss often."""

    begin: Begin


class Fill(Command[bool], frozen=True, gc=False):
    """Store an entry if its lease is still held by `token`; wake the waiters (rule 5).

    Replies False, and stores nothing, if the lease is gone or another's. Never mints stamps;
    extends the life of the stamps to at least `life`.

    Attributes:
        announce: Also tell the memory tiers of other processes that the key has changed.
        index: Where to put `note` under the key. If its fence is not the one that the lease stands
            for, the lease ends, nothing is stored and the reply is False.
        note: Any bytes.
    """

    key: Key
    token: bytes
    payload: bytes
    life: float
    tags: tuple[str, ...] = ()
    announce: bool = False
    index: Index | None = None
    note: bytes = b""


class Renew(Command[bool], frozen=True, gc=False):
    """Prolong a lease to `lease` seconds from now, if it is still held by `token`.

    Attributes:
        claim: Seconds from now to which the claim of the same token is prolonged; 0: it has none.
    """

    key: Key
    token: bytes
    lease: float
    claim: float = 0.0


class Settle(Command[None], frozen=True, gc=False):
    """Note the end of a computation, before its value is stored, if the claim is of `token`.

    Attributes:
        life: Seconds that the claim lives from now.
        failure: The type of the error that was raised; None if there is a value.
    """

    key: Key
    token: bytes
    life: float
    failure: str | None = None


class Release(Command[None], frozen=True, gc=False):
    """Give a lease back without a fill, if it is still held by `token`; wake the waiters.

    Attributes:
        claim: Whether the claim of the same token goes, too, as nothing was computed under it.
    """

    key: Key
    token: bytes
    claim: bool = False


class DropKey(Command[bool], frozen=True, gc=False):
    """Remove an entry, its lease and claim, wake its waiters and tell all memory tiers (rule 7).

    Replies whether there was an entry.

    Attributes:
        tombstone: Says who dropped an entry that was there, in its place, for `TOMBSTONE_LIFE`
            seconds. Counts as no entry; a further drop leaves it. A backend may ignore it.
    """

    key: Key
    tombstone: bytes = b""


class DropScopes(Command[None], frozen=True, gc=False):
    """Give scopes new random stamps and tell all memory tiers (rule 8).

    Attributes:
        scopes: What to drop. Acknowledged only after every one of them. With none, an empty
            message goes to every push channel, which opens those that do not exist.
        life: Seconds that the new stamps live.
        provenance: Bytes kept behind each new stamp: who dropped it. At most `PROVENANCE_BYTES`.
        indexes: Those of functions among `scopes`; they begin anew, empty.
    """

    scopes: tuple[Scope, ...]
    life: float
    provenance: bytes = b""
    indexes: tuple[Index, ...] = ()


class MintTags(Command[list[bytes]], frozen=True, gc=False):
    """Read the stamps of tags, minting the missing ones."""

    tags: tuple[str, ...]
    spread: str
    stamp_life: float


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
    """Forget everything below `prefix`: stamps, leases and announcements, too. Takes a scan."""

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
