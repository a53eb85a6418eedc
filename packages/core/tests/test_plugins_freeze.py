"""What freezing makes of observers, integrations and key fields."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tiercel.errors import ConfigurationError, PluginBroken
from tiercel.plugins import Observers, Registry, discovery, hookimpl
from tiercel.spi import (
    SPI_VERSION,
    Backend,
    BackendSpec,
    Event,
    EventKind,
    Integration,
    IntegrationSpec,
    KeyFieldSpec,
    MemoryHit,
    Observer,
    ObserverSpec,
    Operation,
    OperationKind,
)

HIT = MemoryHit("default", "f")
EVENT = Event(EventKind.EVICTION, "default")
OPERATION = Operation(OperationKind.COMPUTE, "default")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry that finds no installed plugins."""
    nothing = SimpleNamespace(select=lambda group: ())
    monkeypatch.setattr(discovery, "entry_points", lambda: nothing)
    return Registry()


class Everything:
    """A plugin of every kind that acts unasked."""

    def __init__(
        self,
        observer: Callable[[], Any] = Observer,
        integration: Callable[[], Any] = Integration,
        name: str = "x",
    ) -> None:
        self.observer, self.integration, self.name = observer, integration, name

    @hookimpl
    def tiercel_observers(self) -> list[ObserverSpec]:
        return [ObserverSpec(self.name, self.observer, SPI_VERSION)]

    @hookimpl
    def tiercel_integrations(self) -> list[IntegrationSpec]:
        return [IntegrationSpec(self.name, self.integration, SPI_VERSION)]

    @hookimpl
    def tiercel_key_fields(self) -> list[KeyFieldSpec]:
        return [KeyFieldSpec(self.name, SPI_VERSION)]

    @hookimpl
    def tiercel_backends(self) -> list[BackendSpec]:
        return [BackendSpec(self.name, lambda location: Backend(), frozenset(), SPI_VERSION)]


class Recorder(Observer):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_memory_hit(self, hit: MemoryHit) -> None:
        self.seen.append(hit)

    def on_start(self, operation: Operation) -> str:
        self.seen.append("start")
        return "ticket"

    def on_end(self, operation: Operation, started: Any) -> None:
        self.seen.append(started)

    def on_event(self, event: Event) -> None:
        self.seen.append(event)


class Failing(Observer):
    def on_memory_hit(self, hit: MemoryHit) -> None:
        raise ValueError("hit")

    def on_start(self, operation: Operation) -> None:
        raise ValueError("start")

    def on_end(self, operation: Operation, started: Any) -> None:
        raise AssertionError("the end of what never started")

    def on_event(self, event: Event) -> None:
        raise ValueError("event")


def tell_everything(observers: Observers) -> None:
    observers.memory_hit(HIT)
    observers.end(OPERATION, observers.start(OPERATION))
    observers.event(EVENT)


def test_freeze_when_plugins_act_unasked_builds_them_by_name(registry: Registry) -> None:
    """Integrations and observers are built once; key fields stay specs."""
    registry.register(Everything())
    assert isinstance(registry.integrations["x"], Integration)
    assert registry.key_fields["x"].name == "x"
    assert registry.freeze() is registry.freeze()


def test_freeze_when_done_refuses_registrations(registry: Registry) -> None:
    """A plugin that comes late would be seen by some calls and not by others."""
    registry.freeze()
    with pytest.raises(ConfigurationError, match="Everything comes too late, plugins are frozen"):
        registry.register(Everything())


def test_freeze_when_done_cannot_be_changed(registry: Registry) -> None:
    """What freezing returns is immutable."""
    registry.register(Everything())
    with pytest.raises(TypeError):
        registry.integrations["y"] = Integration()  # type: ignore[index]


def test_freeze_when_done_calls_no_hook(registry: Registry) -> None:
    """Nothing that an application's call does reaches pluggy any more."""

    def refuse(*arguments: Any) -> None:
        raise AssertionError("a hook was called")

    recorder = Recorder()
    registry.register(Everything(observer=lambda: recorder))
    registry.backend("x")
    registry.freeze()
    registry._manager._pm._inner_hookexec = refuse  # type: ignore[assignment]
    tell_everything(registry.observers)
    assert len(recorder.seen) == 4
    assert registry.backend("x").name == "x"
    assert registry.dispatcher("inline").name == "inline"
    assert list(registry.integrations) == ["x"]


