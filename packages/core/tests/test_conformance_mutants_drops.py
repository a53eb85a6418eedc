"""Backends that drop, announce or wake wrongly, each in a way that a real one might, are caught."""

from __future__ import annotations

import fnmatch
import threading
from typing import Any

import pytest
from msgspec.structs import replace

from packages.core.tests.wrong_backends import (
    Kit,
    assert_caught,
    assert_caught_by_histories,
    run,
)
from tiercel.contracts.backend import (
    Backend,
    Begin,
    Begun,
    Clear,
    Command,
    DropKey,
    DropScopes,
    Fill,
    Key,
    Mailbox,
    Poll,
    Read,
    Reading,
    Release,
    Renew,
)
from tiercel.contracts.position import Polled, Position
from tiercel.testing import SimulatedBackend
from tiercel.testing.cells import Lease
from tiercel.testing.conformance.tier import Tier
from tiercel.testing.simulated import CHANNEL

PLENTY = 30.0
"""Seconds that another thread may take to read."""


class SwallowsAFailedDelete(SimulatedBackend):
    def _dropkey(self, command: DropKey) -> bool:
        value = self._cells.get(f"value/{command.key.text}")
        existed = super()._dropkey(command)
        if value:
            self._cells[f"value/{command.key.text}"] = value
        return existed


class KeepsTheLeaseOnDrop(SimulatedBackend):
    def _dropkey(self, command: DropKey) -> bool:
        lease = self._cells.get(f"lease/{command.key.text}")
        existed = super()._dropkey(command)
        if lease:
            self._cells[f"lease/{command.key.text}"] = lease
        return existed


class DropsTheFirstScopeOnly(SimulatedBackend):
    def _dropscopes(self, command: DropScopes) -> None:
        super()._dropscopes(replace(command, scopes=command.scopes[:1]))


class DropsTooMuch(SimulatedBackend):
    def _dropscopes(self, command: DropScopes) -> None:
        for name in [each for each in self._cells if each.startswith("stamp/")]:
            del self._cells[name]
        super()._dropscopes(command)


class CountsTombstones(SimulatedBackend):
    """Takes what says who dropped an entry for an entry."""

    def _dropkey(self, command: DropKey) -> bool:
        existed = super()._dropkey(command)
        if existed and command.tombstone:
            self._put(f"value/{command.key.text}", command.tombstone, 3600.0)
        return existed


class ForgetsProvenance(SimulatedBackend):
    def _dropscopes(self, command: DropScopes) -> None:
        super()._dropscopes(replace(command, provenance=b""))


class CutsProvenance(SimulatedBackend):
    def _dropscopes(self, command: DropScopes) -> None:
        super()._dropscopes(replace(command, provenance=command.provenance[:100]))


