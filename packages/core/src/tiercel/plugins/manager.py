"""The only module that calls pluggy: a typed method for every hook, one plugin at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import pluggy

from tiercel.contracts.version import SPI_VERSION
from tiercel.plugins import failures, hookspecs
from tiercel.plugins.kinds import KINDS, Kind, SpecT


class HookManager:
    """Registers plugins and calls their hooks.

    With `TIERCEL_TRACE_PLUGINS` set, registrations and what hooks returned are written to
    standard error.
    """

    def __init__(self) -> None:
        self._pm = pluggy.PluginManager(hookspecs.PROJECT)
        self._pm.add_hookspecs(hookspecs)
        self._subjects: dict[int, str] = {}
        self._specs: dict[tuple[int, str], list[Any]] = {}
        self.trace = self._pm.trace.root.get("tiercel")
        if os.environ.get("TIERCEL_TRACE_PLUGINS", "0") not in ("", "0"):
            self._pm.trace.root.setwriter(sys.stderr.write)

    def __contains__(self, plugin: object) -> bool:
        return id(plugin) in self._subjects

    def add(self, plugin: object, subject: str) -> None:
        """Register a plugin, unless it is registered already.

        Args:
            plugin: A module or an object with marked functions.
            subject: How messages speak of it.

        Raises:
            PluginBroken: A hook is misspelt, takes arguments that it is not given, or there is
                none at all.
        """
        if plugin in self:
            return
        name = f"{getattr(plugin, '__name__', type(plugin).__name__)}-{id(plugin):x}"
        try:
            self._pm.register(plugin, name)
            self._pm.check_pending()
        except pluggy.PluginValidationError as error:
            if self._pm.has_plugin(name):
                self._pm.unregister(name=name)
            raise failures.invalid(subject, f"{_explain(error)} (SPI {_SPI})") from error
        if not self._pm.get_hookcallers(plugin):
            self._pm.unregister(name=name)
            raise failures.invalid(subject, "no function is marked with tiercel.spi.hookimpl")
        self._subjects[id(plugin)] = subject
        self.trace("registered", subject)

    def remove(self, plugin: object) -> None:
        """Forget a registered plugin."""
        del self._subjects[id(plugin)]
        for kind in KINDS:
            self._specs.pop((id(plugin), kind.name), None)
        self._pm.unregister(plugin)

    def specs(self, plugin: object, kind: Kind[SpecT]) -> list[SpecT]:
        """Return what a registered plugin provides of one kind; its hook is called once.

        Raises:
            PluginBroken: The hook failed, or returned anything but differently named specs.
        """
        key = id(plugin), kind.name
        if key not in self._specs:
            self._specs[key] = self._provided(plugin, kind)
        return self._specs[key]

    def configured(self, plugin: object, caches: Mapping[str, Any]) -> None:
        """Tell one registered plugin that the caches are configured; raises what it raises."""
        self._call(plugin, "tiercel_configured", caches=caches)

    def plugins(self) -> list[tuple[object, str]]:
        """Return every registered plugin with its subject, in the order of registration."""
        return [(plugin, self._subjects[id(plugin)]) for _, plugin in self._pm.list_name_plugin()]

    def _provided(self, plugin: object, kind: Kind[SpecT]) -> list[SpecT]:
        subject = self._subjects[id(plugin)]
        try:
            provided = [spec for result in self._call(plugin, kind.hook) for spec in result]
        except Exception as error:
            why = f"{kind.hook} failed: {failures.reason(error)}"
            raise failures.invalid(subject, why) from error
        for spec in provided:
            if fault := _fault(spec, kind):
                raise failures.invalid(subject, f"{kind.hook} returned {spec!r}, {fault}")
        names = [spec.name for spec in provided]
        if repeated := {name for name in names if names.count(name) > 1}:
            why = f"{kind.hook} returned {min(repeated)!r} more than once"
            raise failures.invalid(subject, why)
        self.trace(kind.hook, "of", subject, "returned", ", ".join(names) or "nothing")
        return provided

    def _call(self, plugin: object, hook: str, **arguments: Any) -> list[Any]:
        others = [other for _, other in self._pm.list_name_plugin() if other is not plugin]
        results: list[Any] = self._pm.subset_hook_caller(hook, others)(**arguments)
        return results


def _fault(spec: Any, kind: Kind[Any]) -> str:
    if not isinstance(spec, kind.spec):
        return f"which is no {kind.spec.__name__}"
    if not isinstance(spec.name, str):
        return "whose name is no text"
    match spec.spi:
        case (int(), int()):
            return ""
    return "whose spi is no pair of integers"


_SPI = ".".join(map(str, SPI_VERSION))


def _explain(error: pluggy.PluginValidationError) -> str:
    """Return pluggy's message on one line, without the name that only we know the plugin by."""
    lines = [line for line in str(error).splitlines() if not line.startswith("Plugin ")]
    return "; ".join(line.partition(" in plugin ")[0] for line in lines)
