"""Plugins that code registers, what they are told, and the registry of the process."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tiercel.errors import ConfigurationError, PluginBroken, PluginIncompatible
from tiercel.plugins import Registry, default_registry, discovery, hookimpl, set_default_registry
from tiercel.spi import SPI_VERSION, Backend, BackendSpec, CodecSpec


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry that finds no installed plugins."""
    nothing = SimpleNamespace(select=lambda group: ())
    monkeypatch.setattr(discovery, "entry_points", lambda: nothing)
    return Registry()


class Plugin:
    def __init__(self, name: str, spi: tuple[int, int] = SPI_VERSION) -> None:
        self.spec = BackendSpec(name, lambda location: Backend(), frozenset(), spi)

    @hookimpl
    def tiercel_backends(self) -> list[BackendSpec]:
        return [self.spec]


def test_register_when_given_an_object_provides_its_specs(registry: Registry) -> None:
    """Code may register plugins that no distribution brings."""
    plugin = Plugin("mine")
    registry.register(plugin)
    registry.register(plugin)
    assert registry.backend("mine") is plugin.spec


def test_register_when_the_name_is_registered_refuses_and_forgets(registry: Registry) -> None:
    """The second plugin of a name is refused as a whole; the first stays."""
    first = Plugin("mine")
    registry.register(first)
    with pytest.raises(PluginBroken, match="backend 'mine' is provided by"):
        registry.register(Plugin("mine"))
    assert registry.backend("mine") is first.spec


def test_register_when_it_takes_a_built_in_name_refuses(registry: Registry) -> None:
    """Core's own codecs cannot be replaced from outside."""

    class Rogue:
        @hookimpl
        def tiercel_codecs(self) -> list[CodecSpec]:
            return [CodecSpec("safe", lambda options: None, SPI_VERSION)]  # type: ignore[arg-type, return-value]

    with pytest.raises(PluginBroken, match="codec 'safe' is provided by tiercel"):
        registry.register(Rogue())


def test_register_when_given_a_class_asks_for_an_instance(registry: Registry) -> None:
    """Forgetting the parentheses is the commonest slip."""
    with pytest.raises(ConfigurationError, match="Plugin is a class: register an instance of it"):
        registry.register(Plugin)


def test_register_when_of_another_spi_refuses(registry: Registry) -> None:
    """What code registers is checked like what is installed."""
    with pytest.raises(PluginIncompatible, match=r"Plugin needs SPI 2\.0, tiercel .*speaks 1\.0"):
        registry.register(Plugin("mine", (2, 0)))


def test_register_when_given_a_module_without_hooks_refuses(registry: Registry) -> None:
    """A module with nothing marked is a mistake, not an empty plugin."""
    with pytest.raises(PluginBroken, match="module empty is not a valid plugin: no function"):
        registry.register(ModuleType("empty"))


def test_configured_when_a_plugin_fails_logs_which(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """A plugin that fails when told neither stops the others nor stays unnoticed."""

    class Broken(Plugin):
        @hookimpl
        def tiercel_configured(self) -> None:
            raise ValueError("not today")

    registry.register(Broken("broken"))
    registry.configured({})
    assert "Broken failed in tiercel_configured" in caplog.text
    assert "not today" in caplog.text


def test_default_registry_when_replaced_is_the_new_one(registry: Registry) -> None:
    """Tests swap the registry of the process and get a fresh one back."""
    set_default_registry(registry)
    try:
        assert default_registry() is registry
    finally:
        set_default_registry(None)
    fresh = default_registry()
    assert fresh is not registry
    assert default_registry() is fresh


def test_codec_when_asked_for_core_has_it(registry: Registry) -> None:
    """Built-in things are found like plugins, by kind and name."""
    assert registry.codec("safe").name == "safe"


def test_configured_when_told_reaches_every_plugin_that_listens(registry: Registry) -> None:
    """Each plugin is told of the caches, by name."""
    told: list[tuple[str, dict[str, Any]]] = []

    class Listener(Plugin):
        @hookimpl
        def tiercel_configured(self, caches: dict[str, Any]) -> None:
            told.append((self.spec.name, dict(caches)))

    for plugin in (Plugin("deaf"), Listener("one"), Listener("two")):
        registry.register(plugin)
    registry.configured({"default": "a cache"})
    assert told == [("one", {"default": "a cache"}), ("two", {"default": "a cache"})]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_default_registry_when_forked_while_in_use_works_in_the_child(registry: Registry) -> None:
    """A child never waits for a lock that some thread of its parent held."""
    registry.register(Plugin("mine"))
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with registry._lock:
            held.set()
            free.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    set_default_registry(registry)
    try:
        child = fork_and(lambda: default_registry().configured({}))
    finally:
        set_default_registry(None)
        free.set()
        holder.join()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def fork_and(act: Callable[[], object]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    return child
