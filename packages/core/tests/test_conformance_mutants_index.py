"""Backends that list or fence wrongly, each in a way that a real one might, are caught."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from packages.core.tests.wrong_backends import assert_caught, assert_caught_by_histories
from tiercel.contracts.backend import (
    STAMP_BYTES,
    STAMPS_OFFSET,
    Begin,
    Begun,
    Clear,
    DropScopes,
    Fill,
    Key,
)
from tiercel.contracts.index import Index, ListEntries, Listing, Probe
from tiercel.testing import SimulatedBackend
from tiercel.testing.notes import Note, Notes


class ListsRefusedFills(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        filled = super()._fill(command)
        if not filled and command.index is not None:
            self._note(command.index, command)
        return filled


class ListsEverything(SimulatedBackend):
    def _listentries(self, command: ListEntries) -> Listing:
        texts = [name.removeprefix("value/") for name in self.names() if name.startswith("value/")]
        return Listing([(text, b"") for text in texts], "", complete=True)


class CutsNotes(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        return super()._fill(replace(command, note=command.note[:1_000]))


class CutsNotesAtNul(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        return super()._fill(replace(command, note=command.note.partition(b"\0")[0]))


class KeepsTheFirstNote(SimulatedBackend):
    def _note(self, index: Index, fill: Fill) -> None:
        notes = self._get(f"index/{index.name}") or Notes()
        known = [note.data for note in notes.kept if note.text == fill.key.text]
        super()._note(index, replace(fill, note=known[0] if known else fill.note))


class CountsARefillTwice(SimulatedBackend):
    """Trims by the number of fills, not of entries."""

    _fills = 0

    def _note(self, index: Index, fill: Fill) -> None:
        self._fills += 1
        super()._note(index, fill)
        if self._fills > index.limit:
            notes = self._get(f"index/{index.name}")
            forgetful = Notes(notes.kept[1:], notes.lost_until)
            self._put(f"index/{index.name}", forgetful, index.life)


class TrimsWhatEndsLast(SimulatedBackend):
    def _note(self, index: Index, fill: Fill) -> None:
        super()._note(index, replace(fill, life=1e9 / (1 + fill.life)))


class NeverTrims(SimulatedBackend):
    """Lets notes of what has ended take the room of others."""

    def _note(self, index: Index, fill: Fill) -> None:
        super()._note(index, replace(fill, life=1e6))


class HidesWhatItLost(SimulatedBackend):
    def _note(self, index: Index, fill: Fill) -> None:
        super()._note(index, fill)
        notes = self._get(f"index/{index.name}")
        self._put(f"index/{index.name}", Notes(notes.kept), index.life)


class TrustsAYoungIndex(SimulatedBackend):
    """Takes an index that begins now for one that has seen every fill."""

    def _note(self, index: Index, fill: Fill) -> None:
        if self._get(f"index/{index.name}") is None:
            self._put(f"index/{index.name}", Notes(), index.life)
        super()._note(index, fill)


class NeverTrustsAgain(SimulatedBackend):
    def _note(self, index: Index, fill: Fill) -> None:
        notes = self._get(f"index/{index.name}")
        super()._note(replace(index, longest=1e9), fill)
        if notes is not None and notes.lost_until > 0:
            kept = self._get(f"index/{index.name}").kept
            self._put(f"index/{index.name}", Notes(kept, 1e9), index.life)


class KeepsTheIndexOfADroppedFunction(SimulatedBackend):
    def _dropscopes(self, command: DropScopes) -> None:
        super()._dropscopes(replace(command, indexes=()))


class ListsOnePageOnly(SimulatedBackend):
    def _listentries(self, command: ListEntries) -> Listing:
        return replace(super()._listentries(command), cursor="")


class ListsAllAtOnce(SimulatedBackend):
    def _listentries(self, command: ListEntries) -> Listing:
        return super()._listentries(replace(command, count=10**9))


class PagesByPosition(SimulatedBackend):
    """Counts how many it has listed; an entry that ends meanwhile shifts the others."""

    def _listentries(self, command: ListEntries) -> Listing:
        notes = self._get(f"index/{command.name}") or Notes()
        by_end = sorted(notes.kept, key=lambda note: -note.deadline)
        start = int(command.cursor or 0)
        page = by_end[start : start + command.count]
        cursor = str(start + command.count) if start + command.count < len(by_end) else ""
        return Listing([(note.text, note.data) for note in page], cursor, complete=True)


class ForgetsToClear(SimulatedBackend):
    def _clear(self, command: Clear) -> None:
        kept = {name: cell for name, cell in self._cells.items() if name.startswith("index/")}
        super()._clear(command)
        self._cells.update(kept)


class ListsAnotherFunction(SimulatedBackend):
    def _put(self, name: str, data: Any, life: float) -> None:
        super()._put(name.lower() if name.startswith("index/") else name, data, life)

    def _get(self, name: str) -> Any:
        return super()._get(name.lower() if name.startswith("index/") else name)


class LooksAtTheSpread(SimulatedBackend):
    """Takes the spread for a part of the key's text."""

    def _listentries(self, command: ListEntries) -> Listing:
        listing = super()._listentries(command)
        wanted = [e for e in listing.entries if command.spread is None or command.spread == e[0]]
        return replace(listing, entries=wanted)


