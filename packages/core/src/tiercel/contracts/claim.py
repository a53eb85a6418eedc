"""What stands in the way of a computation that is allowed only once."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class ClaimState(StrEnum):
    """Why a claim stands in the way of a computation."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNSAFE = "unsafe"


class Spent(Struct, frozen=True, gc=False):
    """Nobody may compute: the only allowed computation of this generation has begun before.

    Attributes:
        state: `RUNNING`: its lease has expired, so its holder is taken for dead; `DONE`: it ended,
            but its value is gone; `FAILED`: it raised; `UNSAFE`: the store may lose claims, so it
            takes none.
        detail: Of a failure the type of the error; of an unsafe store what is wrong with it.
    """

    state: ClaimState
    detail: str = ""
