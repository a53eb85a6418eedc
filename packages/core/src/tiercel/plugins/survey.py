"""Tells the state of every plugin, for people who wonder why one does not work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tiercel.errors import PluginError
from tiercel.plugins.kinds import KINDS, Kind
from tiercel.plugins.provided import Origin, Provided
from tiercel.plugins.registry import Registry


class State(StrEnum):
    """What can be said of a plugin."""

    BUILT_IN = "built in"
    AVAILABLE = "available"
    LOADED = "loaded"
    DISABLED = "disabled"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class PluginState:
    """One plugin of one distribution.

    Attributes:
        kind: As in entry point groups.
        name: What users call it.
        distribution: Who provides it.
        version: The distribution's version.
        spi: The SPI version it was written for; empty if that cannot be known.
        state: Whether it works.
        reason: Why it does not, if it is broken.
    """

    kind: str
    name: str
    distribution: str
    version: str
    spi: str
    state: State
    reason: str = ""


def survey(registry: Registry) -> list[PluginState]:
    """Load every plugin and tell how that went; those used before are called loaded."""
    registry.freeze()
    return [state for kind in KINDS for state in _of_kind(registry, kind)]


def _of_kind(registry: Registry, kind: Kind[Any]) -> Iterator[PluginState]:
    installed = {plugin.name for plugin in registry.installation if plugin.kind is kind}
    for name in sorted(installed.union(registry.own(kind))):
        yield from _of_name(registry, kind, name)


def _of_name(registry: Registry, kind: Kind[Any], name: str) -> Iterator[PluginState]:
    working = State.LOADED if registry.loaded(kind, name) else State.AVAILABLE
    found, reason = _try(registry, kind, name)
    state = State.BROKEN if reason else working
    spi = ".".join(map(str, found.spec.spi)) if found else ""
    if own := registry.own(kind).get(name):
        good = State.BUILT_IN if own.origin is Origin.BUILT_IN else State.LOADED
        yield PluginState(
            kind.name, name, own.distribution, own.version, spi, state if reason else good, reason
        )
    for each in registry.installation.named(kind, name):
        row = kind.name, name, each.distribution, each.version
        if each.disabled:
            yield PluginState(*row, "", State.DISABLED)
        else:
            yield PluginState(*row, spi, state, reason)


def _try(registry: Registry, kind: Kind[Any], name: str) -> tuple[Provided | None, str]:
    if failure := registry.failures.get((kind.name, name)):
        return None, str(failure)
    try:
        return registry.resolve(kind, name), ""
    except PluginError as error:
        return None, str(error)
