"""What a simulated shared tier keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tiercel.contracts.claim import ClaimState
from tiercel.contracts.position import Announcement


class Cell(Struct, frozen=True):
    """What is stored under one name until `deadline` on the monotonic clock."""

    data: Any
    deadline: float


class Lease(Struct, frozen=True):
    """The right to fill one key under the stamps of `generation`, a fence at its end if any."""

    token: bytes
    generation: bytes
    waiters: tuple[str, ...] = ()


class Claim(Struct, frozen=True):
    """The only allowed computation of one key under the stamps of `generation`."""

    token: bytes
    generation: bytes
    state: ClaimState = ClaimState.RUNNING
    failure: str = ""


class Snapshot(Struct, frozen=True):
    """Everything a server would load after a failover."""

    cells: Mapping[str, Cell]
    stream: tuple[Announcement, ...]
