"""One backend under test: runs commands the sync or the async way and builds what they need."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, TypeVar
from uuid import uuid4

from tiercel.contracts.backend import (
    STAMP_BYTES,
    STAMPS_OFFSET,
    Backend,
    Begin,
    Capability,
    Command,
    DropScopes,
    Fill,
    Granted,
    Key,
    Read,
    Reading,
    Scope,
)
from tiercel.contracts.index import Index, ListEntries
from tiercel.contracts.overwrite import Overwrite
from tiercel.stamps import carries, join_stamps
from tiercel.testing.conformance.threads import Threads

Reply = TypeVar("Reply")
Result = TypeVar("Result")
Test = TypeVar("Test", bound=Callable[..., Any])
Mode = Literal["sync", "async"]

TICK = 0.1
"""Seconds: the unit of the lives in the kit; short, since many backends cannot fake time."""

LONG = 1000.0
"""Seconds that outlast any test."""


LEASES = "leases"
"""What a backend offers where one caller at a time holds the lease of a key."""


def needs(*offers: str) -> Callable[[Test], Test]:
    """Mark a test of the kit that applies only to backends which offer all of this."""

    def mark(test: Test) -> Test:
        test.needs = frozenset(offers)  # type: ignore[attr-defined]
        return test

    return mark


def offered(backend: Backend) -> frozenset[str]:
    """Return the capabilities of a backend, and `LEASES` where it keeps them."""
    capabilities: frozenset[str] = backend.capabilities
    keeps = Capability.ATOMIC in capabilities or getattr(backend, "keeps_leases", False)
    return capabilities | {LEASES} if keeps else capabilities


@dataclass
class Tier:
    """A backend under test, with a name space of its own.

    Attributes:
        backend: What is tested.
        mode: Whether commands go through `execute` or `aexecute`.
        advance: Lets time pass, in seconds.
        reopen: Returns a second client of the same store.
        space: First part of all names that this tier makes.
    """

    backend: Backend
    mode: Mode = "sync"
    advance: Callable[[float], None] = time.sleep
    reopen: Callable[[], Backend] | None = None
    space: str = field(default_factory=lambda: f"tiercel:{uuid4().hex[:8]}")
    _runner: asyncio.Runner = field(default_factory=asyncio.Runner)

    # Running commands

    def run(self, command: Command[Reply]) -> Reply:
        """Execute one command."""
        if self.mode == "sync":
            return self.backend.execute(command)
        return self.call(self.backend.aexecute(command))

    def call(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the event loop of this tier."""
        return self._runner.run(coroutine)

    def together(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """Execute commands at the same time, in threads or tasks; replies in their order."""
        if self.mode == "sync":
            barrier = threading.Barrier(len(commands))

            def execute(command: Command[Any]) -> Any:
                barrier.wait()
                return self.backend.execute(command)

            with Threads(len(commands)) as pool:
                return list(pool.map(execute, commands))

        async def execute_all() -> list[Any]:
            return await asyncio.gather(*(self.backend.aexecute(each) for each in commands))

        return self.call(execute_all())

    @contextmanager
    def other(self) -> Iterator[Tier]:
        """Open a second client of the same store and names, for use in any one thread."""
        backend = self.backend if self.reopen is None else self.reopen()
        tier = Tier(backend, self.mode, self.advance, self.reopen, self.space)
        try:
            yield tier
        finally:
            tier.close(keep_backend=backend is self.backend)

    @contextmanager
    def meanwhile(self, act: Callable[[Tier], object], delay: float = 0.0) -> Iterator[None]:
        """Let a second client act in a thread, after `delay` seconds; its error is raised here."""

        def in_thread() -> None:
            time.sleep(delay)
            with self.other() as tier:
                act(tier)

        with Threads(1) as pool:
            acting = pool.submit(in_thread)
            yield
            acting.result()

    def within(self, act: Callable[[float], Result]) -> tuple[float, Result]:
        """Act within a span of time: a longer one, should the machine exceed a short one.

        Args:
            act: Gets the span in seconds. It is repeated, so it names its keys after the span, and
                leaves it to the caller to judge what it returns.

        Returns:
            The span that was enough, and what `act` returned.
        """
        span = 3 * TICK
        while True:
            began = time.monotonic()
            result = act(span)
            if time.monotonic() - began < 0.8 * span:
                return span, result
            span *= 4

    def close(self, keep_backend: bool = True) -> None:
        """Close what belongs to this tier's event loop and, unless kept, the backend."""
        if self.mode == "async":
            self.call(self.backend.aclose())
        self._runner.close()
        if not keep_backend:
            self.backend.close()

    # Names

    def key(self, name: str = "k", partition: str = "p", function: str = "f") -> Key:
        """Return a key whose scopes are its function and its partition."""
        whole, part = self.function(function), self.partition(partition, function)
        return Key(f"{part.name}:{name}", (whole.name, part.name), partition)

    def function(self, function: str = "f") -> Scope:
        """Return the scope of a function, which is spread everywhere."""
        return Scope(f"{self.space}:{function}")

    def partition(self, partition: str = "p", function: str = "f") -> Scope:
        """Return the scope of a partition."""
        return Scope(f"{self.space}:{function}:{partition}", partition)

    def index(self, function: str = "f", limit: int = 10_000, longest: float = LONG) -> Index:
        """Return the index of a function."""
        name = self.function(function).name
        return Index(name, f"{name}!fence", limit, longest, LONG)

    # The usual way

    def take(
        self, key: Key, force: bool = False, lease: float = LONG, index: Index | None = None
    ) -> Granted:
        """Begin, which must be granted."""
        begun = self.run(Begin(key, lease, LONG, force=force, index=index))
        assert isinstance(begun, Granted), f"expected a lease for {key.text}, got {begun}"
        return begun

    def fill(self, key: Key, granted: Granted, body: bytes, life: float = LONG) -> bool:
        """Fill with an entry computed under the stamps of the lease."""
        return self.run(Fill(key, granted.token, entry(key, granted.stamps, body), life))

    def overwrite(self, key: Key, granted: Granted, body: bytes, life: float = LONG) -> bool:
        """Overwrite without a lease, under the stamps for which one was granted earlier."""
        return self.run(Overwrite(key, entry(key, granted.stamps, body), life))

    def store(self, key: Key, body: bytes, life: float = LONG) -> Granted:
        """Begin and fill; both must succeed."""
        granted = self.take(key)
        assert self.fill(key, granted, body, life), f"the fill of {key.text} was refused"
        return granted

    def file(self, key: Key, index: Index, note: bytes = b"note", life: float = LONG) -> None:
        """Begin and fill an entry that an index lists, whoever computes it; both must succeed."""
        granted = self.take(key, force=True, index=index)
        assert self.fill_noted(key, granted, index, note, life), f"{key.text} was refused"

    def fill_noted(
        self, key: Key, granted: Granted, index: Index, note: bytes = b"note", life: float = LONG
    ) -> bool:
        """Fill an entry that an index is to list; its body is the note."""
        payload = entry(key, granted.stamps, note)
        return self.run(Fill(key, granted.token, payload, life, index=index, note=note))

    def listed(
        self, function: str = "f", spread: str | None = None, count: int = 1000
    ) -> tuple[dict[str, bytes], bool]:
        """Return the notes of a function's entries by key, and whether none can be missing."""
        notes: dict[str, bytes] = {}
        cursor, complete = "", True
        while True:
            name = self.function(function).name
            listing = self.run(ListEntries(name, spread, cursor, count))
            notes.update(listing.entries)
            cursor, complete = listing.cursor, complete and listing.complete
            if not cursor:
                return notes, complete

    def value(self, key: Key) -> bytes | None:
        """Return what a caller would be served: the body if all stamps match, else None."""
        return served(key, self.run(Read(key)))

    def drop(self, *scopes: Scope) -> None:
        """Drop scopes."""
        self.run(DropScopes(scopes, LONG))


def entry(key: Key, stamps: Sequence[bytes], body: bytes) -> bytes:
    """Return the stored bytes of an entry: whose it is, what it was computed under, the body."""
    return _owner(key) + (join_stamps(stamps) or b"") + body


def served(key: Key, reading: Reading) -> bytes | None:
    """Return the body that a reading allows to serve, or None.

    Raises:
        AssertionError: The payload is damaged or another key's.
    """
    payload = reading.payload
    if payload is None or reading.remaining <= 0 or not carries(payload, reading.stamps):
        return None
    assert payload.startswith(_owner(key)), f"the reply for {key.text} is not its entry"
    return payload[STAMPS_OFFSET + STAMP_BYTES * len(reading.stamps) :]


def _owner(key: Key) -> bytes:
    return blake2b(key.text.encode(), digest_size=STAMPS_OFFSET).digest()
