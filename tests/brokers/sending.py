"""What a dispatcher does while its broker does not answer: once, for every plugin."""

from __future__ import annotations

import multiprocessing
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from tests.brokers.fixtures import OwnQueue, QueueAt
from tiercel.spi import Message, QueueDispatcher, TaskKind
from tiercel.testing.proxy import TcpProxy
from tiercel.testing.servers import RedisServer

AT_ONCE = 0.5
"""Seconds within which a refused connection must be known; measured are 0.002 to 0.005."""

Make = Callable[..., Any]
"""Makes a dispatcher for the URL of a broker and a queue."""


def message(text: str = "{}", delay: float = 0.0) -> Message:
    """Return a message to send."""
    return Message(text, uuid.uuid4().hex, TaskKind.INVALIDATE, "shop:price", delay=delay)


class SendingTests(ABC):
    """A plugin's tests subclass this beside fixtures `make`, and those of `tests.brokers.fixtures`.

    Attributes:
        soon: Seconds within which a broker that does not answer must be given up.
        refusals: What is raised then says one of these.
        in_order: Whether what is sent last is last in the queue, whatever was refused before.
    """

    soon: ClassVar[float]
    refusals: ClassVar[str]
    in_order: ClassVar[bool] = True

    def expect_silence(self) -> None:
        """Called before anything is sent to a broker that will not answer."""

    def lose_patience(self) -> None:
        """Called once it does not answer."""

    @abstractmethod
    def send_when_asked_again(self, dispatcher: Any, text: str) -> None:
        """Send as soon as a broker that did not answer is asked again."""

    def refused(self, dispatcher: QueueDispatcher) -> float:
        """Return the seconds after which the dispatcher said that the broker took no message."""
        start = time.monotonic()
        with pytest.raises(Exception, match=self.refusals):
            dispatcher.send(message())
        return time.monotonic() - start

    def refused_at_best(self, dispatcher: QueueDispatcher) -> float:
        """Return the least of some tries; in the others the machine may have been busy."""
        return min(self.refused(dispatcher) for _ in range(4))

    def check_last(self, queue: OwnQueue, first: str | None = None) -> None:
        """Check that what was sent at the end has come, and what was sent at first is first."""
        texts = queue.texts()
        assert first in (None, texts[0])
        assert "after" in (texts[-1:] if self.in_order else texts)

    def test_rabbitmq_when_it_refuses_then_send_raises_at_once_and_recovers(
        self, proxy: TcpProxy, proxied: str, queue: OwnQueue, make: Make
    ) -> None:
        """A broker that is down costs milliseconds; once it is back, messages flow again."""
        dispatcher = make(proxied, queue)
        dispatcher.send(message("before"))
        proxy.cut()
        assert self.refused(dispatcher) < self.soon
        assert self.refused_at_best(dispatcher) < AT_ONCE
        proxy.heal()
        dispatcher.send(message("after"))
        assert queue.texts() == ["before", "after"]

    def test_rabbitmq_when_it_does_not_answer_then_only_the_first_waits(
        self, proxy: TcpProxy, proxied: str, queue: OwnQueue, make: Make
    ) -> None:
        """A message counts as sent only once confirmed; who comes later is not kept waiting."""
        self.expect_silence()
        dispatcher = make(proxied, queue)
        dispatcher.send(message("before"))
        proxy.stall()
        self.lose_patience()
        assert self.refused(dispatcher) < self.soon
        assert self.refused_at_best(dispatcher) < AT_ONCE
        proxy.heal()
        self.send_when_asked_again(dispatcher, "after")
        self.check_last(queue, first="before")

    def test_rabbitmq_when_a_connection_broke_unnoticed_then_no_message_is_lost(
        self, proxy: TcpProxy, proxied: str, queue: OwnQueue, make: Make
    ) -> None:
        """After a restart of the broker the first message does not vanish in a dead connection."""
        dispatcher = make(proxied, queue)
        for number in range(10):
            dispatcher.send(message(str(number)))
            proxy.cut()
            proxy.heal()
        assert set(queue.texts()) == {str(number) for number in range(10)}

    def test_redis_when_it_is_killed_then_send_raises_at_once_and_recovers(
        self, redis: RedisServer, queue_at: QueueAt, make: Make
    ) -> None:
        """The same on Redis."""
        queue = queue_at(redis.url)
        dispatcher = make(redis.url, queue)
        dispatcher.send(message())
        redis.kill()
        assert self.refused_at_best(dispatcher) < AT_ONCE
        redis.start()
        dispatcher.send(message("after"))
        assert queue.texts() == ["after"]

    def test_redis_when_it_does_not_answer_then_only_the_first_waits(
        self, redis: RedisServer, queue_at: QueueAt, make: Make
    ) -> None:
        """The same on a Redis that hangs, although its client waits for longer."""
        self.expect_silence()
        queue = queue_at(redis.url)
        dispatcher = make(redis.url, queue)
        dispatcher.send(message())
        redis.pause()
        self.lose_patience()
        assert self.refused(dispatcher) < self.soon
        assert self.refused_at_best(dispatcher) < AT_ONCE
        redis.resume()
        self.send_when_asked_again(dispatcher, "after")
        self.check_last(queue)

    def test_process_when_forked_then_parent_and_child_use_connections_of_their_own(
        self, url: str, queue: OwnQueue, make: Make
    ) -> None:
        """A server that forks after its first message mixes up no answers."""
        dispatcher = make(url, queue)
        dispatcher.send(message("parent"))
        children = [
            multiprocessing.get_context("fork").Process(target=_send_in_child, args=[dispatcher])
            for _ in range(3)
        ]
        for child in children:
            child.start()
            dispatcher.send(message("parent"))
        for child in children:
            child.join(90.0)
            assert child.exitcode == 0
        dispatcher.send(message("parent"))
        assert sorted(queue.texts()) == ["child"] * 3 + ["parent"] * 5


def _send_in_child(dispatcher: QueueDispatcher) -> None:
    dispatcher.send(message("child"))
