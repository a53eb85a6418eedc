"""Which server of a Cluster answers for each hash tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from redis.exceptions import InvalidResponse

from tiercel_redis.decoding import an
from tiercel_redis.names import SLOTS
from tiercel_redis.options import Address
from tiercel_redis.resp import pack

CLUSTER_SLOTS = pack("CLUSTER", "SLOTS")


class Topology:
    """The owners of the 16 slots in use; learned from any node, corrected by redirections."""

    def __init__(self, seeds: Sequence[Address]) -> None:
        self._seeds = tuple(seeds)
        self._owners: dict[int, Address] = {}

    @property
    def known(self) -> bool:
        """Whether every tag has an owner."""
        return len(self._owners) == len(SLOTS)

    def owner(self, tag: int) -> Address:
        """Return the node that serves a tag."""
        return self._owners[tag]

    def nodes(self) -> list[Address]:
        """Return every node that serves a tag."""
        return list(dict.fromkeys(self._owners.values()))

    def candidates(self) -> list[Address]:
        """Return the nodes to ask for the map: those of the last one, then the seeds."""
        return list(dict.fromkeys((*self._owners.values(), *self._seeds)))

    def move(self, slot: int, node: Address) -> None:
        """Note that a node has taken a slot over."""
        for tag, candidate in enumerate(SLOTS):
            if candidate == slot:
                self._owners = self._owners | {tag: node}

    def learn(self, replies: Sequence[Any], asked: Address) -> bool:
        """Take over the reply to `CLUSTER SLOTS`; returns whether it covers every tag."""
        owners = {}
        for first, last, (host, port, *_), *_ in an(list, replies[0]):
            for tag, slot in enumerate(SLOTS):
                if first <= slot <= last:
                    # A node that does not know its own name leaves the host empty.
                    owners[tag] = ((host or b"").decode() or asked[0], _checked(port))
        if len(owners) < len(SLOTS):
            return False
        self._owners = owners
        return True


def _checked(port: Any) -> int:
    if not 0 < an(int, port) < 65_536:
        raise InvalidResponse(f"no server listens on port {port}")
    return cast("int", port)
