"""Input and output for asyncio: concurrent tasks of a loop share one connection to each server.

What they ask for during one tick of the loop goes out in one write. A task of its own, the pump,
reads the replies in order, so a caller that is cancelled leaves nothing behind that another could
take for its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from redis.exceptions import ConnectionError as LostError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as SlowError

from tiercel_redis.conductor import Node, Outcome, Shipment, Step, Steps
from tiercel_redis.connections import ASYNCIO, open_pool
from tiercel_redis.failures import TRANSPORT_ERRORS, is_lost, is_useless
from tiercel_redis.options import Settings

Waiting = tuple[bytes, int, "asyncio.Future[Sequence[Any]]"]


class Link:
    """The shared connection from one event loop to one server, and others for long waits."""

    def __init__(self, settings: Settings, node: Node, ended: Callable[[], object]) -> None:
        # The pump keeps the time: a timer per batch is cheaper than one per read and write.
        self._timeout = settings.timeout
        self._pool = open_pool(ASYNCIO, settings, node, socket_timeout=None)
        # Their connections would otherwise stay open.
        self._sentinels: list[Any] = (
            self._pool.sentinel_manager.sentinels if settings.mode == "sentinel" else []
        )
        self._loop = asyncio.get_running_loop()
        self._queue: list[Waiting] = []
        self._wake: asyncio.Future[None] | None = None
        self._idle: list[Any] = []
        self._ended = ended
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False
        self._alone = False
        self._pump = self._loop.create_task(self._run(), name="tiercel-redis")

    def _submit(self, data: bytes, replies: int) -> asyncio.Future[Sequence[Any]]:
        """Queue packed commands; the future brings the replies, errors among them as values."""
        future: asyncio.Future[Sequence[Any]] = self._loop.create_future()
        self._queue.append((data, replies, future))
        wake = self._wake
        if wake is not None:
            self._wake = None
            if not wake.done():
                wake.set_result(None)
        return future

    async def exchange(self, data: bytes, replies: int, wait: float = 0.0) -> Sequence[Any]:
        """Send packed commands and return their replies, errors among them as values.

        A caller that is alone, or lets the server wait, uses a connection by itself: that spares
        it two turns of the loop, there and back. All others share one.

        Raises:
            RedisError: The connection broke or was too slow; it is closed then.
        """
        if wait:
            return await self._exchange_alone(data, replies, wait)
        if self._alone or self._wake is None:
            return await self._submit(data, replies)
        self._alone = True
        try:
            return await self._exchange_alone(data, replies, 0.0)
        finally:
            self._alone = False

    async def _exchange_alone(self, data: bytes, replies: int, wait: float) -> Sequence[Any]:
        async with asyncio.timeout(wait + self._timeout):
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                await connection.send_packed_command((data,), check_health=False)
                answers = await _receive(connection, replies)
            except BaseException as error:
                await connection.disconnect(nowait=True)
                if is_lost(error):
                    await self._disconnect_idle()
                raise
        self._idle.append(connection)
        if is_useless(answers):
            await self._disconnect_idle()
        return answers

    async def _disconnect_idle(self) -> None:
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)

    async def close(self) -> None:
        """Close every connection; what is still waiting fails."""
        self._pump.cancel()
        with suppress(asyncio.CancelledError):
            await self._pump
        await self._disconnect_idle()

    async def _run(self) -> NoReturn:
        connection: Any = None
        batch: list[Waiting] = []
        try:
            while True:
                if not self._queue:
                    self._wake = self._loop.create_future()
                    await self._wake
                batch, self._queue = self._queue, []
                self._watch()
                useful = False
                try:
                    if connection is None:
                        connection = await self._connect()
                    useful = await _exchange(connection, batch)
                except TRANSPORT_ERRORS as error:
                    self._fail(batch, error)
                except asyncio.CancelledError:
                    if not self._expired:
                        raise
                    self._expired = False
                    self._pump.uncancel()
                    self._fail(batch, SlowError("no reply in time"))
                self._due = None
                if not useful and connection is not None:
                    await connection.disconnect(nowait=True)
                    connection = None
        finally:
            # The end of `asyncio.run` comes by here too, where nobody has called `close`.
            self._fail(batch, LostError("the connection is closed"))
            if connection is not None:
                self._idle.append(connection)
            await self._end()

    async def _end(self) -> None:
        self._ended()
        if self._timer is not None:
            self._timer.cancel()
        await self._disconnect_idle()
        for sentinel in self._sentinels:
            await sentinel.aclose()

    def _watch(self) -> None:
        """See to it that a batch ends in time; one timer serves many batches."""
        self._due = self._loop.time() + self._timeout
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._check)

    def _check(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._check)
        else:
            self._expired = True
            self._pump.cancel()

    def _fail(self, batch: Sequence[Waiting], error: Exception) -> None:
        """Fail a batch, and what was queued meanwhile: it must not wait for two limits."""
        queued, self._queue = self._queue, []
        for _, _, future in (*batch, *queued):
            if not future.done():
                future.set_exception(error)

    async def _connect(self) -> Any:
        connection = self._pool.make_connection()
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection


async def _exchange(connection: Any, batch: Sequence[Waiting]) -> bool:
    """Send a batch in one write and resolve its futures; tells whether the server takes writes."""
    await connection.send_packed_command([data for data, _, _ in batch], check_health=False)
    useful = True
    for _, replies, future in batch:
        answers = await _receive(connection, replies)
        useful = useful and not is_useless(answers)
        if not future.done():
            future.set_result(answers)
    return useful


async def _receive(connection: Any, replies: int) -> Sequence[Any]:
    answers: list[Any] = []
    while len(answers) < replies:
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            answers.append(error)
    return answers


class Links:
    """All links of one backend, by event loop and server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
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
            link = links[node] = Link(self._settings, node, partial(links.pop, node, None))
        return link

    async def drive(self, steps: Steps) -> Any:
        """Do what the conductor says until there is a reply."""
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._perform(step))
        except StopIteration as end:
            return end.value

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
