"""Deliberately wrong variants of the engine and of the shared tier, one or more for every hole.

Each is a small patch that a scene of `scenarios.py` must give away. Were one of them not caught,
the checker would be blind where it claims to see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from msgspec import Struct

from packages.core.tests.races.wrong_engines import (
    ALWAYS,
    NEVER,
    accepts_any_nonce,
    accepts_everything,
    does_nothing,
    drops_twice,
    follows_anybody,
    forgets_failed_drop,
    joins_blindly,
    keeps_at_first_position,
    keeps_refused,
    promotes_with_full_life,
    remembers_what_it_saw,
    serves_what_it_saw,
    skips_if_leased,
    takes_place_late,
    trusts_from_receipt,
    waits_anyway,
    writes_back,
)
from packages.core.tests.races.wrong_tiers import (
    AnnouncesFirst,
    CountsStamps,
    DropsOnlyOne,
    FillsWithoutLease,
    GrantsTwice,
    IgnoresGeneration,
    KeepsLease,
    LooksOnlyOnce,
    MintsAtFill,
    OverwritesBlindly,
    StampsAtFill,
    WakesNobody,
)
from tiercel.engine import (
    channel,
    drop,
    examine,
    fill,
    flights,
    lease,
    outage,
    places,
    read,
    refresh,
)
from tiercel.engine.channel import Channel
from tiercel.engine.places import Place
from tiercel.testing import SimulatedBackend

Patch = tuple[Any, str, Any]


class Mutant(Struct, frozen=True):
    """One wrong variant.

    Attributes:
        name: What is wrong.
        hole: Which hole of the protocol's table that opens.
        scene: The scenario that must give it away.
        promise: Which promise it breaks there.
        backend: The shared tier, if that is what is wrong.
        patches: What else is replaced: owner, attribute, replacement.
        seed: In which order the scene is played; what decides how soon, not whether, it shows.
    """

    name: str
    hole: str
    scene: str
    promise: str
    backend: type[SimulatedBackend] = SimulatedBackend
    patches: Sequence[Patch] = ()
    seed: int | None = None

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the engine be wrong for a while."""
        with ExitStack() as stack:
            for owner, name, replacement in self.patches:
                stack.enter_context(patch.object(owner, name, replacement))
            yield


