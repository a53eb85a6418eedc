"""What tests of rules need: rows, a queue whose worker is this process, and plugins around them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from packages.core.tests.stages import Stage
from tiercel import ArgsKeyField, Cache, ConfigurationError, InvalidationRule
from tiercel.plugins import Registry, hookimpl, set_default_registry
from tiercel.spi import (
    COMMON_OPTIONS,
    SPI_VERSION,
    Change,
    ChangeKind,
    DispatcherSpec,
    Integration,
    IntegrationSpec,
    Message,
    Observer,
    ObserverSpec,
    Operation,
    OperationKind,
    QueueDispatcher,
    Work,
    perform_message,
    plan,
)


@dataclass
class Customer:
    """A row that others refer to."""

    id: int
    name: str = "Ann"


@dataclass
class Order:
    """A row."""

    id: int = 1
    owner: int | None = 1
    status: str = "new"
    total: int = 10
    customer: Customer | None = None


OWNED = {"user": ArgsKeyField("user_id", partition=True), "page": ArgsKeyField("page")}


def listing(user_id: int, page: int = 1) -> str:
    """What `OWNED` is the key of."""
    return f"{user_id}/{page}"


def decorate(function: Callable[..., Any] = listing, *, key: Any = OWNED, **rule: Any) -> Any:
    """Decorate with one rule on orders."""
    rules = [InvalidationRule(rule.pop("model", Order), **rule)]
    return Cache().cached(key=key, name="app:f", invalidates_on=rules)(function)


def refusal(make: Callable[[], object]) -> str:
    """Return the message of the error that something is refused with."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    return str(caught.value)


def created(row: Any, **more: Any) -> Change:
    """Return the change that a new row is."""
    return Change(source=type(row), kind=ChangeKind.CREATED, new=row, **more)


def updated(old: Any, new: Any, **more: Any) -> Change:
    """Return the change from one row to another."""
    return Change(source=type(new or old), kind=ChangeKind.UPDATED, old=old, new=new, **more)


def deleted(row: Any, **more: Any) -> Change:
    """Return the change that the end of a row is."""
    return Change(source=type(row), kind=ChangeKind.DELETED, old=row, **more)


class Desk(QueueDispatcher):
    """A queue in a list: what is sent waits until `work` is called."""

    name = "desk"

    def __init__(self, made: list[Desk], **common: Any) -> None:
        super().__init__(**common)
        self.messages: list[Message] = []
        self.broken = False
        made.append(self)

    def send(self, message: Message) -> None:
        if self.broken:
            raise ConnectionError("the broker is down")
        self.messages.append(message)

    def work(self, **instead: Any) -> int:
        """Perform all messages as a worker would, in which some fields may be others."""
        messages, self.messages = self.messages, []
        for message in messages:
            perform_message(json.dumps(json.loads(message.text) | instead))
        return len(messages)


class Recorder(Observer):
    """Keeps the operations that it is told of."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def on_start(self, operation: Operation) -> None:
        self.operations.append(operation)

    def drops(self) -> list[tuple[Any, ...]]:
        """Return of each drop the rule, the source, and how many scopes it had."""
        drops = [each for each in self.operations if each.kind is OperationKind.DROP]
        about = [each.attributes or {} for each in drops]
        return [(a.get("rule"), a.get("source"), len(a.get("scopes", ()))) for a in about]


class Surroundings:
    """The plugins of one test.

    Attributes:
        desks: The queues that were made, the last one last.
        recorder: What was observed, by caches that were made in the test.
        integration: Its methods may be replaced.
    """

    def __init__(self) -> None:
        self.desks: list[Desk] = []
        self.recorder = Recorder()
        self.integration = Integration()
        self.integration.name = "ours"

    @property
    def desk(self) -> Desk:
        """The queue that was made last."""
        return self.desks[-1]

    @hookimpl
    def tiercel_dispatchers(self) -> list[DispatcherSpec]:
        def make(options: Any) -> Desk:
            return Desk(self.desks, **options)

        return [DispatcherSpec("desk", make, SPI_VERSION, COMMON_OPTIONS, crosses_processes=True)]

    @hookimpl
    def tiercel_observers(self) -> list[ObserverSpec]:
        return [ObserverSpec("recorder", lambda: self.recorder, SPI_VERSION)]

    @hookimpl
    def tiercel_integrations(self) -> list[IntegrationSpec]:
        return [IntegrationSpec("ours", lambda: self.integration, SPI_VERSION)]


@contextmanager
def surroundings() -> Iterator[Surroundings]:
    """Give a test its plugins."""
    made = Surroundings()
    registry = Registry()
    registry.register(made)
    set_default_registry(registry)
    yield made
    set_default_registry(None)


@contextmanager
def half_imported(name: str) -> Iterator[Any]:
    """Give a module whose import has begun and not ended; it is removed afterwards."""
    module: Any = ModuleType(name)
    module.__spec__ = SimpleNamespace(_initializing=True)
    sys.modules[name] = module
    try:
        yield module
    finally:
        del sys.modules[name]


# Functions by user


USER = {"user": ArgsKeyField("user_id", partition=True)}
USERS = range(1, 6)
BULK = Change(source=Order, kind=ChangeKind.UPDATED, bulk=True)


def listen(stage: Stage, *rules: InvalidationRule, name: str | None = None, **rule: Any) -> Any:
    """Return a filled function with one rule, or with these."""
    options = {"field_mapping": {"user_id": "owner"}, **rule}
    if "invalidator" in options:
        del options["field_mapping"]
    given = list(rules) or [InvalidationRule(Order, **options)]
    more = {"name": name} if name else {}
    function = stage.cached(key=USER, invalidates_on=given, **more)(lambda user_id: user_id)
    fill(function)
    return function


def fill(function: Any) -> None:
    """Have an entry for each user."""
    for user in USERS:
        function(user)


def live(function: Any) -> list[int]:
    """Return the users whose entries are there."""
    return [user for user in USERS if function.get_cached_metadata(user) is not None]


def save(*owners: int | None) -> tuple[Work, ...]:
    """Return the works of a transaction that saves one row for each of these owners."""
    works: list[Work] = []
    for number, owner in enumerate(owners):
        works += plan(updated(Order(id=number, owner=owner), Order(id=number, owner=owner)))
    return tuple(works)


def fail(wrapper: Any, instance: Any) -> None:
    """Raise."""
    raise KeyError("from the invalidator")
