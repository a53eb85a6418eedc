"""Input and output for asyncio: concurrent tasks of a loop share one connection to each server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from redis.exceptions import ConnectionError as LostError
from redis.exceptions import TimeoutError as SlowError

from tiercel_redis.conductor import Node, Outcome, Shipment, Step, Steps
from tiercel_redis.connections import ASYNCIO, open_pool
from tiercel_redis.failures import TRANSPORT_ERRORS, Misunderstood
from tiercel_redis.lineage import Lineages
from tiercel_redis.options import Settings
from tiercel_redis.pipes import Answers, Pipe


class Link:
    """The connections from one event loop to one server: one for all, others for long waits."""

    def __init__(
        self, settings: Settings, node: Node, lineages: Lineages, ended: Callable[[], object]
    ) -> None:
        self._timeout = settings.timeout
        self._node = node
        self._lineages = lineages
        self._pool = open_pool(ASYNCIO, settings, node)
        # Their connections would otherwise stay open.
        self._sentinels: list[Any] = (
            self._pool.sentinel_manager.sentinels if settings.mode == "sentinel" else []
        )
        self._loop = asyncio.get_running_loop()
        self._shared: Pipe | None = None
        self._idle: list[Pipe] = []
        self._queue: list[tuple[bytes, int, Answers, float]] = []
        self._opening: asyncio.Task[None] | None = None
        self._ended = ended
        self._guard = self._loop.create_task(self._last(), name="tiercel-redis")

    async def exchange(self, data: bytes, replies: int, wait: float = 0.0) -> Sequence[Any]:
        """Send packed commands and return their replies, errors among them as values.

        Raises:
            RedisError: The connection broke or was too slow; it is closed then.
        """
        if wait:
            return await self._exchange_alone(data, replies, wait)
        answers: Answers = self._loop.create_future()
        deadline = self._loop.time() + self._timeout
        if self._shared is not None and self._shared.usable:
            self._shared.ask(data, replies, answers, deadline)
        else:
            self._queue.append((data, replies, answers, deadline))
            if self._opening is None:
                self._opening = self._loop.create_task(self._open())
        return await answers

    async def _exchange_alone(self, data: bytes, replies: int, wait: float) -> Sequence[Any]:
        pipe = self._idle.pop() if self._idle else await self._connect()
        answers: Answers = self._loop.create_future()
        pipe.ask(data, replies, answers, self._loop.time() + wait + self._timeout)
        try:
            return await answers
        except asyncio.CancelledError:
            pipe.close(LostError("nobody waits for the reply"))
            raise
        finally:
            if pipe.usable:
                self._idle.append(pipe)

    async def close(self) -> None:
        """Close every connection; what is still waiting fails."""
        self._guard.cancel()
        with suppress(asyncio.CancelledError):
            await self._guard

    async def _open(self) -> None:
        """Open the shared connection, and ask what was queued meanwhile."""
        failed: Exception = LostError("the connection is closed")
        try:
            pipe = self._shared = await self._connect()
            queue, self._queue = self._queue, []
            for data, replies, answers, deadline in queue:
                if not answers.done():  # its caller was cancelled
                    pipe.ask(data, replies, answers, deadline)
        except Exception as error:  # whoever asked is told, whatever it is
            failed = error
        finally:
            self._opening = None
            self._fail(failed)

    def _fail(self, error: Exception) -> None:
        queue, self._queue = self._queue, []
        for _, _, answers, _ in queue:
            if not answers.done():
                answers.set_exception(error)

    async def _connect(self) -> Pipe:
        connection = self._pool.make_connection()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
                await self._lineages.aask(self._node, connection)
            return Pipe(connection)
        except TimeoutError:
            await connection.disconnect(nowait=True)
            raise SlowError("no connection in time") from None
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    async def _last(self) -> None:
        """Wait for the end, be it `close` or that of the loop, and close everything then."""
        try:
            await self._loop.create_future()
        finally:
            self._ended()
            if self._opening is not None:
                self._opening.cancel()
            closed = LostError("the connection is closed")
            self._fail(closed)
            for pipe in (*self._idle, *filter(None, [self._shared])):
                pipe.close(closed)
            for sentinel in self._sentinels:
                await sentinel.aclose()


class Links:
    """All links of one backend, by event loop and server."""

    def __init__(self, settings: Settings, lineages: Lineages) -> None:
        self._settings = settings
        self._lineages = lineages
        self._loops: dict[asyncio.AbstractEventLoop, dict[Node, Link]] = {}

    def link(self, node: Node) -> Link:
        """Return the running loop's link to a server."""
        loop = asyncio.get_running_loop()
        links = self._loops.get(loop)
        if links is None:
            self._loops = {loop: {}} | {
                other: links for other, links in self._loops.items() if not other.is_closed()
            }
            links = self._loops[loop]
        link = links.get(node)
        if link is None:
            ended = partial(links.pop, node, None)
            link = links[node] = Link(self._settings, node, self._lineages, ended)
        return link

    async def drive(self, steps: Steps) -> Any:
        """Do what the conductor says until there is a reply."""
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._perform(step))
        except StopIteration as end:
            return end.value
        except Misunderstood:
            await self.close()
            raise

    async def _perform(self, step: Step) -> Sequence[Outcome]:
        if step.pause:
            await asyncio.sleep(step.pause)
        return await asyncio.gather(*[self._exchange(shipment) for shipment in step.shipments])

    async def _exchange(self, shipment: Shipment) -> Outcome:
        link = self.link(shipment.node)
        try:
            return await link.exchange(shipment.data, shipment.replies, shipment.wait)
        except TRANSPORT_ERRORS as error:
            return error

    async def close(self) -> None:
        """Close the connections of the running loop."""
        links = self._loops.get(asyncio.get_running_loop(), {})
        for link in list(links.values()):
            await link.close()

    def forget(self) -> None:
        """Begin anew in a child process.

        The links are kept, unused: closing them would take the parent's sockets out of the
        selector that both processes share.
        """
        _INHERITED.append(self._loops)
        self._loops = {}


_INHERITED: list[Any] = []
