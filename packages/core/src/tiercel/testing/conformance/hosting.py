"""What happens around a backend: forks, event loops, callers that go away, a store that is away."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tiercel.contracts.backend import Backend, Begin, Command, DropKey, Key, Read
from tiercel.errors import BackendUnavailable
from tiercel.testing.conformance.bench import in_child
from tiercel.testing.conformance.threads import Threads
from tiercel.testing.conformance.tier import LONG, Tier, served

PATIENCE = 60.0
"""Seconds that a child may take."""

SOON = 30.0
"""Seconds within which a store that does not answer is given up."""

ROUNDS = 20


class HostTests:
    """A backend lives in whatever process its user has."""

    unreachable: Callable[[], Backend | None]

    def test_fork_has_a_backend_that_works(self, tier: Tier) -> None:
        """Parent and child read at once after a fork, and each gets its own answers."""
        if tier.mode == "async" or not hasattr(os, "fork"):
            pytest.skip("not offered: an event loop does not survive a fork")
        ours, theirs = _stored(tier, "parent"), _stored(tier, "child")
        assert in_child(lambda: _read(tier, theirs), PATIENCE, lambda: _read(tier, ours)) == 0
        _read(tier, theirs)

    def test_backend_that_was_closed_opens_again(self, tier: Tier) -> None:
        """Whoever closes a cache may not be the last that uses it."""
        key = _stored(tier, "before")
        tier.backend.close()
        _read(tier, key)
        _read(tier, _stored(tier, "after"))

    def test_event_loops_come_and_go_and_run_beside_each_other(self, tier: Tier) -> None:
        """What is open belongs to one event loop; a process may have another, or several."""
        if tier.mode == "sync":
            pytest.skip("not offered: event loops are for async code")
        keys = [_stored(tier, f"k{number}") for number in range(4)]

        async def read() -> list[bytes | None]:
            readings = await asyncio.gather(*(tier.backend.aexecute(Read(key)) for key in keys))
            await tier.backend.aclose()
            return [served(*pair) for pair in zip(keys, readings, strict=True)]

        expected = [key.text.encode() for key in keys]
        assert [asyncio.run(read()) for _ in range(2)] == [expected] * 2
        with Threads(2) as pool:
            assert list(pool.map(lambda _: asyncio.run(read()), range(4))) == [expected] * 4

    def test_reply_to_a_command_that_was_cancelled_is_nobody_elses(self, tier: Tier) -> None:
        """A caller that goes away leaves nothing behind in a connection that others use."""
        if tier.mode == "sync":
            pytest.skip("not offered: a thread is not cancelled")
        left, kept = _stored(tier, "left"), _stored(tier, "kept")

        async def cancel(turns: int) -> bytes | None:
            gone = asyncio.create_task(tier.backend.aexecute(Read(left)))
            for _ in range(turns):
                await asyncio.sleep(0)
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone
            return served(kept, await tier.backend.aexecute(Read(kept)))

        for turns in range(ROUNDS):
            assert tier.call(cancel(turns)) == kept.text.encode()

    def test_store_that_does_not_answer_is_unavailable_soon(self, tier: Tier) -> None:
        """Callers do without the store, so they must learn in time, and what it was."""
        backend = self.unreachable()
        if backend is None:
            pytest.skip("not offered: a store that can be out of reach")
        away, key = Tier(backend, tier.mode), tier.key()
        commands: list[Command[Any]] = [Read(key), Begin(key, LONG, LONG), DropKey(key)]
        try:
            for command in commands:
                began = time.monotonic()
                with pytest.raises(BackendUnavailable):
                    away.run(command)
                assert time.monotonic() - began < SOON
        finally:
            away.close(keep_backend=False)


def _stored(tier: Tier, name: str) -> Key:
    """Store an entry whose body is the text of its key."""
    key = tier.key(name, partition=name)
    tier.store(key, key.text.encode())
    return key


def _read(tier: Tier, key: Key) -> None:
    for _ in range(ROUNDS):
        assert tier.value(key) == key.text.encode()
