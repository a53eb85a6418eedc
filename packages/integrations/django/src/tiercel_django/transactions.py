"""Work that waits until the transaction which made it necessary is committed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary, ref

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tiercel.spi import Work, carry_out
from tiercel_django import outbox
from tiercel_django.conf import current
from tiercel_django.relaying import look_after

logger = logging.getLogger("tiercel.django")


class Hook:
    """What runs after a commit: the works of one write, together with those of later ones.

    Django forgets the hooks of a savepoint that was rolled back, and nothing else refers to one.
    So the hooks that are still alive when the first of them runs are those whose writes were
    committed, and that one carries out the work of all, merged.
    """

    __slots__ = ("__weakref__", "_others", "alias", "done", "entries", "works")

    def __init__(self, alias: str, works: Sequence[Work], others: Waiting) -> None:
        self.alias = alias
        self.works = works
        self.entries: Sequence[int] = ()
        self.done = False
        self._others = others

    def __call__(self) -> None:
        """Carry out what this hook and those after it hold, unless an earlier one did."""
        if self.done:
            return
        hooks = [hook for hook in self._others.since(self) if not hook.done]
        for hook in hooks:
            hook.done = True
        entries = [entry for hook in hooks for entry in hook.entries]
        perform(self.alias, [work for hook in hooks for work in hook.works], entries)


class Waiting:
    """The hooks of one transaction, as long as Django remembers them."""

    def __init__(self) -> None:
        self._hooks: list[ref[Hook]] = []
        self._stored: dict[Work, ref[Hook]] = {}

    def add(self, alias: str, works: Sequence[Work]) -> Hook:
        """Return a hook for works, which are stored as well if there is an outbox."""
        hook = Hook(alias, works, self)
        if current().outbox:
            fresh = [work for work in dict.fromkeys(works) if not self._is_stored(work)]
            hook.entries = outbox.store(alias, fresh)
            look_after(alias)
            self._stored |= dict.fromkeys(fresh, ref(hook))
        self._hooks.append(ref(hook))
        watcher = _watcher.get()
        if watcher is not None:
            watcher.expect(ref(hook))
        return hook

    def since(self, first: Hook) -> list[Hook]:
        """Return the living hooks from one on."""
        living = [hook for hook in (each() for each in self._hooks) if hook is not None]
        return living[living.index(first) :]

    def _is_stored(self, work: Work) -> bool:
        """Tell whether the outbox has a work already, so that it is committed with this write."""
        stored = self._stored.get(work)
        return stored is not None and stored() is not None


_waiting: WeakKeyDictionary[Any, Waiting] = WeakKeyDictionary()


def after_commit(alias: str, works: Sequence[Work]) -> None:
    """Carry works out once what was written to a database can be seen by others.

    Args:
        alias: The database; the transaction that is open on it decides.
        works: What a write has made necessary. It is forgotten if the write is rolled back.
    """
    if not works:
        return
    connection = connections[alias]
    if connection.autocommit and not connection.in_atomic_block:  # a write has connected it
        perform(alias, works)
        return
    if not connection.run_on_commit or connection not in _waiting:
        _waiting[connection] = Waiting()  # nothing waits for a former transaction
    hook = _waiting[connection].add(alias, works)
    by_hand = nullcontext() if connection.in_atomic_block else transaction.atomic(alias, False)
    with by_hand:  # a transaction of somebody who has switched autocommit off
        # Not robust: nothing is raised but what a rule was told to raise.
        transaction.on_commit(hook, using=alias)


def perform(alias: str, works: Sequence[Work], entries: Sequence[int] = ()) -> None:
    """Carry works out now, and forget what the outbox has of them if nothing is left to do.

    Raises:
        Exception: A rule with `raise_exception=True` failed inline; after all others were done.
    """
    watcher = _watcher.get()
    if watcher is not None:
        watcher.see(works)
    try:
        undone = carry_out(works)
    except Exception as error:
        if _held.errors is None:
            raise
        _held.errors.append(error)
        return
    if entries and not undone:
        outbox.forget_done(alias, entries)


def observe_commit_hooks(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """Wrap what runs the hooks of a commit: Django runs none behind one that raises."""

    def run_and_clear_commit_hooks(connection: BaseDatabaseWrapper) -> None:
        waiting: Any = connection.run_on_commit
        hooks = [hook for _, hook, _ in waiting if isinstance(hook, Hook)]
        try:
            original(connection)
        except BaseException:
            if not connection.in_atomic_block:  # else nothing was committed
                _make_up_for(hooks)
            raise

    return run_and_clear_commit_hooks


def _make_up_for(hooks: Iterable[Hook]) -> None:
    outer = hold_errors()
    try:
        for hook in hooks:
            hook()
    finally:
        for error in release_errors(outer):
            logger.error("a rule failed after a hook of the same commit did", exc_info=error)


class _Held(threading.local):
    errors: list[Exception] | None = None


_held = _Held()


class Watcher:
    """Sees the works of a block of code, as tests want to.

    Attributes:
        works: What was carried out.
    """

    def __init__(self, outer: Watcher | None) -> None:
        self.works: list[Work] = []
        self._outer = outer
        self._hooks: list[ref[Hook]] = []

    def waiting(self) -> list[Hook]:
        """Return the hooks made meanwhile that still wait for a commit."""
        living = [each() for each in self._hooks]
        return [hook for hook in living if hook is not None and not hook.done]

    def see(self, works: Sequence[Work]) -> None:
        """Take note of works that are carried out."""
        self.works += works
        if self._outer is not None:
            self._outer.see(works)

    def expect(self, hook: ref[Hook]) -> None:
        """Take note of works that wait."""
        self._hooks.append(hook)
        if self._outer is not None:
            self._outer.expect(hook)


_watcher: ContextVar[Watcher | None] = ContextVar("tiercel_watcher", default=None)


@contextmanager
def watching() -> Iterator[Watcher]:
    """See what is done in a block, also by threads that it awaits."""
    watcher = Watcher(_watcher.get())
    token = _watcher.set(watcher)
    try:
        yield watcher
    finally:
        _watcher.reset(token)


def hold_errors() -> list[Exception] | None:
    """Hold back what rules raise in this thread, until something is finished that they would cut
    off; returns what `release_errors` wants.
    """
    outer, _held.errors = _held.errors, []
    return outer


def release_errors(outer: list[Exception] | None) -> list[Exception]:
    """Hold nothing back any more; returns what was."""
    errors, _held.errors = _held.errors or [], outer
    return errors


def raise_errors(errors: Sequence[Exception]) -> None:
    """Raise what rules have raised: one error as it is, several together."""
    if len(errors) > 1:
        raise ExceptionGroup("several rules failed", errors)
    raise errors[0]