@pytest.mark.parametrize(
    ("plugin", "why"),
    [
        (Everything(observer=lambda: 1 / 0), "its factory failed: ZeroDivisionError"),
        (Everything(observer=dict), "its factory returned {}, which is no Observer"),
        (Everything(integration=dict), "its factory returned {}, which is no Integration"),
    ],
)
def test_freeze_when_a_factory_fails_leaves_that_plugin_out(
    registry: Registry, caplog: pytest.LogCaptureFixture, plugin: Everything, why: str
) -> None:
    """A plugin nobody asked for by name is logged, never raised."""
    registry.register(plugin)
    recorder = Recorder()
    registry.register(Everything(name="good", observer=lambda: recorder))
    tell_everything(registry.observers)
    assert len(recorder.seen) == 4
    (failure,) = registry.failures.values()
    assert isinstance(failure, PluginBroken)
    assert why in str(failure)
    assert f"left out: {failure}" in caplog.text


def test_freeze_when_a_plugin_uses_the_registry_while_loading_ends(registry: Registry) -> None:
    """An integration may use a cache in its factory without looping for ever."""
    seen = []

    def factory() -> Integration:
        seen.append(dict(registry.integrations))
        return Integration()

    registry.register(Everything(integration=factory))
    assert list(registry.integrations) == ["x"]
    assert seen == [{}]


def test_freeze_when_called_by_many_threads_builds_once(registry: Registry) -> None:
    """All threads get the same plugins."""
    built = []

    def factory() -> Integration:
        built.append(1)
        return Integration()

    registry.register(Everything(integration=factory))
    results: list[Any] = []
    start = threading.Barrier(8)

    def run() -> None:
        start.wait()
        results.append(registry.freeze())

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]
    assert len(set(map(id, results))) == 1


def test_observers_when_nothing_is_overridden_are_false(registry: Registry) -> None:
    """An observer without methods of its own costs nothing at all."""
    registry.register(Everything())
    assert not registry.observers
    assert registry.observers.on_memory_hit == ()
    assert registry.observers.on_start_end == ()
    assert registry.observers.on_event == ()


def test_observers_when_one_method_is_overridden_keep_only_that() -> None:
    """Methods that do nothing are left out, even when set on the instance."""

    class OnlyEnd(Observer):
        def on_end(self, operation: Operation, started: Any) -> None:
            pass

    by_hand = Observer()
    seen: list[Event] = []
    by_hand.on_event = seen.append  # type: ignore[method-assign, assignment]
    observers = Observers({"a": OnlyEnd(), "b": by_hand})
    assert observers
    assert len(observers.on_start_end) == 1
    assert observers.on_memory_hit == ()
    tell_everything(observers)
    assert seen == [EVENT]


def test_observers_when_told_hand_the_started_value_to_the_end() -> None:
    """What `on_start` returned reaches `on_end` of the same observer, in reverse order."""
    order: list[str] = []

    class Named(Observer):
        def __init__(self, name: str) -> None:
            self.name = name

        def on_start(self, operation: Operation) -> str:
            order.append(f"start {self.name}")
            return self.name

        def on_end(self, operation: Operation, started: Any) -> None:
            order.append(f"end {started}")

    observers = Observers({"a": Named("a"), "b": Named("b")})
    observers.end(OPERATION, observers.start(OPERATION))
    assert order == ["start a", "start b", "end b", "end a"]


def test_observers_when_one_fails_tell_the_others_and_log_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failing observer is reported once, and neither callers nor others notice."""
    recorder = Recorder()
    observers = Observers({"observer 'bad' (a-dist 1.0)": Failing(), "good": recorder})
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            tell_everything(observers)
    assert recorder.seen == [HIT, "start", "ticket", EVENT] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "observer 'bad' (a-dist 1.0) failed; its failures are not logged again"
    ]


def test_observers_when_interrupted_let_it_through() -> None:
    """Only errors are held back: an interrupt ends what it was meant to end."""

    class Interrupted(Observer):
        def on_event(self, event: Event) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Observers({"a": Interrupted()}).event(EVENT)
