"""Wrong variants of what is done when the shared tier comes back in an earlier state (H20)."""

from __future__ import annotations

from packages.core.tests.races.mutant import Mutant
from packages.core.tests.races.wrong_engines import (
    NEVER,
    begins_carelessly,
    does_nothing,
    notes_afterwards,
    owes_nothing_again,
    recalls_once,
)
from packages.core.tests.races.wrong_tiers import ReplaysInSilence
from tiercel.engine import channel, drop, lease, outage
from tiercel.engine.journal import Journal

FAILOVER_MUTANTS = (
    Mutant(
        "what was dropped lately is not dropped again",
        "H20",
        "failover_partition",
        "P1",
        patches=[(outage.PendingDrops, "owe_again", owes_nothing_again)],
    ),
    Mutant(
        "only drops of its own are dropped again",
        "H20",
        "failover_of_what_was_heard_partition",
        "P1",
        patches=[(Journal, "hear", does_nothing)],
    ),
    Mutant(
        "what was read while the store went back is served",
        "H20",
        "failover_partition",
        "P1",
        patches=[(outage.PendingDrops, "check", NEVER)],
    ),
    Mutant(
        "a drop is noted once it is acknowledged",
        "H20",
        "failover_key",
        "P1",
        patches=[(drop, "_drop_shared", notes_afterwards)],
    ),
    Mutant(
        "a lease that has come back is waited for",
        "H20",
        "failover_while_computing_partition",
        "P1",
        patches=[(lease, "begin", begins_carelessly)],
    ),
    Mutant(
        "what a refresh has replaced is not noted",
        "H20",
        "failover_after_refresh",
        "P1",
        patches=[(outage.PendingDrops, "note", does_nothing)],
    ),
    Mutant(
        "a channel that has gone back is taken for one with a gap",
        "H20",
        "failover_behind_a_proxy_partition",
        "P1",
        patches=[(channel, "_goes_back", NEVER)],
    ),
    Mutant(
        "nobody is told of what is dropped again",
        "H20",
        "failover_repaired_in_memory_partition",
        "P2",
        ReplaysInSilence,
    ),
    Mutant(
        "what was dropped again is forgotten",
        "H20",
        "failover_twice_key",
        "P1",
        patches=[(Journal, "recall", recalls_once)],
    ),
)