class ProbesWithoutStamps(SimulatedBackend):
    def _is_live(self, key: Key) -> bool:
        return self._get(f"value/{key.text}") is not None


class ProbesTheFunctionOnly(SimulatedBackend):
    def _is_live(self, key: Key) -> bool:
        return super()._is_live(replace(key, scopes=key.scopes[:1]))


class ProbesDistinctKeys(SimulatedBackend):
    def _probe(self, command: Probe) -> list[bool]:
        return super()._probe(Probe(list({key.text: key for key in command.keys}.values())))


class ProbesWhatHasEnded(SimulatedBackend):
    def _is_live(self, key: Key) -> bool:
        cell = self._cells.get(f"value/{key.text}")
        stamps = [self._get(f"stamp/{name}") or b"" for name in key.scopes]
        return cell is not None and cell.data.startswith(
            b"".join(stamp[:STAMP_BYTES] for stamp in stamps), STAMPS_OFFSET
        )


class HasNoFence(SimulatedBackend):
    def _admits(self, index: Index, key: Key) -> bool:
        return True


class ReadsTheFenceAtFill(SimulatedBackend):
    """Asks whether there is a fence, not whether it is still the same."""

    def _admits(self, index: Index, key: Key) -> bool:
        return self._get(f"stamp/{index.fence}") is not None


class WaitsBehindTheFence(SimulatedBackend):
    """Has callers wait for a holder who is going to be refused."""

    def _begin(self, command: Begin) -> Begun:
        lease = self._lease(command.key)
        if lease and command.index and not command.force:
            fence = self._prepared(command.index)
            generation = lease.generation[: -len(fence)] + fence
            self._put(f"lease/{command.key.text}", replace(lease, generation=generation), 1e3)
        return super()._begin(command)


