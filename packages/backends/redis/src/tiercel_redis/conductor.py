"""Decides what is sent where and what happens after trouble; no I/O here.

Steps are yielded to a driver, threads or asyncio, which sends back one outcome per shipment. All
commands may be repeated: a repeated `Begin` finds its own lease, a repeated `Fill` is refused, a
repeated `Overwrite` sets the same again, and a repeated drop draws new stamps.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from msgspec import Struct
from redis.exceptions import (
    AskError,
    ClusterDownError,
    InvalidResponse,
    MovedError,
    NoScriptError,
    TryAgainError,
)

from tiercel.spi import Clear, Command, Poll, Polled
from tiercel_redis.decoding import scanned, taken_apart
from tiercel_redis.failures import failure, is_lost
from tiercel_redis.names import CHANNELS
from tiercel_redis.options import Address, Settings
from tiercel_redis.resp import Plan, Request, pack
from tiercel_redis.scripts import Script
from tiercel_redis.topology import CLUSTER_SLOTS, Topology
from tiercel_redis.wire import Wire

Made = TypeVar("Made")
Node = Address | None
"""A server of a Cluster; None where there is only one."""

Outcome = Sequence[Any] | Exception
"""The replies, of which any may be an error, or what broke on the way."""

REDIRECTIONS = 5
FIRST_PAUSE = 0.005
CLUSTER_POLL = 0.1
"""Seconds between looks at the streams of a Cluster, as no command waits on several slots."""


class Shipment(Struct, frozen=True):
    """Packed commands for one server, which answers `replies` times within its limit + `wait`."""

    node: Node
    data: bytes
    replies: int
    wait: float = 0.0


class Step(Struct, frozen=True):
    """What the driver does next: sleep, then send all shipments at once and read the replies."""

    shipments: Sequence[Shipment] = ()
    pause: float = 0.0


Steps = Generator[Step, Sequence[Outcome], Any]


class Attempt(Struct):
    """A request on its way; `redirected` for one try only."""

    request: Request
    replies: Sequence[Any] | None = None
    redirected: Node = None
    by_source: bool = False
    tries: int = 0
    pause: float = 0.0
    error: Exception | None = None

    def pack(self) -> bytes:
        """Return its bytes for the next try."""
        if self.redirected:
            return self.request.pack_asking(by_source=self.by_source)
        return self.request.pack(by_source=self.by_source)

    @property
    def expected(self) -> int:
        """How many replies the next try brings."""
        return self.request.replies * (2 if self.redirected else 1)


def first_error(outcome: Outcome) -> Exception | None:
    """Return what went wrong, if anything did."""
    if isinstance(outcome, Exception):
        return outcome
    for reply in outcome:
        if isinstance(reply, Exception):
            return reply
    return None


class Conductor:
    """Carries out commands for one cache."""

    def __init__(self, settings: Settings, wire: Wire) -> None:
        self._settings = settings
        self._wire = wire
        clustered = settings.mode == "cluster"
        self._topology = Topology(settings.addresses) if clustered else None
        self._outdated = True

    def nodes(self) -> Sequence[Node]:
        """Return the servers to talk to when any will do; at least one."""
        return self._topology.candidates() if self._topology else [None]

    def run(self, command: Command[Any]) -> Steps:
        """Carry out any command; returns its reply.

        Raises:
            BackendUnavailable: No answer within the time limit, or no server that serves.
            BackendRefused: A server refused it.
        """
        if isinstance(command, Poll):
            return (yield from self._poll(command))
        if isinstance(command, Clear):
            return (yield from self._clear(command.prefix))
        return (yield from self.carry_out(self._wire.plan(command)))

    def go_on(self, command: Command[Any], outcome: Outcome, scripts: Sequence[Script]) -> Steps:
        """Carry out a command whose first try, on the only server there is, was no success.

        Args:
            command: The command.
            outcome: Of the first try.
            scripts: What the server has to be taught if it does not know the one it was asked for.
        """
        failed = first_error(outcome)
        if isinstance(failed, NoScriptError):
            yield from self._ask(None, [pack("SCRIPT", "LOAD", each.source) for each in scripts])
            failed = None
        plan = self._wire.plan(command)
        return (yield from self.carry_out(plan, None if failed is None else outcome))

    def carry_out(self, plan: Plan, outcome: Outcome | None = None) -> Steps:
        """Send the requests of a plan until all are answered; `outcome` is of a first try."""
        deadline = time.monotonic() + self._settings.timeout
        attempts = [Attempt(request) for request in plan.requests]
        if outcome is not None:
            self._judge(attempts[0], outcome, plan.patient)
        while waiting := [attempt for attempt in attempts if attempt.replies is None]:
            pause = max(attempt.pause for attempt in waiting)
            if pause:
                if time.monotonic() + pause > deadline:
                    raise self._failure(next(a.error for a in waiting if a.error))
                yield Step(pause=pause)
            yield from self._learn(deadline)
            yield from self._try(waiting, plan.patient)
        return self._take_apart(plan.decode, [attempt.replies for attempt in attempts])

    def _try(self, attempts: Iterable[Attempt], patient: bool) -> Steps:
        """Send each attempt once, those for one server in one shipment."""
        groups: dict[Node, list[Attempt]] = {}
        for attempt in attempts:
            groups.setdefault(self._node(attempt), []).append(attempt)
        shipments = [
            Shipment(
                node,
                b"".join([attempt.pack() for attempt in group]),
                sum(attempt.expected for attempt in group),
                max(attempt.request.wait for attempt in group),
            )
            for node, group in groups.items()
        ]
        outcomes = yield Step(shipments)
        for group, outcome in zip(groups.values(), outcomes, strict=True):
            start = 0
            for attempt in group:
                end = start + attempt.expected
                mine = outcome if isinstance(outcome, Exception) else outcome[start:end]
                self._judge(attempt, mine, patient)
                start = end

    def _node(self, attempt: Attempt) -> Node:
        if self._topology is None:
            return None
        return attempt.redirected or self._topology.owner(attempt.request.tag)

    def _judge(self, attempt: Attempt, outcome: Outcome, patient: bool) -> None:
        """Take over the replies, or prepare the next try, or give up."""
        error = first_error(outcome)
        if error is None:
            replies = cast("Sequence[Any]", outcome)
            attempt.replies = replies[1::2] if attempt.redirected else replies
            return
        attempt.error, attempt.pause, attempt.redirected = error, 0.0, None
        attempt.tries += 1
        if not self._may_try_again(attempt, error, patient):
            raise self._failure(error)

    def _may_try_again(self, attempt: Attempt, error: Exception, patient: bool) -> bool:
        if isinstance(error, NoScriptError) and not attempt.by_source:
            attempt.by_source = True
            return True
        if self._topology is not None and isinstance(error, AskError):
            self._redirect(attempt, error, self._topology)
            return attempt.tries <= REDIRECTIONS
        self._outdated = True
        if isinstance(error, TryAgainError) or (
            patient and (is_lost(error) or isinstance(error, ClusterDownError))
        ):
            attempt.pause = FIRST_PAUSE * 2**attempt.tries
            return True
        return is_lost(error) and attempt.tries == 1

    def _redirect(self, attempt: Attempt, error: AskError, topology: Topology) -> None:
        host = error.host or topology.owner(attempt.request.tag)[0]
        if isinstance(error, MovedError):
            topology.move(error.slot_id, (host, error.port))
        else:
            attempt.redirected = (host, error.port)

    def _learn(self, deadline: float) -> Steps:
        """Ask for the map of the Cluster if there is none or it proved wrong."""
        if self._topology is None or (self._topology.known and not self._outdated):
            return
        error: Exception = ConnectionError("no node knows an owner for every slot in use")
        for node in self._topology.candidates():
            (outcome,) = yield Step((Shipment(node, CLUSTER_SLOTS, 1),))
            error = self._learn_from(self._topology, outcome, node) or error
            if not self._outdated:
                return
            if time.monotonic() > deadline:
                break
        raise self._failure(error)

    def _learn_from(self, topology: Topology, outcome: Outcome, node: Address) -> Exception | None:
        """Take over the map that a node sent; returns what was wrong with the reply."""
        problem = first_error(outcome)
        if problem is not None:
            return problem
        try:
            self._outdated = not taken_apart(partial(topology.learn, asked=node), outcome)
        except InvalidResponse as strange:
            return strange
        return None

    def _poll(self, command: Poll) -> Steps:
        """Look at every channel; if nothing is new, wait for a message and look again."""
        until = time.monotonic() + command.block
        polled: dict[str, Polled] = yield from self.carry_out(self._wire.poll(command))
        while self._is_idle(command, polled) and (left := until - time.monotonic()) > 0:
            if self._topology is None:
                plan = self._wire.poll(command, wait=left)
                return (yield from self.carry_out(plan))
            yield Step(pause=min(left, CLUSTER_POLL))
            polled = yield from self.carry_out(self._wire.poll(command))
        return polled

    def _is_idle(self, command: Poll, polled: dict[str, Polled]) -> bool:
        return all(
            not state.messages
            and state.last is not None
            and state.last == command.positions.get(channel)
            for channel, state in polled.items()
        )

    def _clear(self, prefix: str) -> Steps:
        yield from self._learn(time.monotonic() + self._settings.timeout)
        for node in self._topology.nodes() if self._topology else [None]:
            cursor = b"0"
            while True:
                scan = pack("SCAN", cursor, "MATCH", self._pattern(prefix), "COUNT", "1000")
                cursor, found = self._take_apart(scanned, (yield from self._ask(node, [scan])))
                yield from self._ask(node, self._unlinks(found))
                if cursor == b"0":
                    break

    def _pattern(self, prefix: str) -> str:
        """Match what stands below a prefix, but not below a longer word it begins."""
        escaped = re.sub(r"([*?\[\]^\\-])", r"\\\1", prefix)
        below = "[^-0-9A-Za-z_]*" if prefix[-1:].isalnum() else "*"
        return f"{'{??}' if self._topology else ''}{escaped}{below}"

    def _unlinks(self, names: Sequence[bytes]) -> list[bytes]:
        """Remove names in batches of one slot each."""
        width = len(CHANNELS[0]) + 2 if self._topology else 0
        groups: dict[bytes, list[bytes]] = {}
        for name in names:
            groups.setdefault(name[:width], []).append(name)
        return [pack("UNLINK", *group) for group in groups.values()]

    def _ask(self, node: Node, commands: Sequence[bytes]) -> Steps:
        """Send commands to one server; any error is final."""
        if not commands:
            return []
        (outcome,) = yield Step((Shipment(node, b"".join(commands), len(commands)),))
        if (error := first_error(outcome)) is not None:
            raise self._failure(error)
        return outcome

    def _take_apart(self, decode: Callable[[Any], Made], replies: Any) -> Made:
        try:
            return taken_apart(decode, replies)
        except InvalidResponse as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> Exception:
        return failure(error, self._settings.label, self._settings.timeout)
