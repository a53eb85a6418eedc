"""Shared tiers that break the protocol, each in one way."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from tiercel.contracts.backend import (
    STAMP_BYTES,
    STAMPS_OFFSET,
    Begin,
    Begun,
    DropKey,
    DropScopes,
    Fill,
    Held,
    Key,
    Reading,
)
from tiercel.contracts.index import Index
from tiercel.contracts.overwrite import Overwrite
from tiercel.contracts.reversal import Replay
from tiercel.stamps import join_stamps
from tiercel.testing import SimulatedBackend


class MintsAtFill(SimulatedBackend):
    """Invents missing stamps for the reader, and stores them with the value if still missing."""

    def _mint(self, name: str, life: float) -> bytes:
        return self._get(f"stamp/{name}") or self._new_stamp()

    def _fill(self, command: Fill) -> bool:
        stamps = _stamps_of(command)
        for name, stamp in zip(command.key.scopes, stamps, strict=True):
            if self._get(f"stamp/{name}") is None:
                self._put(f"stamp/{name}", stamp, command.life)
        return super()._fill(command)


class CountsStamps(SimulatedBackend):
    """Counts drops instead of drawing stamps; a missing count is zero."""

    def _mint(self, name: str, life: float) -> bytes:
        return self._get(f"stamp/{name}") or bytes(16)

    def _reading(self, key: Key, tags: Sequence[str] = ()) -> Reading:
        reading = super()._reading(key, tags)
        return replace(reading, stamps=[stamp or bytes(16) for stamp in reading.stamps])

    def _dropscopes(self, command: DropScopes) -> None:
        for scope in command.scopes:
            count = int.from_bytes(self._mint(scope.name, 0.0), "big") + 1
            self._put(f"stamp/{scope.name}", count.to_bytes(16, "big"), command.life)


class StampsAtFill(SimulatedBackend):
    """Stores a value under the stamps in force at the fill, not under those it was computed in."""

    def _fill(self, command: Fill) -> bool:
        minted = (self._mint(name, command.life) for name in command.key.scopes)
        stamps = b"".join(stamp[:STAMP_BYTES] for stamp in minted)
        end = STAMPS_OFFSET + len(stamps)
        payload = command.payload[:STAMPS_OFFSET] + stamps + command.payload[end:]
        return super()._fill(replace(command, payload=payload))


class OverwritesBlindly(SimulatedBackend):
    """Stores what a refresh or a caller's own value brings, whoever holds the lease by then."""

    def _fill(self, command: Fill) -> bool:
        if command.announce:
            self._put(f"value/{command.key.text}", command.payload, command.life)
        return super()._fill(command) or command.announce


class LeavesTheLease(SimulatedBackend):
    """Stores a caller's own value, and lets whoever is computing store another over it."""

    def _overwrite(self, command: Overwrite) -> bool:
        lease = self._cells.get(f"lease/{command.key.text}")
        stored = super()._overwrite(command)
        if stored and lease is not None:
            self._cells[f"lease/{command.key.text}"] = lease
        return stored


class OverwritesInSilence(SimulatedBackend):
    """Stores a caller's own value, and tells nobody who holds the one before in memory."""

    def _overwrite(self, command: Overwrite) -> bool:
        told = self._stream
        stored = super()._overwrite(command)
        self._stream = told
        return stored


class FillsWithoutLease(SimulatedBackend):
    """Takes a missing lease for permission."""

    def _holds(self, key: Key, token: bytes) -> bool:
        return self._lease(key) is None or super()._holds(key, token)


class ClaimsForTheLease(SimulatedBackend):
    """Ends a claim with the lease of a holder who is silent."""

    def _begin(self, command: Begin) -> Begun:
        return super()._begin(replace(command, claim=min(command.claim, command.lease)))


class ForgetsWhoFilled(SimulatedBackend):
    """Ends a claim when its value is stored."""

    def _fill(self, command: Fill) -> bool:
        self._cells.pop(f"claim/{command.key.text}", None)
        return super()._fill(command)


class KeepsLease(SimulatedBackend):
    """Drops the value of a key but not its lease."""

    def _dropkey(self, command: DropKey) -> bool:
        self._cells.pop(f"value/{command.key.text}", None)
        self._announce((command.key.text,))
        return True


class LooksOnlyOnce(SimulatedBackend):
    """Grants a lease without looking whether the value is there by now."""

    def _is_current(self, key: Key, stamps: Sequence[bytes], floor: float) -> bool:
        return False


class GrantsTwice(SimulatedBackend):
    """Grants a lease although somebody holds it."""

    def _begin(self, command: Begin) -> Begun:
        self._cells.pop(f"lease/{command.key.text}", None)
        return super()._begin(command)


class IgnoresGeneration(SimulatedBackend):
    """Has callers wait for a lease that was taken before a partition or function was dropped."""

    def _begin(self, command: Begin) -> Begun:
        held = self._lease(command.key)
        stamps = [self._mint(name, command.stamp_life) for name in command.key.scopes]
        if held is not None and not command.force and held.generation != join_stamps(stamps):
            return Held(held.token, stamps, self._remaining(f"lease/{command.key.text}"))
        return super()._begin(command)


class HasNoFence(SimulatedBackend):
    """Lets everybody fill who holds the lease, also after a drop of what was found."""

    def _admits(self, index: Index, key: Key) -> bool:
        return True


class IgnoresTheFence(SimulatedBackend):
    """Has callers wait for who has begun before a drop of what was found."""

    def _begin(self, command: Begin) -> Begun:
        lease = self._lease(command.key)
        if lease is not None and command.index is not None and not command.force:
            stamps = [self._mint(name, command.stamp_life) for name in command.key.scopes]
            if lease.generation.startswith(join_stamps(stamps) or b""):
                return Held(lease.token, stamps, self._remaining(f"lease/{command.key.text}"))
        return super()._begin(command)


class WakesNobody(SimulatedBackend):
    """Ends a lease without waking those who wait for it."""

    def _end_lease(self, key: Key) -> None:
        self._cells.pop(f"lease/{key.text}", None)


class AnnouncesFirst(SimulatedBackend):
    """Announces a drop in one step and carries it out in the next."""

    def _dropscopes(self, command: DropScopes) -> None:
        if not command.scopes:
            super()._dropscopes(command)
        elif self._get("announced") is None:
            self._put("announced", True, command.life)
            self._announce(tuple(scope.name for scope in command.scopes))
        else:
            self._cells.pop("announced")
            for scope in command.scopes:
                self._put(f"stamp/{scope.name}", self._new_stamp(), command.life)


class ReplaysInSilence(SimulatedBackend):
    """Drops again what was dropped lately, without an announcement."""

    def _replay(self, command: Replay) -> None:
        stream = self._stream
        super()._replay(command)
        self._stream = stream


class DropsOnlyOne(SimulatedBackend):
    """Acknowledges a drop after the first of its scopes."""

    def _dropscopes(self, command: DropScopes) -> None:
        super()._dropscopes(replace(command, scopes=command.scopes[:1]))


def _stamps_of(command: Fill) -> list[bytes]:
    ends = range(STAMPS_OFFSET, STAMPS_OFFSET + 16 * len(command.key.scopes), 16)
    return [command.payload[start : start + 16] for start in ends]
