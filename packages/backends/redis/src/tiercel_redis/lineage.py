"""Which past a server has: whether it may have lost writes that it had acknowledged.

A server draws a new `master_replid` when it starts and when it takes over from another, and names
the one before as `master_replid2`. Each new connection asks for them, before anything else is sent
over it: after a restart or a failover there is no other way to the server than a new connection.
The exception is a replica of a Cluster that was talked to before it was promoted.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, Final

from redis.exceptions import InvalidResponse, ResponseError

from tiercel_redis.failures import serves
from tiercel_redis.options import Address

QUESTION: Final = ("INFO", "replication")

_IDS = re.compile(rb"^(master_replid2?):([0-9a-f]{40})", re.MULTILINE)


class Lineages:
    """The pasts of all servers that a backend talks to, as far as it knows them.

    Args:
        reverted: Called when one of them has another past than before.
    """

    def __init__(self, reverted: Callable[[], object]) -> None:
        self._reverted = reverted
        self._known: dict[Address | None, bytes] = {}
        self.renew_after_fork()

    def ask(self, node: Address | None, connection: Any) -> None:
        """Learn a server's past over a new connection of redis-py's.

        Raises:
            RedisError, OSError: The connection broke, or the server does not serve now.
        """
        connection.send_command(*QUESTION)
        try:
            self.note(node, connection.read_response())
        except ResponseError as error:
            self._go_without(error)

    async def aask(self, node: Address | None, connection: Any) -> None:
        """The twin of `ask`."""
        await connection.send_command(*QUESTION)
        try:
            self.note(node, await connection.read_response())
        except ResponseError as error:
            self._go_without(error)

    def _go_without(self, error: ResponseError) -> None:
        """Let a server pass that does not tell: the push channel shows most of it, too."""
        if not serves(error):
            raise error

    def note(self, node: Address | None, said: bytes | str) -> None:
        """Compare what a server says of itself with what was known, and remember it.

        A server of a Cluster that is new here has the past of one that is known if it took over
        from that one.

        Raises:
            InvalidResponse: What it said is no text, so this is no Redis.
        """
        if not isinstance(said, (bytes, str)):
            raise InvalidResponse(f"INFO was answered by {said!r:.40}")
        found = dict(_IDS.findall(said.encode() if isinstance(said, str) else said))
        now, before = found.get(b"master_replid"), found.get(b"master_replid2")
        if now is None:
            return
        with self._lock:
            known = self._known
            if now not in known.values() and (node in known or before in known.values()):
                self._reverted()
            known[node] = now

    def renew_after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may have held."""
        self._lock = threading.Lock()
