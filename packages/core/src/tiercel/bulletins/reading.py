"""Watching a cache: reading what all of its processes tell."""

from __future__ import annotations

import time
from typing import Final

from tiercel.bulletins.board import board_of, call_to_watch, can_publish
from tiercel.bulletins.bulletin import Bulletin, unpack_bulletin
from tiercel.contracts.backend import DropScopes
from tiercel.engine import sync
from tiercel.engine.effects import Steps
from tiercel.engine.peek import peek_many
from tiercel.errors import ConfigurationError, Undecodable
from tiercel.listing import live_calls
from tiercel.settings import Home

ASK_AGAIN: Final = 5.0
"""Seconds after which processes are told again that somebody watches."""

SILENCE: Final = 60.0
"""Seconds after which a process that tells nothing counts as gone."""


class Watch:
    """Reads the bulletins of one cache, each of them once.

    Attributes:
        latest: The last bulletin of each process that is not silent, by its name.
    """

    def __init__(self, home: Home, *, without: str = "") -> None:
        """Prepare to watch.

        Args:
            home: The cache.
            without: A process whose bulletins are not wanted: this one, as a rule.

        Raises:
            ConfigurationError: The cache has no shared tier that can list entries.
        """
        if not can_publish(home):
            raise ConfigurationError(
                f"cache {home.name!r} cannot be watched: its processes share no tier that can "
                "list entries, as redis and sqlite can"
            )
        self._home = home
        self._without = without
        self._board = board_of(home)
        self._board.subject.watched = False
        self._asked = float("-inf")
        self._heard: dict[str, float] = {}
        self.latest: dict[str, Bulletin] = {}

    def ask(self) -> None:
        """Have all processes publish for a while; costs one write every few seconds.

        Raises:
            BackendError: The shared tier does not answer.
        """
        now = time.monotonic()
        if now - self._asked >= ASK_AGAIN:
            sync.run(self._home.engine, self._call())
            self._asked = now

    def news(self) -> list[Bulletin]:
        """Return the bulletins that were not read before, in the order of their time."""
        new = sync.run(self._home.engine, self._new())
        now = time.monotonic()
        for each in sorted(new, key=lambda bulletin: bulletin.number):
            self.latest[each.process], self._heard[each.process] = each, now
        for process in [name for name, at in self._heard.items() if now - at > SILENCE]:
            del self.latest[process], self._heard[process]
        return sorted(new, key=lambda bulletin: bulletin.at)

    def _call(self) -> Steps[None]:
        yield DropScopes((call_to_watch(self._home),), 2 * ASK_AGAIN)

    def _new(self) -> Steps[list[Bulletin]]:
        listed = yield from live_calls(self._board, [self._board.plan.scope()])
        unread = [self._board.call(*each) for each in listed if self._is_new(*each[0])]
        outcomes = yield from peek_many(self._board.subject, unread)
        found = []
        for outcome in outcomes:
            try:
                if outcome is not None:
                    found.append(unpack_bulletin(outcome.value))
            except Undecodable as error:
                self._board.subject.report("a bulletin could not be read", error)
        return found

    def _is_new(self, process: str, number: int) -> bool:
        last = self.latest.get(process)
        return process != self._without and (last is None or number > last.number)