class LetsTagsExpire(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        return super()._fill(replace(command, tags=()))


class SortsTags(SimulatedBackend):
    def _read(self, command: Read) -> Reading:
        return super()._read(replace(command, tags=tuple(sorted(command.tags))))


class ClearsByPattern(SimulatedBackend):
    def _clear(self, command: Clear) -> None:
        for name in self.names():
            if fnmatch.fnmatchcase(name.partition("/")[2], f"{command.prefix}*"):
                del self._cells[name]
        self.lose_stream()


class ClearsQuietly(SimulatedBackend):
    def lose_stream(self) -> None:
        pass


class ClearsEntriesOnly(SimulatedBackend):
    def _clear(self, command: Clear) -> None:
        for name in self.names():
            if name.startswith(f"value/{command.prefix}"):
                del self._cells[name]


class PublishesFirst(SimulatedBackend):
    """Drops when somebody who has heard of it has read, or when nobody does."""

    _read_since: threading.Event | None = None

    def execute(self, command: Any) -> Any:
        if isinstance(command, DropScopes):
            return self._publish_first(command)
        reply = super().execute(command)
        if isinstance(command, Read) and self._read_since:
            self._read_since.set()
        return reply

    def _publish_first(self, command: DropScopes) -> None:
        read_since = self._read_since = threading.Event()
        with self._changed:
            self._announce(tuple(scope.name for scope in command.scopes))
        if threading.current_thread() is not threading.main_thread():
            read_since.wait(PLENTY)
        with self._changed:
            stream = self._stream
            super().execute(command)
            self._stream = stream


class DropsWithoutPublishing(SimulatedBackend):
    def _dropkey(self, command: DropKey) -> bool:
        stream, existed = self._stream, super()._dropkey(command)
        self._stream = stream
        return existed


class AnnouncesEveryFill(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        return super()._fill(replace(command, announce=True))


class BreaksTheChain(SimulatedBackend):
    def _announce(self, names: tuple[str, ...]) -> None:
        super()._announce(names)
        self._stream = (*self._stream[:-1], replace(self._stream[-1], previous=""))


class RepeatsMessages(SimulatedBackend):
    def _since(self, position: Position) -> tuple[Any, ...]:
        return super()._since(replace(position, number=position.number - 1))


class TellsThePast(SimulatedBackend):
    def _poll(self, command: Poll) -> dict[str, Polled]:
        if not command.positions:
            return {CHANNEL: Polled(self._stream, self._last())}
        return super()._poll(command)


class PollsWithoutWaiting(SimulatedBackend):
    def _poll(self, command: Poll) -> dict[str, Polled]:
        return super()._poll(replace(command, block=0.0))


class WakesNobody(SimulatedBackend):
    def _register(self, key: Key, lease: Lease, waiter: str) -> None:
        pass


class WakesOneOnly(SimulatedBackend):
    def _register(self, key: Key, lease: Lease, waiter: str) -> None:
        super()._register(key, Lease(lease.token, lease.generation), waiter)


class ForgetsWaitersWhenForced(SimulatedBackend):
    def _begin(self, command: Begin) -> Begun:
        if command.force:
            self._cells.pop(f"lease/{command.key.text}", None)
        return super()._begin(command)


class ForgetsWaitersOfOldStamps(SimulatedBackend):
    def _dropscopes(self, command: DropScopes) -> None:
        super()._dropscopes(command)
        for name in [name for name in self.names() if name.startswith("lease/")]:
            self.evict(name)


class ForgetsWaitersWhenRenewed(SimulatedBackend):
    def _renew(self, command: Renew) -> bool:
        renewed, lease = super()._renew(command), self._lease(command.key)
        if lease:
            bare = Lease(lease.token, lease.generation)
            self._put(f"lease/{command.key.text}", bare, command.lease)
        return renewed


class WakesOnRefusedFill(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        filled, lease = super()._fill(command), self._lease(command.key)
        if not filled and lease:
            self._end_lease(command.key)
        return filled


class IgnoresWideDrops(SimulatedBackend):
    """Drops only what is in one place."""

    def _dropscopes(self, command: DropScopes) -> None:
        near = tuple(scope for scope in command.scopes if scope.spread is not None)
        super()._dropscopes(replace(command, scopes=near))


class IgnoresTagDrops(IgnoresWideDrops):
    """The same mistake, seen from tags."""


class ReissuesTheLease(SimulatedBackend):
    """Fills by whoever asks while anybody holds the lease."""

    def _holds(self, key: Key, token: bytes) -> bool:
        return self._lease(key) is not None


class AnnouncesRefusedFills(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        filled = super()._fill(command)
        if not filled:
            self._announce((command.key.text,))
        return filled


class MovesItsEnd(SimulatedBackend):
    """Announces that somebody polled."""

    def _poll(self, command: Poll) -> dict[str, Polled]:
        self._announce(())
        return super()._poll(command)


class ForgetsWaitersOnDrop(SimulatedBackend):
    def _dropkey(self, command: DropKey) -> bool:
        self._cells.pop(f"lease/{command.key.text}", None)
        return super()._dropkey(command)


class ForgetsWaitersOnRelease(SimulatedBackend):
    def _release(self, command: Release) -> None:
        if self._holds(command.key, command.token):
            del self._cells[f"lease/{command.key.text}"]


MUTANTS: dict[type[SimulatedBackend], str] = {
    SwallowsAFailedDelete: "test_drop_key_removes_the_entry_and_says_so",
    KeepsTheLeaseOnDrop: "test_drop_key_voids_the_lease",
    DropsTheFirstScopeOnly: "test_drop_of_several_scopes_covers_each",
    DropsTooMuch: "test_drop_of_a_partition_covers_its_entries_only",
    CountsTombstones: "test_drop_of_a_key_leaves_no_more_than_who_did_it",
    ForgetsProvenance: "test_drop_keeps_its_provenance_behind_the_stamp",
    CutsProvenance: "test_drop_keeps_its_provenance_behind_the_stamp",
    LetsTagsExpire: "test_tags_of_an_entry_are_prolonged_by_its_fill",
    SortsTags: "test_tags_are_minted_once_and_read_in_order",
    ClearsByPattern: "test_clear_takes_its_prefix_literally",
    ClearsQuietly: "test_clear_breaks_the_chain",
    ClearsEntriesOnly: "test_clear_forgets_entries_stamps_and_leases",
    PublishesFirst: "test_drop_when_announced_is_already_in_force",
    DropsWithoutPublishing: "test_drops_are_announced_by_name",
    AnnouncesEveryFill: "test_fill_is_announced_only_if_asked",
    BreaksTheChain: "test_messages_form_a_dense_chain",
    RepeatsMessages: "test_poll_continues_where_it_was",
    TellsThePast: "test_poll_from_nowhere_shows_positions_and_no_messages",
    PollsWithoutWaiting: "test_poll_that_blocks_returns_with_the_message",
    WakesNobody: "test_waiter_is_woken_by_a_fill",
    WakesOneOnly: "test_every_waiter_is_woken_and_nobody_else",
    ForgetsWaitersWhenForced: "test_waiter_is_woken_by_the_fill_of_a_forced_lease",
    ForgetsWaitersOfOldStamps: "test_waiter_is_woken_by_the_fill_of_a_lease_of_other_stamps",
    ForgetsWaitersWhenRenewed: "test_waiter_is_woken_after_a_renewal",
    WakesOnRefusedFill: "test_refused_fill_wakes_nobody",
    IgnoresWideDrops: "test_drop_of_a_function_covers_all_its_partitions",
    IgnoresTagDrops: "test_tag_when_dropped_has_another_stamp",
    ReissuesTheLease: "test_drop_key_while_the_next_holder_computes_refuses_the_first",
    AnnouncesRefusedFills: "test_fill_when_refused_is_not_announced",
    MovesItsEnd: "test_poll_at_the_end_shows_the_same_position",
    ForgetsWaitersOnDrop: "test_waiter_is_woken_by_a_drop_of_the_key",
    ForgetsWaitersOnRelease: "test_waiter_is_woken_by_a_release",
}
"""Each mistake, and the test of the kit that is about it."""

CAUGHT_BY_HISTORIES: list[type[SimulatedBackend]] = [
    SwallowsAFailedDelete,
    KeepsTheLeaseOnDrop,
    DropsTooMuch,
]


@pytest.mark.parametrize(
    ("mutant", "name"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS]
)
def test_mutant_fails_the_test_that_is_about_it(mutant: type[SimulatedBackend], name: str) -> None:
    """The right backend passes that test, the wrong one fails it."""
    assert_caught(name, mutant)


@pytest.mark.parametrize("mutant", CAUGHT_BY_HISTORIES)
def test_mutant_fails_the_random_histories(mutant: type[SimulatedBackend]) -> None:
    """Random histories find the mistake without being told where to look."""
    assert_caught_by_histories(mutant)


class ReadsStale(Backend):
    """A client that keeps what it read until it changes the key itself."""

    capabilities = SimulatedBackend.capabilities

    def __init__(self, shared: SimulatedBackend) -> None:
        self.shared = shared
        self._near: dict[Command[Any], Any] = {}

    def execute(self, command: Any) -> Any:
        if isinstance(command, Read):
            if command not in self._near:
                self._near[command] = self.shared.execute(command)
            return self._near[command]
        self._near.clear()
        return self.shared.execute(command)

    def open_mailbox(self, waiter: str) -> Mailbox:
        return self.shared.open_mailbox(waiter)


def test_client_that_reads_stale_is_caught() -> None:
    """A near cache without validation shows what another client dropped."""
    shared = SimulatedBackend()
    tier = Tier(ReadsStale(shared), reopen=lambda: ReadsStale(shared))
    with pytest.raises(AssertionError):
        Kit().test_drop_by_another_client_is_seen_at_once(tier)


def test_client_that_reads_stale_is_caught_by_the_race() -> None:
    """Readers and writers without a fixed schedule find a near cache as well."""
    shared = SimulatedBackend()
    tier = Tier(ReadsStale(shared), reopen=lambda: ReadsStale(shared))
    with pytest.raises(AssertionError):
        Kit().test_readers_never_see_what_was_dropped_before_they_began(tier)


def test_race_shows_what_a_reader_raised() -> None:
    """And not only that nobody reads."""

    class Breaks(SimulatedBackend):
        def _read(self, command: Read) -> Reading:
            raise TypeError("a reply cannot be understood")

    with pytest.raises(TypeError, match="cannot be understood"):
        run("test_readers_never_see_what_was_dropped_before_they_began", Breaks())


def test_subclass_that_overrides_a_test_is_caught() -> None:
    """A plugin cannot pass by replacing or deleting a test, unless it says xfail and why."""

    class Cheating(Kit):
        def test_read_many_of_nothing_is_nothing(self, tier: Tier) -> None:
            """Pass."""

    class Deleting(Kit):
        test_fill_ends_the_lease = None  # type: ignore[assignment]

    class Honest(Kit):
        @pytest.mark.xfail(reason="the server has no leases")
        def test_fill_ends_the_lease(self, tier: Tier) -> None:
            """Fail, as is known."""

    Kit().test_no_overrides()
    Honest().test_no_overrides()
    for wrong in (Cheating, Deleting):
        with pytest.raises(AssertionError, match="overrides a test of the kit"):
            wrong().test_no_overrides()
