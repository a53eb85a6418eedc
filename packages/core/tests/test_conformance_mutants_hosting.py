"""Backends that do not bear what happens around them are caught."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest

from packages.core.tests.wrong_backends import Kit, assert_caught, run
from tiercel.contracts.backend import Backend, Mailbox
from tiercel.errors import BackendUnavailable
from tiercel.testing import SimulatedBackend
from tiercel.testing.conformance.tier import Mode
from tiercel.testing.mailbox import SimulatedMailbox


class BelongsToItsParent(SimulatedBackend):
    """Its connection is of no use in a child."""

    def __init__(self) -> None:
        super().__init__()
        self._process = os.getpid()

    def execute(self, command: Any) -> Any:
        if os.getpid() != self._process:
            raise BackendUnavailable("the reply is the parent's")
        return super().execute(command)


class ClosesForGood(SimulatedBackend):
    _closed = False

    def close(self) -> None:
        self._closed = True

    def execute(self, command: Any) -> Any:
        assert not self._closed, "the connection is closed"
        return super().execute(command)


class BelongsToItsFirstLoop(SimulatedBackend):
    """Its connections are those of the event loop that came first."""

    _loop: Any = None

    async def aexecute(self, command: Any) -> Any:
        self._loop = self._loop or asyncio.get_running_loop()
        assert asyncio.get_running_loop() is self._loop, "attached to a different loop"
        return await super().aexecute(command)


class LeavesReplies(SimulatedBackend):
    """Whoever reads next gets the reply to a command that was cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self._replies: deque[Any] = deque()

    async def aexecute(self, command: Any) -> Any:
        self._replies.append(self.execute(command))
        await asyncio.sleep(0)
        return self._replies.popleft()


class BlocksTheLoop(SimulatedBackend):
    async def aexecute(self, command: Any) -> Any:
        return self.execute(command)


class HasNoPatience(SimulatedBackend):
    """Its mailboxes return at once where there is nothing yet."""

    def open_mailbox(self, waiter: str) -> Mailbox:
        class Impatient(SimulatedMailbox):
            def receive(self, timeout: float) -> Sequence[str]:
                return super().receive(0.0)

        return Impatient(self._changed, self._mailboxes.setdefault(waiter, []))


MUTANTS: dict[type[SimulatedBackend], tuple[str, Mode]] = {
    BelongsToItsParent: ("test_fork_has_a_backend_that_works", "sync"),
    ClosesForGood: ("test_backend_that_was_closed_opens_again", "sync"),
    BelongsToItsFirstLoop: ("test_event_loops_come_and_go_and_run_beside_each_other", "async"),
    LeavesReplies: ("test_reply_to_a_command_that_was_cancelled_is_nobody_elses", "async"),
    HasNoPatience: ("test_mailbox_waits_for_a_wake_as_long_as_it_is_told_to", "sync"),
    BlocksTheLoop: ("test_poll_that_blocks_leaves_the_event_loop_to_others", "async"),
}


@pytest.mark.parametrize(
    ("mutant", "test"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS]
)
def test_mutant_fails_the_test_that_is_about_it(
    mutant: type[SimulatedBackend], test: tuple[str, Mode]
) -> None:
    """The right backend passes that test, the wrong one fails it."""
    name, mode = test
    assert_caught(name, mutant, mode)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_store_out_of_reach_must_be_said_to_be_unavailable(mode: Mode) -> None:
    """An error of the client library is not what callers can understand."""
    name = "test_store_that_does_not_answer_is_unavailable_soon"

    class Away(SimulatedBackend):
        def _fail_if_told_to(self) -> None:
            raise ConnectionRefusedError("nobody listens")

    class Right(Kit):
        def unreachable(self) -> Backend:
            backend = SimulatedBackend()
            backend.unreachable = True
            return backend

    class Wrong(Kit):
        def unreachable(self) -> Backend:
            return Away()

    run(name, SimulatedBackend(), mode, Right())
    with pytest.raises(ConnectionRefusedError):
        run(name, SimulatedBackend(), mode, Wrong())