class KeepsTheLeaseOfTheRefused(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        lease = self._cells.get(f"lease/{command.key.text}")
        filled = super()._fill(command)
        if not filled and lease and command.index:
            fence = self._get(f"stamp/{command.index.fence}") or b""
            lasting = replace(lease.data, generation=lease.data.generation[:-16] + fence)
            self._cells[f"lease/{command.key.text}"] = replace(lease, data=lasting)
        return filled


class RefusesInSilence(SimulatedBackend):
    def _fill(self, command: Fill) -> bool:
        if command.index is not None and not self._admits(command.index, command.key):
            self._cells.pop(f"lease/{command.key.text}", None)
            return False
        return super()._fill(command)


class FencesEverybody(SimulatedBackend):
    """One fence for all functions."""

    def _common(self, index: Index) -> Index:
        return replace(index, fence="fence")

    def _prepared(self, index: Index) -> bytes:
        return super()._prepared(self._common(index))

    def _admits(self, index: Index, key: Key) -> bool:
        return super()._admits(self._common(index), key)

    def _dropscopes(self, command: DropScopes) -> None:
        super()._dropscopes(command)
        if any(scope.name.endswith("!fence") for scope in command.scopes):
            self._put("stamp/fence", self._new_stamp(), command.life)


class ForgetsOtherNotes(SimulatedBackend):
    def _note(self, index: Index, fill: Fill) -> None:
        now = self.clock.monotonic()
        only = Notes((Note(fill.key.text, fill.note, now + fill.life),))
        self._put(f"index/{index.name}", only, index.life)


MUTANTS: dict[type[SimulatedBackend], str] = {
    ListsRefusedFills: "test_index_when_a_fill_is_refused_does_not_list_it",
    ListsEverything: "test_index_when_filled_without_a_note_lists_nothing",
    CutsNotes: "test_index_lists_what_was_filled_with_its_notes",
    CutsNotesAtNul: "test_index_lists_what_was_filled_with_its_notes",
    ForgetsOtherNotes: "test_index_lists_what_was_filled_with_its_notes",
    KeepsTheFirstNote: "test_index_when_an_entry_is_filled_again_has_the_last_note",
    CountsARefillTwice: "test_index_when_an_entry_is_filled_again_has_the_last_note",
    TrimsWhatEndsLast: "test_index_beyond_its_limit_says_that_entries_may_be_missing",
    HidesWhatItLost: "test_index_beyond_its_limit_says_that_entries_may_be_missing",
    NeverTrustsAgain: "test_index_beyond_its_limit_says_that_entries_may_be_missing",
    NeverTrims: "test_index_makes_room_where_entries_have_ended",
    TrustsAYoungIndex: "test_index_when_entries_are_older_says_that_they_may_be_missing",
    KeepsTheIndexOfADroppedFunction: "test_index_when_its_function_is_dropped_begins_anew",
    ListsOnePageOnly: "test_index_of_many_entries_is_listed_in_parts",
    ListsAllAtOnce: "test_index_of_many_entries_is_listed_in_parts",
    PagesByPosition: "test_index_while_others_fill_leaves_out_nothing_that_stays",
    ForgetsToClear: "test_index_when_cleared_is_forgotten",
    ListsAnotherFunction: "test_index_names_of_any_allowed_character_are_told_apart",
    LooksAtTheSpread: "test_index_of_one_place_lists_all_that_is_there",
    ProbesWithoutStamps: "test_probe_when_dropped_is_false",
    ProbesTheFunctionOnly: "test_probe_when_dropped_is_false",
    ProbesDistinctKeys: "test_probe_tells_in_order_what_could_be_served",
    ProbesWhatHasEnded: "test_probe_when_the_life_is_over_is_false",
    HasNoFence: "test_fence_when_changed_refuses_who_has_begun_before",
    ReadsTheFenceAtFill: "test_fence_when_changed_refuses_who_has_begun_before",
    WaitsBehindTheFence: "test_fence_when_changed_leaves_no_lease_to_wait_for",
    KeepsTheLeaseOfTheRefused: "test_fence_when_a_fill_is_refused_the_lease_ends",
    RefusesInSilence: "test_fence_when_a_fill_is_refused_waiters_are_woken",
    FencesEverybody: "test_fence_when_changed_concerns_its_own_function_only",
}
"""Each mistake, and the test of the kit that is about it."""

CAUGHT_BY_HISTORIES: list[type[SimulatedBackend]] = [
    KeepsTheFirstNote,
    HidesWhatItLost,
    ListsOnePageOnly,
    ProbesWithoutStamps,
    HasNoFence,
    WaitsBehindTheFence,
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
