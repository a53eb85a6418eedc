"""Values that are built in the background, while callers are told to ask again later.

Across processes the lease of the key says that a build is under way: it is taken for as long as
the build may wait for a worker, and renewed for as long as it may take. A note beside it says
since when and by which task, and for a moment why the last one failed. Within a process, and
where there is no shared tier, `Builds` knows.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from msgspec import Struct

from tiercel.contracts.dispatcher import Task
from tiercel.engine.effects import Steps
from tiercel.engine.places import Place
from tiercel.engine.state import Call, Right, Subject
from tiercel.errors import AsyncValueBeingBuiltException, AsyncValueFailedToBeBuiltException

HEALS: Final = 5.0
"""Seconds for which callers are told that a build has failed; then they start another."""

LONGEST_TEXT: Final = 500
"""Characters of an error that other processes are told."""

Note = Mapping[str, Any]
"""What processes tell each other of a build: `id`, `since`, `started`; `kind`, `text` if failed."""


class Ledger(Protocol):
    """Where notes are kept for other processes; fails silently, as a cache does."""

    def get(self, key: Any, default: Any) -> Steps[Any]: ...

    def set(self, key: Any, value: Any, ttl: Any) -> Steps[bool]: ...

    def delete(self, key: Any) -> Steps[bool]: ...


class Build(Struct, eq=False):
    """One computation in the background.

    Attributes:
        right: The right to fill its entry.
        since: When it was asked for, in seconds since the Unix epoch.
        ends: Monotonic time from which it counts as lost; or, failed, as healed.
        id: The id of its task.
        started: Whether somebody is at it.
        over: Whether it has ended.
        failed: Name of the type and text of what it raised; None: it has not failed.
        error: What it raised.
    """

    right: Right
    since: float
    ends: float
    id: str = ""
    started: bool = False
    over: bool = False
    failed: tuple[str, str] | None = None
    error: BaseException | None = None

    @property
    def note(self) -> Note:
        """What other processes are told of it."""
        note: dict[str, Any] = {"id": self.id, "since": self.since, "started": self.started}
        if self.failed is not None:
            note["kind"], note["text"] = self.failed
        return note

    def stands(self, now: float, remembered: bool) -> bool:
        """Tell whether nobody may start another one now.

        Args:
            now: The monotonic time.
            remembered: Whether its place in memory knows of drops.
        """
        outdated = remembered and self.failed is None and not self.right.place.alive
        return now < self.ends and not outdated


class Builds:
    """The builds of one function in this process.

    Args:
        task: Makes the task of a build.
        ledger: Tells other processes; None where there are none.
        timeout: Seconds that a build may wait for a worker, and that it may take.
    """

    def __init__(
        self,
        task: Callable[[Subject, Call, Build], Task],
        ledger: Ledger | None,
        timeout: float,
    ) -> None:
        self.task = task
        self.ledger = ledger
        self.timeout = timeout
        self.clear()

    def clear(self) -> None:
        """Forget all of them, as after a fork: they are those of the parent."""
        self._lock = threading.Lock()
        self._by_key: dict[Hashable, Build] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def find(self, key: Hashable) -> Build | None:
        """Return the build of a key, whatever became of it."""
        return self._by_key.get(key)

    def enter(self, key: Hashable, build: Build, now: float, remembered: bool) -> Build:
        """Add a build unless another stands; return the one that does."""
        with self._lock:
            present = self._by_key.get(key)
            if present is not None and present.stands(now, remembered):
                return present
            self._put(key, build, now)
            return build

    def put(self, key: Hashable, build: Build, now: float) -> None:
        """Add a build in place of any other."""
        with self._lock:
            self._put(key, build, now)

    def leave(self, key: Hashable, build: Build) -> None:
        """Take a build out, unless another has taken its place."""
        with self._lock:
            if self._by_key.get(key) is build:
                del self._by_key[key]

    def _put(self, key: Hashable, build: Build, now: float) -> None:
        for other, each in list(self._by_key.items()):
            if now >= each.ends:
                del self._by_key[other]
        self._by_key[key] = build


def new_build(subject: Subject, place: Place, timeout: float) -> Build:
    """Return a build that begins to wait for a worker now."""
    clock = subject.engine.clock
    return Build(Right(place), clock.time(), clock.monotonic() + timeout, os.urandom(16).hex())


def refusal(
    subject: Subject, note: Note | None, cause: BaseException | None = None
) -> AsyncValueBeingBuiltException | AsyncValueFailedToBeBuiltException:
    """Return the exception that tells a caller of a build.

    Args:
        subject: The function.
        note: What is known of the build.
        cause: What it raised, if that was in this process.
    """
    since = None if note is None else datetime.fromtimestamp(note["since"], UTC)
    task_id = None if note is None else note["id"]
    if note is None or "kind" not in note:
        begun = f" since {since:%Y-%m-%d %H:%M:%S} UTC" if since is not None else ""
        return AsyncValueBeingBuiltException(
            f"{subject.name}: the value is being built in the background{begun}",
            since=since,
            task_id=task_id,
        )
    failed = AsyncValueFailedToBeBuiltException(
        f"{subject.name}: the value could not be built: {_described(note)}",
        since=since,
        task_id=task_id,
        cause_type=note["kind"],
        cause_text=note["text"],
    )
    failed.__cause__ = cause
    return failed


def _described(note: Note) -> str:
    kind, text = note["kind"], note["text"]
    return f"{kind}: {text}" if kind and text else kind or text


def failure_of(error: BaseException | None) -> tuple[str, str]:
    """Return what is said of an error; of None, that the result may not be stored."""
    if error is None:
        return "", "its result may not be cached"
    return type(error).__name__, str(error)[:LONGEST_TEXT]