MUTANTS = (
    Mutant("stamps are minted at the fill", "H1", "evict_partition", "P1", MintsAtFill),
    Mutant("stamps count, and a lost one is 0", "H1", "evict_warm_partition", "P1", CountsStamps),
    Mutant("stamps are captured at the fill", "H1", "drop_partition", "P1", StampsAtFill),
    Mutant("a refresh overwrites blindly", "H2", "refresh_key", "P1", OverwritesBlindly),
    Mutant("an update overwrites blindly", "H2", "update", "P1", OverwritesBlindly),
    Mutant("no lease is as good as one", "H3", "drop_key", "P1", FillsWithoutLease),
    Mutant("no lease, after it expired", "H3", "lease_expires_key", "P1", FillsWithoutLease),
    Mutant("a key drop leaves the lease", "H3", "drop_key", "P1", KeepsLease),
    Mutant(
        "a stale value is written back",
        "H4",
        "stale_partition",
        "P1",
        patches=[(read, "_serve", writes_back)],
    ),
    Mutant(
        "stale values are served without a check",
        "H4",
        "stale_partition",
        "P6",
        patches=[(examine, "carries", ALWAYS)],
    ),
    Mutant(
        "a failure serves what was read before it",
        "H4",
        "stale_on_error_key",
        "P6",
        patches=[
            (read, "examine", remembers_what_it_saw),
            (examine, "examine", remembers_what_it_saw),
            (fill, "_last_resort", serves_what_it_saw),
        ],
    ),
    Mutant("a lease is granted unseen", "H5", "cold_callers", "P4", LooksOnlyOnce),
    Mutant("a lease is granted twice", "H5", "cold_callers", "P4", GrantsTwice),
    Mutant("nobody is woken", "H5", "cold_callers", "P5", WakesNobody),
    Mutant("dead fills are waited for", "H6", "drop_partition", "P5", IgnoresGeneration),
    Mutant(
        "dead holders are waited for",
        "H6",
        "holder_dies_before_drop_function",
        "P5",
        IgnoresGeneration,
    ),
    Mutant(
        "flights are joined blindly",
        "H7",
        "join_partition",
        "P2",
        patches=[(flights.Flights, "joinable", joins_blindly)],
    ),
    Mutant(
        "flights are joined whatever lease they hold",
        "H7",
        "join_by_lease_of_another_partition",
        "P1",
        patches=[(flights.Flights, "follow", follows_anybody)],
    ),
    Mutant(
        "a rule's refresh skips what is being computed",
        "H8",
        "rule_refreshes",
        "P1",
        patches=[(refresh, "refresh", skips_if_leased)],
    ),
    Mutant(
        "a refused refresh leaves the old value",
        "H8",
        "rule_refreshes_for_long",
        "P1",
        patches=[(refresh, "drop_key", does_nothing)],
    ),
    Mutant(
        "a drop is announced before it is done",
        "H11",
        "memory_alternates_partition",
        "P2",
        AnnouncesFirst,
        patches=[(drop, "_drop_shared", drops_twice)],
    ),
    Mutant(
        "memory does not respect what was dropped since it asked",
        "H11",
        "memory_is_late_partition",
        "P2",
        patches=[(Place, "keep", takes_place_late)],
    ),
    Mutant(
        "a drop without an announcement is never noticed",
        "H12",
        "announcement_lost",
        "P2",
        patches=[(places, "RECHECK", 1e9)],
    ),
    Mutant(
        "a trimmed channel looks whole",
        "H13",
        "channel_trimmed",
        "P2",
        patches=[(channel, "_follows", ALWAYS)],
    ),
    Mutant(
        "a lost channel looks idle",
        "H13",
        "channel_lost",
        "P2",
        patches=[(Channel, "_accept", accepts_everything)],
    ),
    Mutant(
        "numbers of messages are compared without nonces",
        "H13",
        "channel_rolled_back",
        "P2",
        patches=[(Channel, "_accept", accepts_any_nonce)],
    ),
    Mutant(
        "memory survives the first position",
        "H14",
        "memory_before_channel_partition",
        "P2",
        patches=[
            (Channel, "poll", keeps_at_first_position),
            (Place, "trusted", property(ALWAYS, lambda *_: None)),
        ],
    ),
    Mutant(
        "trust counts from receipt",
        "H15",
        "memory_partition",
        "P2",
        patches=[(Channel, "poll", trusts_from_receipt)],
    ),
    Mutant(
        "memory outlives the trust in its channel",
        "H15",
        "memory_partition",
        "P2",
        patches=[(Channel, "trusted", ALWAYS)],
    ),
    Mutant(
        "memory takes over values with a full life",
        "H16",
        "life_in_memory",
        "P2",
        patches=[(examine, "remember", promotes_with_full_life)],
    ),
    Mutant(
        "a refused value enters memory",
        "H17",
        "memory_is_late_key",
        "P2",
        patches=[(fill, "_fill", keeps_refused)],
    ),
    Mutant(
        "nested computations wait for each other",
        "H18",
        "crossing_two processes",
        "P5",
        patches=[(lease, "holds_any", NEVER)],
    ),
    Mutant(
        "nested computations of one process wait for each other",
        "H18",
        "crossing_one process",
        "P5",
        patches=[(lease, "waiting", waits_anyway)],
    ),
    Mutant(
        "reads go before drops that are owed",
        "H19",
        "drop_without_link_partition",
        "P1",
        patches=[(outage.PendingDrops, "__bool__", NEVER)],
    ),
    Mutant(
        "a drop that fails is forgotten",
        "H19",
        "drop_without_link_key",
        "P1",
        patches=[(drop, "_drop_shared", forgets_failed_drop)],
    ),
    Mutant(
        "a refused drop is forgotten",
        "H21",
        "drop_refused_partition",
        "P1",
        patches=[(drop, "_drop_shared", forgets_failed_drop)],
    ),
    Mutant("a drop is acknowledged half done", "H22", "drop_two_partitions", "P1", DropsOnlyOne),
)

NOT_YET: Mapping[str, str] = {
    "H9": "at_most_once is not built yet: `atomic_writes` accepts at_least_once only",
    "H10": "tags are not built yet; stamps read at the fill are caught under H1",
    "H20": "strict failover and the replay journal are not built yet",
    "H23": "tags of results are not built yet",
    "H24": "dirty transactions and old snapshots are known to integrations, of which none is here",
    "H25": "the digest of the scopes is part of the key's text, which is made before the engine",
}
"""Holes without a mutant, and why."""
