"""The backend: one cache's commands on Redis or Valkey, from threads and from event loops."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeVar, cast
from weakref import WeakSet

from tiercel.spi import (
    Backend,
    BackendLocation,
    BackendUnavailable,
    Command,
    Mailbox,
    Revertible,
)
from tiercel_redis.aio import Links
from tiercel_redis.conductor import Conductor, Outcome
from tiercel_redis.declared import CAPABILITIES
from tiercel_redis.failures import TRANSPORT_ERRORS
from tiercel_redis.lineage import Lineages
from tiercel_redis.mailbox import RedisMailbox
from tiercel_redis.names import Names
from tiercel_redis.options import parse_location
from tiercel_redis.shortcuts import LONG_WAY, NO_SHORTCUT, SCRIPTS, Shortcuts
from tiercel_redis.threads import Lines
from tiercel_redis.wire import Describe, Wire

Reply = TypeVar("Reply")


class RedisBackend(Revertible, Backend):
    """Executes the consistency protocol in Lua scripts, and reads without them.

    Args:
        location: The URL decides between one server, Sentinel and Cluster.

    Raises:
        ConfigurationError: The URL or an option cannot work. Nothing is connected yet.
    """

    capabilities = CAPABILITIES
    asynchronous = True
    synchronous = True

    def __init__(self, location: BackendLocation) -> None:
        settings = parse_location(location)
        clustered = settings.mode == "cluster"
        self._settings = settings
        self._names = Names(location.prefix, spread=clustered)
        self._wire = Wire(self._names)
        self._conductor = Conductor(settings, self._wire)
        self._lineages = Lineages(lambda: self.reverted())
        self._lines = Lines(settings, self._lineages)
        self._links = Links(settings, self._lineages)
        self._shortcuts = {} if clustered else Shortcuts(self._names, self._wire.lives).of
        self._line = self._lines.line(None)
        self._facts: Mapping[str, str] | None = None
        _BACKENDS.add(self)

    def execute(self, command: Command[Reply]) -> Reply:
        """Execute a command and return its reply."""
        pack, decode = self._shortcuts.get(type(command), NO_SHORTCUT)
        packed = pack(command)
        if packed is None:
            return cast("Reply", self._lines.drive(self._conductor.run(command)))
        outcome: Outcome
        try:
            data, count = packed
            outcome = self._line.exchange(data, count)
            reply: Reply = decode(command, outcome)
            if reply is not LONG_WAY:
                return reply
        except TRANSPORT_ERRORS as error:
            outcome = error
        steps = self._conductor.go_on(command, outcome, SCRIPTS)
        return cast("Reply", self._lines.drive(steps))

    async def aexecute(self, command: Command[Reply]) -> Reply:
        """Execute a command and return its reply, without blocking the event loop."""
        pack, decode = self._shortcuts.get(type(command), NO_SHORTCUT)
        packed = pack(command)
        if packed is None:
            return cast("Reply", await self._links.drive(self._conductor.run(command)))
        outcome: Outcome
        try:
            data, count = packed
            outcome = await self._links.link(None).exchange(data, count)
            reply: Reply = decode(command, outcome)
            if reply is not LONG_WAY:
                return reply
        except TRANSPORT_ERRORS as error:
            outcome = error
        steps = self._conductor.go_on(command, outcome, SCRIPTS)
        return cast("Reply", await self._links.drive(steps))

    def open_mailbox(self, waiter: str) -> Mailbox:
        """Open a mailbox that is live when this returns; on a Cluster at any node."""
        *others, last = self._conductor.nodes()
        for node in others:
            with suppress(BackendUnavailable):
                return RedisMailbox(self._settings, node, self._names.wake + waiter)
        return RedisMailbox(self._settings, last, self._names.wake + waiter)

    def describe(self) -> Mapping[str, str]:
        """Return what the server says of itself (`INFO`), asked once, field by field.

        Among it `redis_version`, `valkey_version` on Valkey, and `maxmemory_policy`.
        """
        if self._facts is None:
            self._facts = self.execute(Describe())
        return self._facts

    def close(self) -> None:
        """Close the connections that no thread uses now."""
        self._lines.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._links.close()

    def forget_connections(self) -> None:
        """Begin anew in a child process."""
        self._lineages.renew_after_fork()
        self._lines.forget()
        self._line = self._lines.line(None)
        self._links.forget()


_BACKENDS: WeakSet[RedisBackend] = WeakSet()


def _after_fork() -> None:
    for backend in list(_BACKENDS):
        backend.forget_connections()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
