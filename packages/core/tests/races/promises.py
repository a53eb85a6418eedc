"""The properties P1 to P6 of the consistency protocol, as checks on what callers really get."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from msgspec import Struct

from tiercel.contracts.backend import (
    Begin,
    Begun,
    Command,
    DropKey,
    DropScopes,
    Fill,
    Granted,
    Held,
    Release,
)
from tiercel.contracts.overwrite import Overwrite
from tiercel.contracts.reversal import Replay
from tiercel.engine.state import Outcome
from tiercel.events import Status, Tier
from tiercel.keys.layout import FENCE
from tiercel.stamps import join_stamps
from tiercel.testing.actors import Violation


class Acknowledged(Struct, frozen=True):
    """A drop that its caller was told of: versions below `version` are gone from then on."""

    key: str
    version: int
    at: float
    process: str


class Expected(Struct, frozen=True):
    """The least versions that a read may return which begins now; `at` only where it matters."""

    shared: int
    memory: int
    at: float


class Holder(Struct, frozen=True):
    """Who holds the lease of a key, for which generation, and until when."""

    token: bytes
    generation: bytes
    until: float


class Promises:
    """What was acknowledged, and what must therefore not happen any more.

    Args:
        now: The monotonic clock.
        max_lag: Seconds that memory tiers may lag behind.

    Attributes:
        most: Computations that one key may cost; None for any number (P4).
        life: Seconds after a fill at which its value must be gone; None: not looked at (H16).
        lag: Seconds that memory may lag behind; `max_lag` unless a scenario breaks the channel.
        computations: How often each key was computed.
    """

    def __init__(self, now: Callable[[], float], max_lag: float) -> None:
        self._now = now
        self.lag = max_lag
        self.most: int | None = None
        self.life: float | None = None
        self.wait: float | None = None
        self.reads = self.drops = 0
        self.computations: dict[str, int] = {}
        self._acknowledged: list[Acknowledged] = []
        self._filled: dict[tuple[str, int], float] = {}
        self._holders: dict[str, Holder] = {}
        self._generations: dict[bytes, bytes] = {}
        self._fences = 0

    def state(self) -> Hashable:
        """Return what decides later judgements."""
        counted = tuple(self.computations.items()) if self.most is not None else None
        filled = tuple(self._filled.items()) if self.life is not None else None
        holders = tuple(self._holders.items())
        return (frozenset(self._acknowledged), counted, filled, holders, self._fences)

    # P1, P2, P3 and P6: nothing dropped is served

    def acknowledge(self, versions: dict[str, int], process: str, *, owed: bool = False) -> None:
        """Note that a drop has returned: what it dropped is not served from now on.

        Args:
            versions: The versions that the source has had since before the drop.
            process: Which process was told.
            owed: Whether only that process knows, since the shared tier could not be reached.
        """
        self.drops += 1
        at = float("inf") if owed else self._now()
        self._acknowledged += [Acknowledged(k, v, at, process) for k, v in versions.items()]

    def expect(self, key: str, process: str) -> Expected:
        """Return what a read of this process that begins now must respect."""
        now = self._now()
        shared = memory = 0
        for drop in self._acknowledged:
            if drop.key == key:
                own = drop.process == process
                if own or drop.at <= now:
                    shared = max(shared, drop.version)
                if own or drop.at + self.lag <= now:
                    memory = max(memory, drop.version)
        timed = self.wait is not None or self.life is not None
        return Expected(shared, memory, now if timed else 0.0)

    def served(self, key: str, outcome: Outcome, expected: Expected) -> None:
        """Judge what a read has returned.

        Raises:
            Violation: It was dropped before the read began, or has outlived its life.
        """
        self.reads += 1
        version, memory = outcome.value, outcome.tier is Tier.MEMORY
        least = expected.memory if memory else expected.shared
        if version < least:
            promise = "P6" if outcome.status is Status.STALE else "P2" if memory else "P1"
            raise Violation(
                f"{promise}: {key} was served from {outcome.tier} in version {version}, but "
                f"version {least} had been dropped for before the read began"
            )
        self._judge_age(key, outcome, expected.at)
        if self.wait is not None and self._now() - expected.at > self.wait:
            raise Violation(f"P5: {key} was waited for longer than {self.wait:g} seconds")

    def _judge_age(self, key: str, outcome: Outcome, asked: float) -> None:
        filled = self._filled.get((key, outcome.value))
        if self.life is not None and filled is not None and asked >= filled + self.life:
            raise Violation(f"P2: {key} was served from {outcome.tier} after the end of its life")

    # P4: one computation per generation, P5: nobody waits for what cannot help

    def computed(self, key: str, version: int) -> None:
        """Note a computation."""
        self.computations[key] = self.computations.get(key, 0) + 1
        self._filled[key, version] = self._now()
        if self.most is not None and self.computations[key] > self.most:
            raise Violation(f"P4: {key} was computed {self.computations[key]} times")

    def filled(self, key: str, version: int) -> None:
        """Note that a value was stored in the shared tier."""
        self._filled[key, version] = self._now()

    def begun(self, command: Begin, reply: Begun) -> None:
        """Judge the reply to a request for a lease."""
        text, holder = command.key.text, self._holders.get(command.key.text)
        if isinstance(reply, Granted):
            generation = self._generation(reply)
            alive = holder is not None and self._now() < holder.until
            if alive and holder and holder.generation == generation and not command.force:
                raise Violation(f"P4: a second lease of {text} while its holder lives")
            self._holders[text] = Holder(reply.token, generation, self._now() + command.lease)
            self._generations[reply.token] = generation
        elif isinstance(reply, Held):
            generation = self._generations.get(reply.token, b"")
            if generation != self._generation(reply):
                raise Violation(f"P5: told to wait for a fill of {text} that was dropped already")

    def watch(self, command: Command[Any], reply: Any) -> None:
        """Note which leases end, and how often the fence of the function has changed."""
        if isinstance(command, DropScopes):
            self._fences += any(scope.name.endswith(FENCE) for scope in command.scopes)
        elif isinstance(command, DropKey) or (isinstance(command, Overwrite) and reply):
            self.lease_lost(command.key.text)
        elif isinstance(command, Replay):
            self._fences += any(name.endswith(FENCE) for name in command.names)
            for name in command.names:
                self.lease_lost(name)
        elif isinstance(command, (Fill, Release)) and reply is not False:
            holder = self._holders.get(command.key.text)
            if holder is not None and holder.token == command.token:
                self.lease_lost(command.key.text)

    def _generation(self, reply: Granted | Held) -> bytes:
        """Return what a lease stands for."""
        return (join_stamps(reply.stamps) or b"") + bytes([self._fences])

    def lease_lost(self, text: str) -> None:
        """Note that the lease of a key is gone."""
        self._holders.pop(text, None)

    def evicted(self, name: str) -> None:
        """Note that the shared tier lost a cell: whoever asks next gets a lease, or a new fence."""
        self._fences += name.endswith(FENCE)
        if name.startswith("lease/"):
            self.lease_lost(name.removeprefix("lease/"))

    def leases_lost(self) -> None:
        """Note that all leases may be gone."""
        self._holders.clear()

    def ended(self) -> None:
        """Judge a world in which all is quiet."""
