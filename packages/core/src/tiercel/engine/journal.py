"""What was dropped lately, should the shared tier come back without it (protocol rule 14)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

from tiercel.clock import Clock
from tiercel.contracts.backend import DropKey, DropScopes, Scope
from tiercel.contracts.reversal import Replay

Drop = DropKey | DropScopes | Replay

LIMIT = 2_000
"""Names that a journal holds one by one."""


class Journal:
    """The drops of the last `window` seconds: those of this process, and those it was told of.

    Bounded: once it holds more than `limit` names, each becomes that of its whole function, and
    what belongs to no function of this process becomes all of them.
    """

    def __init__(self, clock: Clock, window: float, limit: int = LIMIT) -> None:
        self._clock = clock
        self._window = window
        self._limit = limit
        self._noted: deque[tuple[float, Drop]] = deque()
        self._names = 0
        self._functions: dict[str, DropScopes] = {}
        self._widened: dict[str, float] = {}
        self.renew_after_fork()

    def cover(self, function: Scope, life: float) -> None:
        """Know a function of this process, to which its drops can be widened.

        Args:
            function: Its scope.
            life: Seconds that a stamp of it lives.
        """
        self._functions[_head(function.name)] = DropScopes((function,), life)

    def note(self, drop: Drop) -> None:
        """Note a drop; before it is sent, so that none is missed which is acknowledged."""
        now = self._clock.monotonic()
        with self._lock:
            self._noted.append((now, drop))
            self._names += _count(drop)
            self._forget_before(now - self._window)
            if self._names > self._limit:
                self._widen()

    def hear(self, channel: str, names: tuple[str, ...]) -> None:
        """Note what was announced in a push channel."""
        if any(names):
            self.note(Replay((channel,), names))

    def recall(self) -> dict[str, Drop]:
        """Return what has to be dropped again, by the names of keys and scopes."""
        since = self._clock.monotonic() - self._window
        with self._lock:
            self._forget_before(since)
            heads = [head for head, at in self._widened.items() if at >= since]
            drops = [drop for _, drop in self._noted]
        functions = self._functions
        wide = functions.values() if "" in heads else [functions[head] for head in heads]
        recalled: dict[str, Drop] = {}
        for drop in (*drops, *wide):
            for name, part in parts(drop):
                recalled[name] = merged(recalled.get(name), part)
        return recalled

    def _forget_before(self, since: float) -> None:
        noted = self._noted
        while noted and noted[0][0] < since:
            self._names -= _count(noted.popleft()[1])

    def _widen(self) -> None:
        for at, drop in self._noted:
            for name, _ in parts(drop):
                self._widened[self._function_of(name)] = at
        self._noted.clear()
        self._names = 0

    def _function_of(self, name: str) -> str:
        """Return the head of the function that a name belongs to; empty if none has it."""
        text = name.partition("!")[0]
        while text and text not in self._functions:
            text = text.rpartition(":")[0]
        return text

    def renew_after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may have held."""
        self._lock = threading.Lock()


def parts(drop: Drop) -> Iterator[tuple[str, Drop]]:
    """Take a drop apart; each part with the name of the key or scope that it is about."""
    if isinstance(drop, DropKey):
        yield drop.key.text, drop
    elif isinstance(drop, Replay):
        for name in filter(None, drop.names):
            yield name, Replay(drop.channels, (name,))
    else:
        for scope in drop.scopes:
            yield scope.name, DropScopes((scope,), drop.life, drop.provenance)


def merged(owed: Drop | None, drop: Drop) -> Drop:
    """Return what stands for two drops of one name; what says more than that name goes first."""
    if owed is None or not isinstance(drop, Replay):
        return drop
    if not isinstance(owed, Replay) or owed.channels == drop.channels:
        return owed
    return Replay(tuple(sorted({*owed.channels, *drop.channels})), drop.names)


def _count(drop: Drop) -> int:
    if isinstance(drop, DropKey):
        return 1
    return len(drop.names if isinstance(drop, Replay) else drop.scopes)


def _head(name: str) -> str:
    """Return what all names of a function's keys and scopes begin with."""
    return name.rpartition("!")[0] or name
