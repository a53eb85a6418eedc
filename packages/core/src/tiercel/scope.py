"""The scope of one request, or one task: what was computed in it is remembered until it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, Self, TypeVar

from tiercel.engine.state import Engine, Subject


class Tiers(Protocol):
    """Where a scope keeps its entries."""

    @property
    def engine(self) -> Engine: ...


Made = TypeVar("Made", bound=Tiers)


class _Room:
    """What a scope holds once a function has asked for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.subjects: dict[Hashable, Subject] = {}


class RequestScope:
    """Holds what request-cached functions returned while one request is served.

    Opening one costs next to nothing; its memory tier is made when a function first asks. Threads
    and tasks that are started with a copy of the context share the scope until it is closed;
    afterwards they find none. As a context manager it is the current one while the block runs.

    Attributes:
        method: The HTTP method of the request; None where there is none.
        outer: The scope that it hides while it is the current one; None without one.
    """

    outer: RequestScope | None = None
    _closed = False
    _tiers: Any = None
    _room: _Room | None = None

    def __init__(self, method: str | None = None) -> None:
        self.method = method

    def __enter__(self) -> Self:
        self.outer = _current.get()
        _current.set(self)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        # Not by a token: a framework may end a request in another context than it began it in.
        _current.set(self.outer)
        self._closed = True
        if self._tiers is not None:
            self.close()

    @property
    def closed(self) -> bool:
        """Whether the request is over."""
        return self._closed

    def subject(
        self, function: Hashable, make: Callable[[Made], Subject], tiers: Callable[[], Made]
    ) -> Subject:
        """Return a function on the tiers of this scope.

        Args:
            function: The function.
            make: Called when the scope first sees it.
            tiers: Called when the scope first sees any.
        """
        room = self._room or self.__dict__.setdefault("_room", _Room())  # the first thread's
        with room.lock:
            found = room.subjects.get(function)
            if found is None:
                if self._tiers is None:
                    self._tiers = tiers()
                found = make(self._tiers)
                if self._closed:
                    self._tiers = None
                else:
                    room.subjects[function] = found
            return found

    def close(self) -> None:
        """Forget everything; whoever still holds the scope finds it closed."""
        self._closed = True  # who is making tiers now sees it, and keeps nothing
        if self._room is None:
            return
        with self._room.lock:
            self._room.subjects.clear()
            tiers, self._tiers = self._tiers, None
        if tiers is not None and tiers.engine.memory is not None:
            tiers.engine.memory.clear()


_current: ContextVar[RequestScope | None] = ContextVar("tiercel_request_scope", default=None)


def current_scope() -> RequestScope | None:
    """Return the scope of the request that is being served here, or None."""
    scope = _current.get()
    return None if scope is None or scope._closed else scope


@contextmanager
def request_scope(method: str | None = None) -> Iterator[RequestScope]:
    """Remember, while the block runs, what request-cached functions return in it.

    The integrations open one for each request, and every task that a dispatcher performs has its
    own; in plain code, open it yourself. A scope inside another hides the outer one until it ends.
    It is cleared at its end, also if the block raises.

    Args:
        method: The HTTP method, where a request is being served.
    """
    with RequestScope(method) as scope:
        yield scope
