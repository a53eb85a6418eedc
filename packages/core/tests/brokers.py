"""A broker in a list: messages wait until a test has them performed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from tiercel import Cache, CachedFunction
from tiercel.dispatch import refresh_task
from tiercel.plugins import Registry, hookimpl, set_default_registry
from tiercel.spi import (
    COMMON_OPTIONS,
    SPI_VERSION,
    DispatcherSpec,
    Integration,
    IntegrationSpec,
    Message,
    Observer,
    ObserverSpec,
    QueueDispatcher,
)

_serial = count(1)
_kept: list[object] = []
"""The functions of all tests: a worker finds living ones only."""


def made(
    function: Callable[..., Any], name: str = "", cache: Cache | None = None
) -> CachedFunction[..., Any, Any]:
    """Cache a function under a name of its own."""
    cached: Any = (cache or Cache()).cached(name=name or f"worker:f{next(_serial)}")(function)
    result: CachedFunction[..., Any, Any] = cached.cached_function
    _kept.append(result)
    return result


def message(of: CachedFunction[..., Any, Any], /, *args: Any, **changed: Any) -> str:
    """Return the text that refreshes a call, with some fields changed."""
    task = refresh_task(of.subject, of.call(args, {}))
    return json.dumps({**json.loads(task.to_json()), **changed})


class ListDispatcher(QueueDispatcher):
    """Keeps what is sent; fails while its broker is `down`."""

    name = "list"

    def __init__(self, broker: ListBroker, **options: Any) -> None:
        super().__init__(**options)
        self._broker = broker

    def send(self, message: Message) -> None:
        if self._broker.down:
            raise ConnectionError("no broker")
        self._broker.messages.append(message)

    def schedule(self, name: str, every: float, message: Message) -> bool:
        if self._broker.schedules is None:
            return False
        self._broker.schedules[name] = (every, message)
        return True


class ListBroker:
    """A plugin whose dispatcher `list` sends to this object.

    Attributes:
        messages: What was sent.
        schedules: What its scheduler does, by name; None: it has none.
        down: Whether it does not answer.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.schedules: dict[str, tuple[float, Message]] | None = None
        self.down = False

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.messages]

    def take(self, cache: Cache | None = None) -> str:
        """Take the only message, for the functions of a certain cache."""
        (message,) = self.messages
        self.messages.clear()
        return message.text if cache is None else addressed(message.text, cache)

    @hookimpl
    def tiercel_dispatchers(self) -> list[DispatcherSpec]:
        return [
            DispatcherSpec(
                "list",
                lambda options: ListDispatcher(self, **options),
                SPI_VERSION,
                COMMON_OPTIONS,
                crosses_processes=True,
            )
        ]


def addressed(text: str, cache: Cache) -> str:
    """Return a message for the function of that cache, as a worker with only this one finds it."""
    return json.dumps({**json.loads(text), "cache": cache.name})


class Integrations:
    """Provides one integration."""

    def __init__(self, integration: Integration) -> None:
        self._integration = integration

    @hookimpl
    def tiercel_integrations(self) -> list[IntegrationSpec]:
        return [IntegrationSpec(self._integration.name, lambda: self._integration, SPI_VERSION)]


class Observers:
    """Provides one observer."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    @hookimpl
    def tiercel_observers(self) -> list[ObserverSpec]:
        return [ObserverSpec("watching", lambda: self._observer, SPI_VERSION)]


@contextmanager
def plugged(
    *plugins: object, integration: Integration | None = None, observer: Observer | None = None
) -> Iterator[Registry]:
    """Have these plugins, and no others, while the block runs."""
    registry = Registry()
    for plugin in plugins:
        registry.register(plugin)
    if integration is not None:
        registry.register(Integrations(integration))
    if observer is not None:
        registry.register(Observers(observer))
    set_default_registry(registry)
    try:
        yield registry
    finally:
        set_default_registry(None)
