"""The short way to a page that was asked for before: by what the request says, without its key.

Two requests of one fingerprint have one key, as everything that the key is made of is in it. So
the key of the second need not be built, and an entry in memory is found by one look-up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final
from weakref import ref

from tiercel.contracts.backend import Key
from tiercel.contracts.web import Headers, StoredResponse, WebRequest
from tiercel.engine.state import Call, Subject
from tiercel.entry import FOREVER
from tiercel.web.fields import STEERING
from tiercel.web.judging import Varying

MAX_KNOWN: Final = 2048
"""Fingerprints that one view remembers."""

_CONDITIONS: Final = ("if-none-match", "if-modified-since")
_DECIDING: Final = (*STEERING, *_CONDITIONS, "authorization", "content-length", "transfer-encoding")

Make = Callable[[WebRequest, bytes], Any]
"""Makes the framework's response to a request, of a body."""

KEYED: Final = frozenset({"method", "scheme", "host", "path", "fullpath"})
"""Targets that a fingerprint covers."""


@dataclass(slots=True, eq=False)
class Known:
    """The key of requests with one fingerprint, and what last made their response.

    Attributes:
        key: The key.
        memory_key: The key in memory.
        tags: The tags.
        noted: Of the response that headers were last added to what it is known by: its own headers,
            or itself; its status; its age and what was left of its life then, in whole seconds;
            and what makes responses with all those headers.
    """

    key: Key
    memory_key: Hashable
    tags: tuple[str, ...]
    noted: tuple[Headers | ref[StoredResponse], int, float, float, Make] | None = None

    def maker(self, stored: StoredResponse, age: float, left: float) -> Make | None:
        """Return what makes a response with the headers of this second; None if it is not known."""
        if self.noted is None:
            return None
        by, status, aged, remained, make = self.noted  # at once, as other threads note others
        if aged != age // 1 or remained != left // 1 or status != stored.status:
            return None
        return make if by == stored.headers or (type(by) is ref and by() is stored) else None

    def note(
        self, stored: StoredResponse, age: float, left: float, make: Make, *, dated: bool
    ) -> None:
        """Remember what makes responses with the headers of this second.

        Args:
            stored: The response that headers were added to.
            age: Its age in seconds.
            left: What is left of its life.
            make: Makes the responses.
            dated: Whether these say when it was kept, so that they are of no other one.
        """
        by = ref(stored) if dated else stored.headers
        self.noted = by, stored.status, age // 1, left // 1, make


class Shortcut:
    """Knows the keys of requests by their fingerprints.

    Args:
        varying: The headers that responses of the view vary with.
    """

    def __init__(self, varying: Varying) -> None:
        self._varying = varying
        self._known: dict[Hashable, Known] = {}
        self._varied: tuple[str, ...] = ()
        self._names: tuple[str, ...] = _DECIDING

    def find(self, request: WebRequest, kind: type | None) -> Known | None:
        """Return what is known of requests like this one.

        Args:
            request: The request.
            kind: The class of the view, where it is a method.
        """
        if self._varying.names is not self._varied:
            return None
        fingerprint = request.fingerprint(self._names)
        return None if fingerprint is None else self._known.get((kind, fingerprint))

    def remember(self, request: WebRequest, kind: type | None, call: Call) -> None:
        """Note that a request was answered from the cache, under the key of this call."""
        if request.method != "GET" or request.given(_CONDITIONS):
            return  # these get another response than others of their key
        varying = self._varying.names
        if varying is not self._varied:
            self._known.clear()
            self._names, self._varied = (*_DECIDING, *varying), varying
        fingerprint = request.fingerprint(self._names)
        if fingerprint is not None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[kind, fingerprint] = Known(call.key, call.memory_key, call.tags)

    def forget(self) -> None:
        """Forget everything, as when keys get another prefix."""
        self._known.clear()


def glimpse(subject: Subject, known: Known) -> tuple[StoredResponse, float, float] | None:
    """Return what memory may serve without a second look, its age and what is left of its life.

    None if it takes one.
    """
    assert subject.table is not None, "only views with a memory tier look there"
    entry = subject.table.entries.get(known.memory_key)
    now = subject.engine.clock.monotonic()
    if entry is None or now >= entry.deadline or not entry.part.served:
        return None
    try:
        value, origin, hard = entry.value, entry.fill, entry.hard
    except AttributeError:
        return None  # dropped between the look-up and now
    if type(value) is not StoredResponse or origin is None or origin.error:
        return None
    entry.visited = True
    subject.stats.memory_hits += 1
    if subject.memory_hit is not None:
        subject.engine.observers.memory_hit(subject.memory_hit)
    born = origin.born
    return value, now - born, math.inf if origin.soft_end - born > FOREVER - 1.0 else hard - now
