"""The backend: one cache's commands on Redis or Valkey, from threads and from event loops."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Any, TypeVar, cast
from weakref import WeakSet

from tiercel.spi import (
    Backend,
    BackendLocation,
    BackendUnavailable,
    Clear,
    Command,
    Mailbox,
    Poll,
    Read,
    Reading,
)
from tiercel_redis.aio import Links
from tiercel_redis.conductor import Conductor, Outcome, first_error
from tiercel_redis.failures import TRANSPORT_ERRORS
from tiercel_redis.mailbox import RedisMailbox
from tiercel_redis.names import Names
from tiercel_redis.options import parse_location
from tiercel_redis.plugin import CAPABILITIES
from tiercel_redis.resp import Plan
from tiercel_redis.threads import Lines
from tiercel_redis.wire import Describe, Wire, pack_glance, pack_read, reading

Reply = TypeVar("Reply")


class RedisBackend(Backend):
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
        self._lines = Lines(settings)
        self._links = Links(settings)
        self._direct = not clustered
        self._facts: Mapping[str, str] | None = None
        _BACKENDS.add(self)

    def execute(self, command: Command[Reply]) -> Reply:
        """Execute a command and return its reply."""
        if type(command) is Read and self._direct:
            return cast("Reply", self._read(command))
        plan = self._simple_plan(command)
        if plan is None:
            return cast("Reply", self._lines.drive(self._conductor.run(command)))
        request = plan.requests[0]
        outcome: Outcome
        try:
            outcome = self._lines.line(None).exchange(request.pack(), request.replies)
        except TRANSPORT_ERRORS as error:
            outcome = error
        if first_error(outcome) is not None:
            return cast("Reply", self._lines.drive(self._conductor.carry_out(plan, outcome)))
        return cast("Reply", plan.decode((cast("Sequence[Any]", outcome),)))

    def _read(self, command: Read) -> Reading:
        """Read with nothing to spare, as this is what happens most; troubles take the long way."""
        key, tags, line = command.key, command.tags, self._lines.line(None)
        try:
            if command.life:
                left, values = line.exchange_plainly(b"".join(pack_read("", key, tags)), 2)
            else:
                (values,), left = line.exchange_plainly(pack_glance(key, tags), 1), inf
        except TRANSPORT_ERRORS as error:
            steps = self._conductor.carry_out(self._wire.plan(command), error)
            return cast("Reading", self._lines.drive(steps))
        return reading(key, left, values)

    async def aexecute(self, command: Command[Reply]) -> Reply:
        """Execute a command and return its reply, without blocking the event loop."""
        plan = self._simple_plan(command)
        if plan is None:
            return cast("Reply", await self._links.drive(self._conductor.run(command)))
        request = plan.requests[0]
        outcome: Outcome
        try:
            outcome = await self._links.link(None).exchange(request.pack(), request.replies)
        except TRANSPORT_ERRORS as error:
            outcome = error
        if first_error(outcome) is not None:
            return cast("Reply", await self._links.drive(self._conductor.carry_out(plan, outcome)))
        return cast("Reply", plan.decode((cast("Sequence[Any]", outcome),)))

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

    def _simple_plan(self, command: Command[Any]) -> Plan | None:
        """Return the plan of a command that is one round trip to the only server there is."""
        if not self._direct or isinstance(command, (Poll, Clear)):
            return None
        plan = self._wire.plan(command)
        return plan if len(plan.requests) == 1 else None

    def forget_connections(self) -> None:
        """Begin anew in a child process."""
        self._lines.forget()
        self._links.forget()


_BACKENDS: WeakSet[RedisBackend] = WeakSet()


def _after_fork() -> None:
    for backend in list(_BACKENDS):
        backend.forget_connections()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
